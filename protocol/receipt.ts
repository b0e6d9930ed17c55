import { z } from 'zod'
import { amountField, cidField, count, nodeIdField, runIdField } from './codec.ts'
import { COHORT_MAX, ROUNDS_MAX } from './limits.ts'

/** The coordinator's signed word (type `receipt`): this update is in that model and is worth this. */
export const receiptSchema = z.strictObject({
  v: z.literal(1),
  run: runIdField,
  round: count(ROUNDS_MAX, 1),
  seat: count(COHORT_MAX),
  node: nodeIdField,
  /** The sealed update and the sealed round manifest that holds it. */
  update: cidField,
  manifest: cidField,
  amount: amountField,
})

export type Receipt = z.output<typeof receiptSchema>
