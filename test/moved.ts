import { encodeWeights } from '#aggregation/weights.ts'
import type { Bytes } from '#protocol/ids.ts'
import { contentOf } from './content.ts'

const RANGE = 10
const LEVELS = 2 ** 24 - 1

/** Weights, and the same after FedAvg over so many reports of 24 bits; `level` is what one step of the sum moves a weight by. */
export function movedBySum(
  seed: string,
  { reports, spread, weights }: { readonly reports: number; readonly spread: number; readonly weights: number },
): { readonly parent: Bytes; readonly next: Bytes; readonly level: number } {
  const before = normals(`${seed} weights`, weights)
  const moves = normals(`${seed} moves`, weights)
  const parent = Float32Array.from(before, (value) => value * 0.03)
  const next = parent.map((weight, index) => {
    const sum = Math.round((((moves[index] as number) * spread + RANGE) * LEVELS * reports) / (2 * RANGE))
    const mean = (sum * ((2 * RANGE) / LEVELS) - reports * RANGE) / reports
    return Math.fround(weight + Math.fround(mean))
  })
  return {
    parent: encodeWeights(parent).slice(),
    next: encodeWeights(next).slice(),
    level: (2 * RANGE) / LEVELS / reports,
  }
}

/** About normal: a sum of four even ones. */
function normals(seed: string, count: number): readonly number[] {
  const halves = new Uint16Array(contentOf(seed, 8 * count).buffer)
  const half = (at: number) => (halves[at] as number) / 2 ** 16
  return Array.from({ length: count }, (_, index) => {
    const at = 4 * index
    return (half(at) + half(at + 1) + half(at + 2) + half(at + 3) - 2) * Math.sqrt(3)
  })
}
