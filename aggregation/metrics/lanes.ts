import { assert } from '#protocol/assert.ts'
import type { RingVector } from '../vector.ts'
import { countOf } from './bins.ts'
import {
  type Block,
  cellsOf,
  type Scoring,
  SUM_LANES,
  scoreLanesOf,
  type Tallies,
  talliedIn,
  UNITS_MAX,
} from './scoring.ts'

/** One, in the lanes of a sum; and what each of them but the last counts up to. */
const ONE = 65_536

/** A site's numbers as score lanes. Sums are rounded to 2⁻¹⁶. */
export function encodeScores({ blocks }: Scoring, tallies: Tallies): RingVector {
  const lanes = new Uint32Array(scoreLanesOf({ blocks }))
  let at = 0
  for (const [index, block] of blocks.entries()) {
    const cells = tallies[index]
    assert(cells?.length === cellsOf(block), 'each block has its numbers')
    if (block.kind !== 'sum') {
      lanes.set(cells, at)
      at += cells.length
      continue
    }
    const fixed = Math.round((cells[0] as number) * ONE)
    lanes.set([fixed % ONE, Math.floor(fixed / ONE) % ONE, Math.floor(fixed / ONE ** 2)], at)
    at += SUM_LANES
  }
  return lanes
}

/** Exact: a sum of a full cohort's is below 2⁵². */
export function decodeScores({ blocks }: Scoring, lanes: RingVector): Tallies {
  assert(lanes.length === scoreLanesOf({ blocks }), 'the lanes are those of the blocks')
  let at = 0
  return blocks.map((block) => {
    if (block.kind !== 'sum') {
      const cells = Float64Array.from(lanes.subarray(at, at + cellsOf(block)))
      at += cells.length
      return cells
    }
    const [low, middle, high] = lanes.subarray(at, at + SUM_LANES) as unknown as readonly [number, number, number]
    at += SUM_LANES
    return Float64Array.of(high * ONE + middle + low / ONE)
  })
}

type Counted = { readonly reports: number; readonly rows: number; readonly correct: number }

/**
 * Whether score lanes can be of these rows, of which so many are taken for their own class. Every row is in one cell of each
 * block, and every rule is kept by a sum whose reports keep it.
 *
 * @returns what is wrong
 */
export function mistakeInScores(scoring: Scoring, lanes: RingVector, counted: Counted): string | undefined {
  const { blocks } = scoring
  let at = 0
  for (const block of blocks) {
    if (block.kind !== 'sum') {
      at += cellsOf(block)
      continue
    }
    const [low, middle] = lanes.subarray(at, at + SUM_LANES) as unknown as readonly [number, number]
    if (low >= counted.reports * ONE || middle >= counted.reports * ONE)
      return `the ${block.of} is not cut into 16 bits a report`
    at += SUM_LANES
  }
  const tallies = decodeScores(scoring, lanes)
  for (const [index, block] of blocks.entries()) {
    const mistake = mistakeIn(block, tallies[index] as Float64Array, counted)
    if (mistake) return mistake
  }
  return (
    mistakeInClasses(scoring, tallies, counted) ??
    mistakeInLabels(scoring, tallies, counted) ??
    mistakeInErrors(scoring, tallies, counted)
  )
}

function mistakeIn(block: Block, cells: Float64Array, { rows, correct }: Counted): string | undefined {
  if (block.kind === 'sum') {
    const most = rows * block.perRowMax
    return (cells[0] as number) > most ? `a ${block.of} of ${cells[0]}, of ${rows} rows at most ${most}` : undefined
  }
  if (block.kind === 'one-vs-rest' || block.kind === 'labels') return undefined
  const all = totalOf(cells)
  if (all !== rows) return `${all} rows in the cells of ${block.kind}, of ${rows}`
  const right = totalOf(cells.filter((_, cell) => isRight(block, cell)))
  return right === correct ? undefined : `${right} rows right by ${block.kind}, of ${correct}`
}

/** Whether rows in this cell are taken for the class that they are of. */
export function isRight(block: Exclude<Block, { readonly kind: 'sum' | 'one-vs-rest' }>, cell: number): boolean {
  if (block.kind === 'confusion') return cell % (block.classes + 1) === 0
  const bins = countOf(block.bins)
  if (block.kind === 'confidence') return cell >= bins
  const own = cell % (2 * bins)
  return own >= bins === own % bins >= bins / 2
}

