import { z } from 'zod'
import { count, nameField } from './codec.ts'
import {
  HISTOGRAM_EDGES_MAX,
  MIN_CELL_MAX,
  MOMENT_STEPS_MAX,
  QUANTILES_MAX,
  QUESTION_CELLS_MAX,
  QUESTION_COHORT_MIN,
  QUESTION_ITEMS_MAX,
  QUESTION_LEVELS_MAX,
  REAL_MICRO_MAX,
  SESSION_MEMBERS_MAX,
} from './limits.ts'

/**
 * What a federation is asked about its data: counts, moments, histograms and categories over all sites, from one masked
 * vector of whole numbers. A plan names it where a training plan names a task. Reals are in millionths.
 */
const realMicro = z.int().min(-REAL_MICRO_MAX).max(REAL_MICRO_MAX)

/** Rows; of a column, how many of them lack it. */
const countItem = z.strictObject({ kind: z.literal('count'), column: nameField.nullable() })

/** Mean and variance of a column of numbers. Values beyond the bounds are taken to them, and are counted. */
const momentsItem = z
  .strictObject({
    kind: z.literal('moments'),
    column: nameField,
    lowMicro: realMicro,
    highMicro: realMicro,
    /** Values are rounded to whole steps of this from the lower bound on, so that sums and sums of squares are exact. */
    resolutionMicro: count(REAL_MICRO_MAX, 1),
  })
  .refine(({ lowMicro, highMicro }) => lowMicro < highMicro, 'the lower bound is below the upper one')
  .refine((item) => stepsOf(item) <= MOMENT_STEPS_MAX, `at most ${MOMENT_STEPS_MAX} steps between the bounds`)

/** Rows between fixed edges: [e, next edge), the last bin with both its edges; and below the first, above the last. */
const histogramItem = z.strictObject({
  kind: z.literal('histogram'),
  column: nameField,
  edgesMicro: z.array(realMicro).min(2).max(HISTOGRAM_EDGES_MAX).readonly().refine(isAscending, 'edges ascend'),
  /** Which quantiles are read off the cells. The least and the largest value are somebody's, and never leave a site. */
  quantilesPerMille: z.array(count(999, 1)).max(QUANTILES_MAX).readonly().refine(isAscending, 'quantiles ascend'),
})

/** Rows by whole number; and with any other value. */
const categoriesItem = z.strictObject({
  kind: z.literal('categories'),
  column: nameField,
  levels: z.array(z.int()).min(1).max(QUESTION_LEVELS_MAX).readonly().refine(isAscending, 'levels ascend'),
})

const itemSchema = z.discriminatedUnion('kind', [countItem, momentsItem, histogramItem, categoriesItem])

export const questionSchema = z
  .strictObject({
    v: z.literal(1),
    kind: z.literal('question'),
    name: nameField,
    /** A cell of fewer rows never leaves its site. */
    minCell: count(MIN_CELL_MAX, 1),
    /** Over fewer sites there is no answer. */
    minCohort: count(SESSION_MEMBERS_MAX, QUESTION_COHORT_MIN),
    items: z.array(itemSchema).min(1).max(QUESTION_ITEMS_MAX).readonly(),
  })
  .refine(
    ({ items }) => items.reduce((sum, item) => sum + cellsOf(item), 0) <= QUESTION_CELLS_MAX,
    `at most ${QUESTION_CELLS_MAX} cells`,
  )
  .superRefine(({ items }, context) => {
    for (const [index, item] of items.entries()) {
      const message = clashOf(item, items.slice(0, index))
      if (message) context.addIssue({ code: 'custom', path: ['items', index], message })
    }
  })

export type Question = z.output<typeof questionSchema>
export type Item = z.output<typeof itemSchema>
export type MomentsItem = z.output<typeof momentsItem>
export type HistogramItem = z.output<typeof histogramItem>
export type CategoriesItem = z.output<typeof categoriesItem>

type Scale = { readonly lowMicro: number; readonly highMicro: number; readonly resolutionMicro: number }

/** The step of the upper bound: a value is 0 to this. */
export function stepsOf({ lowMicro, highMicro, resolutionMicro }: Scale): number {
  const range = highMicro - lowMicro
  const rest = range % resolutionMicro
  return (range - rest) / resolutionMicro + (rest === 0 ? 0 : 1)
}

/** Cells that an item sorts the values of its column into, or none. */
export function cellsOf(item: Item): number {
  switch (item.kind) {
    case 'count':
    case 'moments':
      return 0
    case 'histogram':
      return item.edgesMicro.length + 1
    case 'categories':
      return item.levels.length + 1
  }
}

/**
 * Two items about one column could be subtracted from each other: bins with an edge between them, or sums by level, leave
 * what a site would have suppressed. So a column is asked about once of each kind, by cells in one way, and for moments
 * beside them only between the same bounds.
 */
function clashOf(item: Item, before: readonly Item[]): string | undefined {
  for (const other of before) {
    if (item.column !== other.column) continue
    if (item.kind === other.kind) return `a second ${item.kind} item about ${item.column ?? 'the rows'}`
    if (item.kind === 'count' || other.kind === 'count') continue
    const pair = [item, other]
    const moments = pair.find((one) => one.kind === 'moments')
    const histogram = pair.find((one) => one.kind === 'histogram')
    if (!moments || !histogram) return `${item.kind} and ${other.kind} about one column, ${item.column}`
    const { edgesMicro } = histogram
    if (moments.lowMicro !== edgesMicro[0] || moments.highMicro !== edgesMicro.at(-1))
      return `moments and a histogram about one column, ${item.column}, take the outer edges as bounds`
  }
  return undefined
}

function isAscending(values: readonly number[]): boolean {
  return values.every((value, index) => index === 0 || (values[index - 1] as number) < value)
}
