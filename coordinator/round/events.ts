import { z } from 'zod'
import { cidField, count, millisField, nodeIdField, reasonField } from '#protocol/codec.ts'
import { COHORT_MAX, PHASE_MILLIS_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import { evaluationSchema } from '#protocol/manifest.ts'

/** What can happen to an open round, in the past tense. `at` is when the coordinator took note of it. */
const here = { at: millisField, round: count(ROUNDS_MAX, 1) }

export const roundEvents = [
  z.strictObject({ kind: z.literal('joined'), ...here, node: nodeIdField }),
  z.strictObject({ kind: z.literal('declined'), ...here, node: nodeIdField, reason: reasonField }),
  z.strictObject({
    kind: z.literal('reported'),
    ...here,
    node: nodeIdField,
    update: cidField,
    trainMillis: count(PHASE_MILLIS_MAX),
  }),
  z.strictObject({ kind: z.literal('left'), ...here, node: nodeIdField, reason: reasonField }),
  z.strictObject({ kind: z.literal('ticked'), ...here }),
  z.strictObject({
    kind: z.literal('aggregated'),
    ...here,
    manifest: cidField,
    model: cidField,
    memory: cidField,
    evaluation: evaluationSchema,
    reports: count(COHORT_MAX, 1),
  }),
  /** The sum cannot become a model: the reason is in the round's record. */
  z.strictObject({ kind: z.literal('spoiled'), ...here, reason: reasonField }),
  z.strictObject({ kind: z.literal('settled'), ...here, receipts: cidField.nullable() }),
] as const

export type RoundEvent = z.output<(typeof roundEvents)[number]>
