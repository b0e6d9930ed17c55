import { z } from 'zod'
import { bytesField, cidField, count, runIdField } from './codec.ts'
import { COHORT_MAX, COHORT_MIN, PHASE_MILLIS_MAX, ROUNDS_MAX, SESSION_MEMBERS_MAX, WEIGHT_MAX } from './limits.ts'

/** How updates become lanes of Z/2^32: docs/protocol.md, "The vector". */
export const quantiserSchema = z.strictObject({
  /** Bits of one coordinate, b. */
  bits: count(24, 1),
  /** Each coordinate is clipped to ±this, in millionths. 0: lanes are whole numbers as they are, and no model comes of them. */
  rangeMicro: count(1_000_000_000_000),
  /** Largest public weight (examples) of one node. */
  weightMax: count(WEIGHT_MAX, 1),
  /** Most reports that one sum may hold: the static overflow check is against this. */
  nMax: count(COHORT_MAX, COHORT_MIN),
  /** The same of each moving statistic, where the task gives these a range of their own; else they have that of the others. */
  movingRangeMicro: count(1_000_000_000_000, 1).optional(),
})

export const cohortSchema = z.strictObject({
  /** Selection fails below this, and takes no more than `max`. */
  min: count(COHORT_MAX, COHORT_MIN),
  max: count(COHORT_MAX, COHORT_MIN),
  /** k of n: reporting fails below this at its deadline. */
  quorum: count(COHORT_MAX, COHORT_MIN),
  /** No operator has more seats. Under masks at most C, since its nodes see with one pair of eyes. */
  operatorSeatsMax: count(COHORT_MAX, 1),
  /**
   * Whether the draw goes by how fast nodes were. Times are the coordinator's word, and another run measures others: without
   * them everybody can redo the draw, and the same participants make the same cohorts again.
   */
  paced: z.boolean(),
})

export const timingSchema = z.strictObject({
  selectionMillis: count(PHASE_MILLIS_MAX, 1),
  /** Masked rounds: for sharing keys, and again for agreeing on them. Training goes on meanwhile. */
  keysMillis: count(PHASE_MILLIS_MAX, 1),
  reportingMillis: count(PHASE_MILLIS_MAX, 1),
  /** Once the quorum has reported: how long the others still have. Null: to the deadline; 0: the quorum is enough. */
  stragglerMillis: count(PHASE_MILLIS_MAX).nullable(),
  /** Masked rounds: for signing the set of survivors. */
  consistencyMillis: count(PHASE_MILLIS_MAX, 1),
  /** Masked rounds: for giving the shares that take the masks off. */
  unmaskingMillis: count(PHASE_MILLIS_MAX, 1),
  /** How long aggregation and settlement may take before the round is given up. */
  aggregationMillis: count(PHASE_MILLIS_MAX, 1),
  settlementMillis: count(PHASE_MILLIS_MAX, 1),
})

/** `ask`: `task` and `model` both name a question, and no model comes of the sum. */
export const purposeField = z.enum(['train', 'evaluate', 'ask'])
export const populationField = z.enum(['open', 'hospital'])
export const maskingField = z.enum(['none', 'secagg/1'])
/** Whether masked vectors are anyone's to fetch, or go to the aggregator and to members alone and only their hashes are published. */
export const publishField = z.enum(['full', 'commit-only'])

/** How the sessions of a masked run are held: docs/protocol.md, "Secure aggregation". */
export const secureSchema = z.strictObject({
  /** 1: X25519. 2: X25519 and ML-KEM-768. */
  suite: z.union([z.literal(1), z.literal(2)]),
  /** C: corrupt nodes tolerated in the whole population. */
  corrupt: count(SESSION_MEMBERS_MAX, 1),
  publish: publishField,
})

/** What the coordinator asks of a round, signed by it (type `plan`). No time of day is in it. */
export const planSchema = z.strictObject({
  v: z.literal(1),
  run: runIdField,
  round: count(ROUNDS_MAX, 1),
  purpose: purposeField,
  population: populationField,
  masking: maskingField,
  /** Null where nothing is masked. */
  secure: secureSchema.nullable(),
  /** What the run is about: a task, or a question. */
  task: cidField,
  /** The model to start from. */
  model: cidField,
  /** The sealed manifest of the last closed round; null before there is one. */
  parent: cidField.nullable(),
  /** How earlier sessions over this same model, or about any question, ended (`endingsSchema`), so that a site can judge whether to give another input. */
  endings: cidField.nullable(),
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
export type Secure = z.output<typeof secureSchema>
export type Plan = z.output<typeof planSchema>
