import { z } from 'zod'
import { amountField, bytesField, cidField, count, federationIdField, runIdField } from '#protocol/codec.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import { originSchema } from '#protocol/manifest.ts'
import { cohortSchema, maskingField, populationField, secureSchema } from '#protocol/plan.ts'
import { stopRuleSchema } from '#protocol/stop-rule.ts'
import { termsSchema } from './timing.ts'

/** What becomes of a run when too many of its rounds in a row came to nothing: it waits for its owner, or is a failure. */
export const onFailuresField = z.enum(['pause', 'end'])

/** The order: what is asked of a run, from its creation to its end. */
export const runSpecSchema = z.strictObject({
  run: runIdField,
  /** To train until the planned rounds have closed, or to ask one question until a round answers it. */
  purpose: z.enum(['train', 'ask']),
  /** The task or the question; a question also stands where the genesis does, since there is no model. */
  task: cidField,
  /** Copied from the task, so that replay needs no blob; for questions, theirs. */
  taskSeed: bytesField(32),
  genesis: cidField,
  /** The empty memory that the strategy starts from. */
  memory: cidField,
  /** Training rounds that are to close. */
  planned: count(ROUNDS_MAX - 1, 1),
  budget: amountField,
  population: populationField,
  /** Whose members alone are invited to its rounds; null where whoever is linked is, as in runs that were made before there were any. */
  federation: federationIdField.nullable().default(null),
  masking: maskingField,
  /** Null where nothing is masked. */
  secure: secureSchema.nullable(),
  cohort: cohortSchema,
  timing: termsSchema,
  /** Aborted rounds in a row that are too many. */
  failuresMax: count(1000, 1),
  onFailures: onFailuresField,
  /** Of a question: that too few may be asked, since the others decline for good, ends it. Runs of earlier versions asked again. */
  heedsRefusals: z.literal(true).optional(),
  /** When it has trained enough before all planned rounds have closed. */
  stopWhen: stopRuleSchema.optional(),
  /** The closed round of another run whose model it starts from. */
  origin: originSchema.optional(),
  /** The API request that made it: a repeat of the key answers this run again. */
  idempotency: z.strictObject({ key: z.string().max(255), body: bytesField(32) }).nullable(),
})
export type RunSpec = z.output<typeof runSpecSchema>
