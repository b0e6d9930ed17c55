import { type Grid, NO_GRID } from '#protocol/difference.ts'
import type { Bytes } from '#protocol/ids.ts'

/**
 * The grid on which the floats of one file have moved from those of another, where one shows. Nobody has to say it: a sum of
 * updates is a whole number of levels, so among a few thousand moves in their order those next to one another lie few levels
 * apart. The smallest such gaps give a first figure of the level, and ever larger moves make it exact. A wrong figure costs
 * bytes and nothing else.
 */
export function gridOf(parent: Bytes, next: Bytes): Grid {
  const moves = movesOf(parent, next)
  const ordered = moves.map(({ by }) => by).toSorted((a, b) => a - b)
  const noise = moves.reduce((most, move) => Math.max(most, move.noise), 0)
  const gaps = ordered
    .map((by, index) => by - (ordered[index - 1] ?? by))
    .filter((gap) => gap > NOISE_MARGIN * noise)
    .toSorted((a, b) => a - b)
  let best = { level: 0, share: SHARE_MIN }
  for (const candidate of gaps.slice(0, CANDIDATES_MAX)) {
    const share = shareOfMultiples(gaps, candidate)
    if (share >= best.share) best = { level: candidate, share }
  }
  if (best.level === 0) return NO_GRID
  const level = fitted(gaps.map(exactly), best.level, 0)
  const near = moves.filter(({ by }, index) => index < GAPS_MIN || Math.abs(by) < NEAR_LEVELS * level)
  // A sum over an odd number of reports lies half a level off.
  const phase = offsetOf(near, level, 0.5) < offsetOf(near, level, 0) ? 0.5 : 0
  const unit = fitted(moves, level, phase)
  return { unit, offset: phase * unit }
}

/** `noise`: how far the floats may be from what they stand for. */
type Move = { readonly by: number; readonly noise: number }

/** Some of the moves, the smallest first; and of all of them those that are known best: of small weights, whose floats lie close. */
function movesOf(parent: Bytes, next: Bytes): readonly Move[] {
  const [from, to] = [viewOf(parent), viewOf(next)]
  const stride = 4 * Math.max(1, Math.floor(next.length / 4 / LOOKED_AT))
  const found: Move[] = []
  for (let at = 0; at + 4 <= next.length; at += stride) {
    const [before, after] = [from.getFloat32(at, true), to.getFloat32(at, true)]
    const by = after - before
    if (by === 0 || !Number.isFinite(by)) continue
    const largest = Math.max(Math.abs(before), Math.abs(after))
    found.push({ by, noise: (largest + Math.abs(by)) * HALF_ULP })
  }
  found.sort((a, b) => a.noise - b.noise)
  return found.slice(0, Math.ceil(found.length * 0.75)).sort((a, b) => Math.abs(a.by) - Math.abs(b.by))
}

/** How many of the gaps that are not much larger than the candidate are whole multiples of it. */
function shareOfMultiples(gaps: readonly number[], candidate: number): number {
  let [near, whole] = [0, 0]
  for (const gap of gaps) {
    if (gap > MULTIPLES_MAX * candidate) break
    near++
    if (toWhole(gap / candidate) < TOLERANCE) whole++
  }
  return near < GAPS_MIN ? 0 : whole / near
}

/**
 * Least squares over whole multiples, or over those that lie half a level off; of small moves first, for each makes the level
 * exact enough to count the next.
 */
function fitted(moves: readonly Move[], first: number, phase: number): number {
  const largest = Math.abs(moves.at(-1)?.by ?? 0)
  let level = first
  for (let reach = 8; ; reach *= 2) {
    let [above, below] = [0, 0]
    for (const { by, noise } of moves) {
      if (Math.abs(by) > reach * level) break
      const count = Math.round(by / level - phase) + phase
      const weight = count / (noise * noise)
      above += by * weight
      below += count * weight
    }
    if (below > 0) level = above / below
    if (reach * level > largest) return level
  }
}

function exactly(by: number): Move {
  return { by, noise: 1 }
}

function offsetOf(moves: readonly Move[], level: number, phase: number): number {
  return moves.reduce((sum, { by }) => sum + toWhole(by / level - phase), 0)
}

function toWhole(value: number): number {
  return Math.abs(value - Math.round(value))
}

function viewOf(bytes: Bytes): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

const HALF_ULP = 2 ** -24
const LOOKED_AT = 4096
const CANDIDATES_MAX = 128
const GAPS_MIN = 24
/** A gap within the noise of two floats says nothing. */
const NOISE_MARGIN = 4
const MULTIPLES_MAX = 16
const NEAR_LEVELS = 64
const TOLERANCE = 0.15
/** By chance three in ten are within the tolerance. */
const SHARE_MIN = 0.8
