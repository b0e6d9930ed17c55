import { z } from 'zod'
import { cidField, count, millisField, nodeIdField, operatorField, reasonField, reasonName } from '#protocol/codec.ts'
import { COHORT_MAX, PHASE_MILLIS_MAX, ROUNDS_MAX, SESSION_MEMBERS_MAX } from '#protocol/limits.ts'
import { evaluationSchema } from '#protocol/manifest.ts'

/** What can happen to an open round, in the past tense. `at` is when the coordinator took note of it. */
const here = { at: millisField, round: count(ROUNDS_MAX, 1) }

export const roundEvents = [
  /** With its key advert where the round is masked, and its operator where it is not its own. */
  z.strictObject({
    kind: z.literal('joined'),
    ...here,
    node: nodeIdField,
    operator: operatorField.nullable(),
    advert: cidField.nullable(),
  }),
  z.strictObject({ kind: z.literal('declined'), ...here, node: nodeIdField, reason: reasonName }),
  /** The session's roster is signed. */
  z.strictObject({ kind: z.literal('enrolled'), ...here, roster: cidField }),
  z.strictObject({ kind: z.literal('dealt'), ...here, node: nodeIdField, keys: cidField, parcel: cidField }),
  /** U2 is signed: of those who dealt, or of the U2 before, without the seats in `out`. */
  z.strictObject({
    kind: z.literal('shared'),
    ...here,
    shared: cidField,
    parcels: cidField,
    out: z.array(count(COHORT_MAX)).max(SESSION_MEMBERS_MAX).readonly(),
  }),
  z.strictObject({ kind: z.literal('agreed'), ...here, node: nodeIdField }),
  z.strictObject({ kind: z.literal('objected'), ...here, node: nodeIdField, complaints: cidField }),
  /** A sealed report and its vector; in a masked round a sealed MaskedInput and the masked vector. */
  z.strictObject({
    kind: z.literal('reported'),
    ...here,
    node: nodeIdField,
    update: cidField,
    vector: cidField,
    trainMillis: count(PHASE_MILLIS_MAX),
  }),
  /** U3 is signed: everybody whose input is in. */
  z.strictObject({ kind: z.literal('surveyed'), ...here, survivors: cidField }),
  z.strictObject({ kind: z.literal('confirmed'), ...here, node: nodeIdField, confirm: cidField }),
  z.strictObject({ kind: z.literal('certified'), ...here, certificate: cidField }),
  z.strictObject({ kind: z.literal('unmasked'), ...here, node: nodeIdField, unmask: cidField }),
  /** A member erased what it held of the session. */
  z.strictObject({
    kind: z.literal('abandoned'),
    ...here,
    node: nodeIdField,
    abandon: cidField,
    confirmed: z.boolean(),
  }),
  z.strictObject({ kind: z.literal('left'), ...here, node: nodeIdField, reason: reasonName }),
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