/** Each class has as many rows by its own probabilities as by the confusion matrix, and all others are in the rest. */
function mistakeInClasses(scoring: Scoring, tallies: Tallies, { rows }: Counted): string | undefined {
  const ranked = talliedIn(scoring, tallies, 'one-vs-rest')
  const confusion = talliedIn(scoring, tallies, 'confusion')
  if (!ranked || !confusion) return undefined
  const bins = countOf(ranked.block.bins)
  for (let of = 0; of < ranked.block.classes; of++) {
    const own = totalOf(rowOf(confusion, of))
    const { cells } = ranked
    const rest = totalOf(cells.subarray(2 * of * bins, (2 * of + 1) * bins))
    const ranks = totalOf(cells.subarray((2 * of + 1) * bins, (2 * of + 2) * bins))
    if (ranks !== own || rest !== rows - own)
      return `class ${of} has ${own} rows of ${rows}, and ${ranks} and ${rest} ranks`
  }
  return undefined
}

/** Of each label the rows of which it is known, and how many of them are taken for what they are. */
export function labelledIn(
  block: Extract<Block, { readonly kind: 'labels' }>,
  cells: Float64Array,
): readonly { readonly cells: Float64Array; readonly known: number; readonly right: number }[] {
  const width = 2 * countOf(block.bins)
  return Array.from({ length: block.labels }, (_, of) => {
    const own = cells.subarray(of * width, (of + 1) * width)
    return { cells: own, known: totalOf(own), right: totalOf(own.filter((_, cell) => isRight(block, cell))) }
  })
}

/**
 * A row is right where all that is known of it is. So no label is known of more rows than there are, none is missed in a row
 * that is right, and a row that is not right misses one at least. No label's misses are more than one a row.
 */
function mistakeInLabels(scoring: Scoring, tallies: Tallies, { rows, correct }: Counted): string | undefined {
  const found = talliedIn(scoring, tallies, 'labels')
  if (!found) return undefined
  const wrongRows = rows - correct
  let missed = 0
  for (const [of, { known, right }] of labelledIn(found.block, found.cells).entries()) {
    if (known > rows) return `label ${of} is known of ${known} rows, of ${rows}`
    if (known - right > wrongRows) return `label ${of} is missed in ${known - right} rows, where ${wrongRows} are wrong`
    const [misses] = tallies[of + 1] ?? []
    if (misses !== undefined && misses > known) return `a squared-miss of ${misses}, of ${known} rows of label ${of}`
    missed += known - right
  }
  return missed < wrongRows ? `${missed} labels are missed, where ${wrongRows} rows are wrong` : undefined
}

/** Rows of one class, by the class that they are taken for. */
export function rowOf(
  { block: { classes }, cells }: { readonly block: { readonly classes: number }; readonly cells: Float64Array },
  of: number,
): Float64Array {
  return cells.subarray(of * classes, (of + 1) * classes)
}

/**
 * No mean is larger than the root of the mean square (Cauchy and Schwarz), but for the rounding of each report: half of 2⁻¹⁶,
 * and of float64's own. By the same inequality a sum keeps it when each report does.
 */
function mistakeInErrors({ blocks }: Scoring, tallies: Tallies, { reports, rows }: Counted): string | undefined {
  const find = (of: Extract<Block, { readonly kind: 'sum' }>['of']) => {
    const at = blocks.findIndex((block) => block.kind === 'sum' && block.of === of)
    return at < 0 ? undefined : (tallies[at]?.[0] as number)
  }
  const label = find('label')
  const pairs = [
    { name: 'absolute-error', sum: find('absolute-error'), squares: find('squared-error') },
    { name: 'label', sum: label === undefined ? label : label - rows * UNITS_MAX, squares: find('squared-label') },
  ]
  const rounding = reports / ONE
  for (const { name, sum, squares } of pairs) {
    if (sum === undefined || squares === undefined) continue
    const least = Math.max(0, Math.abs(sum) - rounding)
    if (least ** 2 > rows * (squares + rounding) * (1 + 1e-9)) return `the ${name} is larger than its squares allow`
  }
  return undefined
}

export function totalOf(cells: Float64Array): number {
  return cells.reduce((sum, cell) => sum + cell, 0)
}
