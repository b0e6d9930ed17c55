import { assert } from '#protocol/assert.ts'
import { countOf } from './bins.ts'
import { isRight, rowOf, totalOf } from './lanes.ts'
import type { Block, Scoring, Tallies } from './scoring.ts'

type Counted = { readonly rows: number; readonly correct: number }

/**
 * A site's numbers as those of so many rows, of which so many are right, whatever it has: shares stay as they are, whole rows
 * are shared out by largest remainder, and all blocks still agree with each other. Sums are scaled.
 *
 * Rows that are right and rows that are not are shared out apart, in each block; and where classes are ranked, each class by
 * itself, with the rows that the confusion matrix has come to give it.
 */
export function equalScores({ blocks }: Scoring, tallies: Tallies, from: Counted, to: Counted): Tallies {
  const made: Float64Array[] = []
  for (const [index, block] of blocks.entries()) {
    const cells = tallies[index] as Float64Array
    switch (block.kind) {
      case 'sum':
        made.push(cells.map((sum) => (sum / from.rows) * to.rows))
        break
      case 'one-vs-rest': {
        const matrix = blocks.findIndex(({ kind }) => kind === 'confusion')
        assert(matrix >= 0 && matrix < index, 'the confusion matrix comes before the ranks')
        const confusion = { block, cells: made[matrix] as Float64Array }
        made.push(rankedAlike(block, cells, to.rows, (of) => totalOf(rowOf(confusion, of))))
        break
      }
      default:
        made.push(rightAlike(block, cells, to))
    }
  }
  return made
}

function rightAlike(
  block: Exclude<Block, { readonly kind: 'sum' | 'one-vs-rest' }>,
  cells: Float64Array,
  { rows, correct }: Counted,
): Float64Array {
  const right = shareOut(
    cells.map((cell, at) => (isRight(block, at) ? cell : 0)),
    correct,
  )
  const wrong = shareOut(
    cells.map((cell, at) => (isRight(block, at) ? 0 : cell)),
    rows - correct,
  )
  return right.map((cell, at) => cell + (wrong[at] as number))
}

function rankedAlike(
  { classes, bins }: Extract<Block, { readonly kind: 'one-vs-rest' }>,
  cells: Float64Array,
  rows: number,
  ownOf: (of: number) => number,
): Float64Array {
  const made = new Float64Array(cells.length)
  const width = countOf(bins)
  for (let of = 0; of < classes; of++) {
    const rest = 2 * of * width
    made.set(shareOut(cells.subarray(rest, rest + width), rows - ownOf(of)), rest)
    made.set(shareOut(cells.subarray(rest + width, rest + 2 * width), ownOf(of)), rest + width)
  }
  return made
}

/** Whole rows in proportion, by largest remainder; of equal remainders the first. Every step is exact: products stay below 2⁵³. */
function shareOut(cells: Float64Array, rows: number): Float64Array {
  const all = totalOf(cells)
  if (all === 0) {
    assert(rows === 0, 'where nothing is counted there is nothing to share out')
    return cells.slice()
  }
  const remainders = cells.map((cell) => (cell * rows) % all)
  const shares = cells.map((cell, at) => (cell * rows - (remainders[at] as number)) / all)
  const left = rows - totalOf(shares)
  const order = [...remainders.keys()].sort((a, b) => (remainders[b] as number) - (remainders[a] as number) || a - b)
  for (const at of order.slice(0, left)) shares[at] = (shares[at] as number) + 1
  return shares
}
