import type { Quantiser } from '#protocol/plan.ts'
import { type Item, type MomentsItem, type Question, stepsOf } from '#protocol/question.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { RangeRefusal } from '../ranges.ts'
import type { RingVector } from '../vector.ts'
import { decodeTallies } from './lanes.ts'
import { type Quantile, quantileOf } from './quantile.ts'
import { nearest } from './rational.ts'
import { type CellsTally, type CountTally, type MomentsTally, rowsOf, type Tally } from './tally.ts'

/** What a question's sum says, over all sites; its parts in the order of the items. Rows are exact. */
export type Answer = { readonly sites: number; readonly parts: readonly Part[] }
export type Part = CountPart | MomentsPart | HistogramPart | CategoriesPart

export type CountPart = {
  readonly kind: 'count'
  readonly column: string | null
  readonly rows: number
  /** Null where no column was named. */
  readonly missing: number | null
}
export type MomentsPart = Omit<MomentsItem, 'kind'> & {
  readonly kind: 'moments'
  readonly missing: number
  /** Rows left out, since a histogram of the same column suppresses them. */
  readonly suppressed: number
  readonly values: number
  /** Values beyond the bounds, taken to them: so many, or fewer than the minimum cell more at each site that said less. */
  readonly clipped: { readonly atLeast: number; readonly atMost: number }
  /** Exact, in steps of the resolution from the lower bound. */
  readonly sumSteps: bigint
  readonly squaresSteps: bigint
  /** Of the values as they were rounded; the nearest float64. Null without a value. */
  readonly mean: number | null
  /** Unbiased (over n − 1); null below two values. */
  readonly variance: number | null
}
export type HistogramPart = {
  readonly kind: 'histogram'
  readonly column: string
  readonly missing: number
  /** Rows in cells that their site suppressed: in some bin, nobody knows which. */
  readonly suppressed: number
  readonly values: number
  readonly below: number
  readonly bins: readonly { readonly lowMicro: number; readonly highMicro: number; readonly rows: number }[]
  readonly above: number
  readonly quantiles: readonly Quantile[]
}
export type CategoriesPart = {
  readonly kind: 'categories'
  readonly column: string
  readonly missing: number
  readonly suppressed: number
  readonly values: number
  readonly levels: readonly { readonly level: number; readonly rows: number }[]
  /** Rows of any other value. */
  readonly other: number
}

export type AnswerRefusal = RangeRefusal | 'wrong-length' | 'cohort-too-small' | 'inconsistent'

/**
 * From the sum of all sites to the answer. Everybody who has the sum gets the same one. A sum that no tables can have made
 * (some site counted wrongly, or lied) is refused as a whole; a lie that keeps to the rules is not found.
 */
export function answerOf(question: Question, sum: RingVector, quantiser: Quantiser): Result<Answer, AnswerRefusal> {
  const decoded = decodeTallies(question, sum, quantiser)
  if (!decoded.ok) return decoded
  const { sites, tallies } = decoded.value
  if (sites < question.minCohort)
    return refuse('cohort-too-small', `${sites} sites, the question asks for ${question.minCohort}`)
  const contradiction = contradictionIn(question, tallies, sites)
  if (contradiction) return refuse('inconsistent', contradiction)
  return accept({
    sites,
    parts: question.items.map((item, index) => partOf(item, tallies[index] as Tally, question.minCell)),
  })
}

function contradictionIn({ items }: Question, tallies: readonly Tally[], sites: number): string | undefined {
  const [first] = tallies
  if (tallies.some((tally) => first && rowsOf(tally) !== rowsOf(first))) return 'its items are of different rows'
  const missing = new Map<string, bigint>()
  for (const [index, item] of items.entries()) {
    const tally = tallies[index] as Tally
    const column = item.column ?? ''
    const known = missing.get(column) ?? tally.missing
    if (known !== tally.missing) return `other rows lack ${column} in item ${index}`
    missing.set(column, known)
    const wrong = item.kind === 'moments' ? !areMoments(item, tally as MomentsTally, sites) : isMiscounted(item, tally)
    if (wrong) return `item ${index} counts what no rows have`
  }
  return undefined
}

function isMiscounted({ column }: Item, tally: Tally): boolean {
  return tally.kind === 'count' && (tally.missing > tally.rows || (column === null && tally.missing > 0n))
}

/** Of n whole numbers from 0 to the last step: k ≤ k² ≤ k·steps, and no mean of squares is below the square of the mean. */
function areMoments(item: MomentsItem, { values, sum, squares, clipped, concealed }: MomentsTally, sites: number) {
  const steps = BigInt(stepsOf(item))
  return (
    sum <= squares &&
    squares <= sum * steps &&
    sum ** 2n <= values * squares &&
    clipped <= values &&
    concealed <= BigInt(sites)
  )
}

function partOf(item: Item, tally: Tally, minCell: number): Part {
  switch (item.kind) {
    case 'count': {
      const { rows, missing } = tally as CountTally
      const { column } = item
      return { kind: 'count', column, rows: Number(rows), missing: column === null ? null : Number(missing) }
    }
    case 'moments':
      return momentsOf(item, tally as MomentsTally, minCell)
    case 'histogram': {
      const { kind, column, edgesMicro, quantilesPerMille } = item
      const { cells, ...counted } = countsOf(tally as CellsTally)
      const bins = edgesMicro.slice(1).map((highMicro, bin) => {
        return { lowMicro: edgesMicro[bin] as number, highMicro, rows: cells[bin + 1] as number }
      })
      const quantiles = quantilesPerMille.map((perMille) => quantileOf({ edgesMicro, cells, ...counted }, perMille))
      const [below, above] = [cells[0] as number, cells.at(-1) as number]
      return { kind, column, ...counted, below, bins, above, quantiles }
    }
    case 'categories': {
      const { cells, ...counted } = countsOf(tally as CellsTally)
      const levels = item.levels.map((level, index) => ({ level, rows: cells[index] as number }))
      return { kind: item.kind, column: item.column, ...counted, levels, other: cells.at(-1) as number }
    }
  }
}

function countsOf({ missing, suppressed, cells }: CellsTally) {
  const values = cells.reduce((sum, cell) => sum + cell, 0n)
  return {
    missing: Number(missing),
    suppressed: Number(suppressed),
    values: Number(values),
    cells: cells.map(Number),
  }
}

/** mean = low + step·Σk ÷ n      variance = step²·(n·Σk² − (Σk)²) ÷ (n·(n − 1)), each one fraction, rounded once. */
function momentsOf(item: MomentsItem, tally: MomentsTally, minCell: number): MomentsPart {
  const { missing, suppressed, values: n, sum, squares, clipped, concealed } = tally
  const [low, step] = [BigInt(item.lowMicro), BigInt(item.resolutionMicro)]
  const atLeast = Number(clipped)
  return {
    ...item,
    missing: Number(missing),
    suppressed: Number(suppressed),
    values: Number(n),
    clipped: { atLeast, atMost: atLeast + Number(concealed) * (minCell - 1) },
    sumSteps: sum,
    squaresSteps: squares,
    mean: n === 0n ? null : nearest(low * n + step * sum, n * 1_000_000n),
    variance: n < 2n ? null : nearest(step ** 2n * (n * squares - sum ** 2n), n * (n - 1n) * 1_000_000n ** 2n),
  }
}
