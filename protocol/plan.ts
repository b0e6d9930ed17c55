import { z } from 'zod'
import { bytesField, cidField, count, runIdField } from './codec.ts'
import { COHORT_MAX, COHORT_MIN, PHASE_MILLIS_MAX, ROUNDS_MAX, WEIGHT_MAX } from './limits.ts'

/** How updates become lanes of Z/2^32: docs/protocol.md, "The vector". */
export const quantiserSchema = z.strictObject({
  /** Bits of one coordinate, b. */
  bits: count(24, 1),
  /** Each coordinate is clipped to ±this, in millionths. */
  rangeMicro: count(1_000_000_000_000, 1),
  /** Largest public weight (examples) of one node. */
  weightMax: count(WEIGHT_MAX, 1),
  /** Most reports that one sum may hold: the static overflow check is against this. */
  nMax: count(COHORT_MAX, COHORT_MIN),
})

export const cohortSchema = z.strictObject({
  /** Selection fails below this, and takes no more than `max`. */
  min: count(COHORT_MAX, COHORT_MIN),
  max: count(COHORT_MAX, COHORT_MIN),
  /** k of n: reporting fails below this at its deadline. */
  quorum: count(COHORT_MAX, COHORT_MIN),
})

export const timingSchema = z.strictObject({
  selectionMillis: count(PHASE_MILLIS_MAX, 1),
  reportingMillis: count(PHASE_MILLIS_MAX, 1),
  /** How long aggregation and settlement may take before the round is given up. */
  aggregationMillis: count(PHASE_MILLIS_MAX, 1),
  settlementMillis: count(PHASE_MILLIS_MAX, 1),
})

export const purposeField = z.enum(['train', 'evaluate'])
export const populationField = z.enum(['open', 'hospital'])
export const maskingField = z.enum(['none'])

/** What the coordinator asks of a round, signed by it (type `plan`). No time of day is in it. */
export const planSchema = z.strictObject({
  v: z.literal(1),
  run: runIdField,
  round: count(ROUNDS_MAX, 1),
  purpose: purposeField,
  population: populationField,
  masking: maskingField,
  task: cidField,
  /** The model to start from. */
  model: cidField,
  /** The sealed manifest of the last closed round; null before there is one. */
  parent: cidField.nullable(),
  cohortSeed: bytesField(32),
  cohort: cohortSchema,
  quantiser: quantiserSchema,
  timing: timingSchema,
})

export type Quantiser = z.output<typeof quantiserSchema>
export type CohortRule = z.output<typeof cohortSchema>
export type Timing = z.output<typeof timingSchema>
export type Purpose = z.output<typeof purposeField>
export type Population = z.output<typeof populationField>
export type Masking = z.output<typeof maskingField>
export type Plan = z.output<typeof planSchema>
