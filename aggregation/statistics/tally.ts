import { assert } from '#protocol/assert.ts'
import { SITE_ROWS_MAX } from '#protocol/limits.ts'
import { cellsOf, type Item, type Question, stepsOf } from '#protocol/question.ts'

/** What one site counted for one item; and, added up number by number, what all of them did. Whole numbers, exact. */
export type Tally = CountTally | MomentsTally | CellsTally
export type CountTally = {
  readonly kind: 'count'
  readonly rows: bigint
  /** Of them without a value in the item's column; 0 where it names none. */
  readonly missing: bigint
}
export type MomentsTally = {
  readonly kind: 'moments'
  readonly missing: bigint
  /** Rows left out of the sums: those in suppressed cells of the same column. */
  readonly suppressed: bigint
  /** Rows in the sums. */
  readonly values: bigint
  /** In steps from the lower bound. */
  readonly sum: bigint
  readonly squares: bigint
  /** Of the values, those beyond the bounds; a site with fewer of them than the minimum cell says 0. */
  readonly clipped: bigint
  /** Sites that said 0 for fewer than the minimum cell. */
  readonly concealed: bigint
}
export type CellsTally = {
  readonly kind: 'cells'
  readonly missing: bigint
  /** Rows in suppressed cells: at each site none, or at least the minimum cell. */
  readonly suppressed: bigint
  /** A histogram: below, its bins, above. Categories: the levels, then any other value. */
  readonly cells: readonly bigint[]
}

const ROWS = BigInt(SITE_ROWS_MAX)

/** The numbers of a tally, in the order of the lanes. */
export function numbersOf(tally: Tally): readonly bigint[] {
  switch (tally.kind) {
    case 'count':
      return [tally.rows, tally.missing]
    case 'moments': {
      const { missing, suppressed, values, sum, squares, clipped, concealed } = tally
      return [missing, suppressed, values, sum, squares, clipped, concealed]
    }
    case 'cells':
      return [tally.missing, tally.suppressed, ...tally.cells]
  }
}

/** The most that one site may say of each. */
export function maximaOf(item: Item): readonly bigint[] {
  switch (item.kind) {
    case 'count':
      return [ROWS, ROWS]
    case 'moments': {
      const steps = BigInt(stepsOf(item))
      return [ROWS, ROWS, ROWS, ROWS * steps, ROWS * steps ** 2n, ROWS, 1n]
    }
    case 'histogram':
    case 'categories':
      return Array.from({ length: 2 + cellsOf(item) }, () => ROWS)
  }
}

/** The inverse of `numbersOf`. */
export function tallyOf(item: Item, numbers: readonly bigint[]): Tally {
  assert(numbers.length === maximaOf(item).length, 'an item has its numbers')
  switch (item.kind) {
    case 'count': {
      const [rows, missing] = numbers as readonly [bigint, bigint]
      return { kind: 'count', rows, missing }
    }
    case 'moments': {
      const [missing, suppressed, values, sum, squares, clipped, concealed] = numbers as Seven
      return { kind: 'moments', missing, suppressed, values, sum, squares, clipped, concealed }
    }
    case 'histogram':
    case 'categories': {
      const [missing, suppressed, ...cells] = numbers as readonly [bigint, bigint, ...bigint[]]
      return { kind: 'cells', missing, suppressed, cells }
    }
  }
}
type Seven = readonly [bigint, bigint, bigint, bigint, bigint, bigint, bigint]

/** Rows that a tally accounts for. */
export function rowsOf(tally: Tally): bigint {
  switch (tally.kind) {
    case 'count':
      return tally.rows
    case 'moments':
      return tally.missing + tally.suppressed + tally.values
    case 'cells':
      return tally.cells.reduce((sum, cell) => sum + cell, tally.missing + tally.suppressed)
  }
}

/** What may leave a site: of each group of rows none, or enough. Asserted, whoever counted. */
export function isPublishable(tally: Tally, { minCell }: Question): boolean {
  const enough = (rows: bigint) => rows === 0n || rows >= BigInt(minCell)
  switch (tally.kind) {
    case 'count':
      return enough(tally.rows)
    case 'moments':
      return [tally.suppressed, tally.values, tally.clipped].every(enough)
    case 'cells':
      return [tally.suppressed, ...tally.cells].every(enough)
  }
}
