import { assert } from '#protocol/assert.ts'
import { countOf } from './bins.ts'
import { isRight, labelledIn, rowOf, totalOf } from './lanes.ts'
import type { Block, Scoring, Tallies } from './scoring.ts'

type Counted = { readonly rows: number; readonly correct: number }

/** Parts of more rows than this are told apart no more. */
const PARTS_MAX = 4096

/**
 * A site's numbers as those of so many rows, whatever it has, in parts: as many as the largest power of two that is no more
 * than its rows. Cells of fine bins hold few rows, and shares of a site's rows would tell how many it has, since each is a
 * multiple of one row's; these are multiples of one part, which many sites have in common. No more of its number of rows is
 * seen than that power of two.
 *
 * Each part is of the row in its middle, in the order of the cells, so that no sum of cells from the first one on is off by
 * more than half a part. Rows that are right and rows that are not have their parts apart, in each block; and where classes
 * are ranked, each class has the parts that the confusion matrix has come to give it: all blocks still agree with each other.
 * Of several labels each has its own right and wrong ones, since it is known of other rows than the next.
 *
 * @param rows as many as all sites stand for, a power of two
 */
export function equalScores(
  { blocks }: Pick<Scoring, 'blocks'>,
  tallies: Tallies,
  from: Counted,
  rows: number,
): Counted & { readonly tallies: Tallies } {
  const parts = Math.min(2 ** Math.floor(Math.log2(from.rows)), PARTS_MAX)
  const right = nearest(from.correct * parts, from.rows)
  const made: Float64Array[] = []
  /** Of each label: the rows of which it is known, and the parts that stand for them. Its sum is of those. */
  let shares: readonly { readonly of: number; readonly to: number }[] | undefined
  for (const [index, block] of blocks.entries()) {
    const cells = tallies[index] as Float64Array
    if (block.kind === 'sum') {
      const { of, to } = shares?.[index - 1] ?? { of: from.rows, to: parts }
      made.push(cells.map((sum) => (of === 0 ? 0 : (sum / of) * to)))
    } else if (block.kind === 'labels') {
      const alike = labelsAlike(block, cells, { rows: from.rows, right, parts })
      shares = alike.shares
      made.push(alike.cells)
    } else if (block.kind !== 'one-vs-rest') made.push(rightAlike(block, cells, { right, parts }))
    else {
      const matrix = blocks.findIndex(({ kind }) => kind === 'confusion')
      assert(matrix >= 0 && matrix < index, 'the confusion matrix comes before the ranks')
      const confusion = { block, cells: made[matrix] as Float64Array }
      made.push(rankedAlike(block, cells, { parts, ownOf: (of) => totalOf(rowOf(confusion, of)) }))
    }
  }
  const size = rows / parts
  return { rows, correct: right * size, tallies: made.map((cells) => cells.map((cell) => cell * size)) }
}

/**
 * Wrong ones first, each label's no more than the parts of rows that are wrong. Together they are no fewer: a wrong row misses a
 * label at least, and halves are rounded up.
 */
function labelsAlike(
  block: Extract<Block, { readonly kind: 'labels' }>,
  cells: Float64Array,
  { rows, right, parts }: { readonly rows: number; readonly right: number; readonly parts: number },
) {
  const labels = labelledIn(block, cells)
  const missed = Float64Array.from(labels, ({ known, right }) => known - right)
  const wrongParts = parts - right
  const wrongs = shareOut(missed, nearest(totalOf(missed) * parts, rows))
  const made = new Float64Array(cells.length)
  const shares = labels.map(({ cells: own, known, right }, of) => {
    const wrong = Math.min(wrongs[of] as number, wrongParts)
    const to = Math.min(nearest(right * parts, rows), parts - wrong) + wrong
    made.set(rightAlike(block, own, { right: to - wrong, parts: to }), of * own.length)
    return { of: known, to }
  })
  return { cells: made, shares }
}

function rightAlike(
  block: Exclude<Block, { readonly kind: 'sum' | 'one-vs-rest' }>,
  cells: Float64Array,
  { right, parts }: { readonly right: number; readonly parts: number },
): Float64Array {
  const rights = shareOut(
    cells.map((cell, at) => (isRight(block, at) ? cell : 0)),
    right,
  )
  const wrongs = shareOut(
    cells.map((cell, at) => (isRight(block, at) ? 0 : cell)),
    parts - right,
  )
  return rights.map((cell, at) => cell + (wrongs[at] as number))
}

function rankedAlike(
  { classes, bins }: Extract<Block, { readonly kind: 'one-vs-rest' }>,
  cells: Float64Array,
  { parts, ownOf }: { readonly parts: number; readonly ownOf: (of: number) => number },
): Float64Array {
  const made = new Float64Array(cells.length)
  const width = countOf(bins)
  for (let of = 0; of < classes; of++) {
    const rest = 2 * of * width
    made.set(shareOut(cells.subarray(rest, rest + width), parts - ownOf(of)), rest)
    made.set(shareOut(cells.subarray(rest + width, rest + 2 * width), ownOf(of)), rest + width)
  }
  return made
}

/** So many parts, each to the cell that has the row in its middle. */
function shareOut(cells: Float64Array, parts: number): Float64Array {
  const all = totalOf(cells)
  assert(all > 0 || parts === 0, 'where nothing is counted there is nothing to share out')
  let [rows, before] = [0, 0]
  return cells.map((cell) => {
    if (cell === 0) return 0
    rows += cell
    const until = nearest(rows * parts, all)
    const share = until - before
    before = until
    return share
  })
}

/** The quotient to the nearest whole number, a half upwards; exact. */
function nearest(part: number, whole: number): number {
  const twice = 2 * part + whole
  return (twice - (twice % (2 * whole))) / (2 * whole)
}
