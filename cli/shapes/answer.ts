import { z } from 'zod'
import { text } from '#coordinator/api/schemas.ts'

/** What is printed of an answer: real values where people read them, exact sums as decimal texts. */
const values = {
  column: z.string(),
  missing: z.int(),
  suppressed: z.int().meta({ description: 'rows in cells that their site suppressed' }),
  values: z.int(),
}

const part = z.union([
  z.object({
    kind: z.literal('count'),
    column: z.string().nullable(),
    rows: z.int(),
    missing: z.int().nullable(),
  }),
  z.object({
    kind: z.literal('moments'),
    ...values,
    mean: z.number().nullable(),
    variance: z.number().nullable(),
    low: z.number(),
    high: z.number(),
    resolution: z.number(),
    clipped_min: z.int().meta({ description: 'values beyond the bounds: at least so many' }),
    clipped_max: z.int(),
    sum_steps: text('exact, in steps of the resolution from the lower bound'),
    squares_steps: z.string(),
  }),
  z.object({
    kind: z.literal('histogram'),
    ...values,
    below: z.int(),
    bins: z.array(z.object({ low: z.number(), high: z.number(), rows: z.int() })),
    above: z.int(),
    quantiles: z.array(
      z.object({
        per_mille: z.int(),
        estimate: z.number().nullable(),
        low: z.number().nullable().meta({ description: 'the quantile is certainly not below this' }),
        high: z.number().nullable(),
      }),
    ),
  }),
  z.object({
    kind: z.literal('categories'),
    ...values,
    levels: z.array(z.object({ level: z.int(), rows: z.int() })),
    other: z.int(),
  }),
])

const answerFields = {
  name: z.string(),
  sites: z.int(),
  min_cell: z.int(),
  min_cohort: z.int(),
  items: z.array(part),
}
export const answerShape = z.object(answerFields)

/** `consilium stats ask`: the answer, and the record that it was recomputed from. */
export const askedShape = z.object({
  ...answerFields,
  run: z.string(),
  question: text('its CID'),
  nodes: z.array(z.string()),
  recomputed: z
    .boolean()
    .meta({ description: 'from the masked vectors; else the sum is as the coordinator signed it' }),
  record: text('root of the bundle'),
  coordinator: z.string(),
  pinned: z.boolean(),
})
