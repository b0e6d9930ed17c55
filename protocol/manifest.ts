import { z } from 'zod'
import { amountField, bytesField, cidField, count, nameField, nodeIdField, reasonField, runIdField } from './codec.ts'
import { extensionsField } from './extension.ts'
import {
  COHORT_MAX,
  ENDINGS_MAX,
  LAYERS_MAX,
  PARAMETERS_MAX,
  PHASE_MILLIS_MAX,
  ROUNDS_MAX,
  SESSION_MEMBERS_MAX,
} from './limits.ts'
import { figuresField } from './metrics.ts'
import { maskingField, planSchema, populationField, purposeField } from './plan.ts'
import { receiptSchema } from './receipt.ts'
import { stopRuleSchema } from './stop-rule.ts'

/**
 * A model by content: no time, key, run or parent is in it, so the same weights have the same CID everywhere; lineage is
 * in the round manifest. `weights` holds the tensors in this order, float32 little-endian, one after another.
 */
export const modelSchema = z.strictObject({
  architecture: cidField,
  tensors: z
    .array(
      z.strictObject({
        name: nameField,
        shape: z.array(count(PARAMETERS_MAX, 1)).max(4).readonly(),
        role: z.enum(['trainable', 'moving', 'frozen']),
      }),
    )
    .max(LAYERS_MAX * 4)
    .readonly(),
  weights: cidField,
})

/** What a node signs about its update (envelope type `report`, next to run, round, recipient and sequence). */
const updateFields = {
  seat: count(COHORT_MAX),
  /** The sealed plan it followed. */
  plan: cidField,
  /** The model it started from. */
  model: cidField,
  vector: cidField,
  sizeBytes: count(Number.MAX_SAFE_INTEGER),
  /** Lanes of 32 bits in the vector, header and check lanes included. */
  lanes: count(2 ** 31),
  /** How long it trained, by its own clock: for the timeline, never for pay. */
  trainMillis: count(PHASE_MILLIS_MAX),
} as const

/** The signed body of a report as it is kept: who it is said to, about which round, and the update. */
export const updateSchema = z.strictObject({
  to: nodeIdField,
  seq: count(Number.MAX_SAFE_INTEGER),
  run: runIdField,
  round: count(ROUNDS_MAX, 1),
  ...updateFields,
})

/** The incoming model on the cohort's held-out rows: sums over the sites' evaluation lanes. */
export const evaluationSchema = z.strictObject({
  rows: count(Number.MAX_SAFE_INTEGER),
  correct: count(Number.MAX_SAFE_INTEGER),
  /** Sum over rows of the loss in nats, times 2^16. */
  lossQ16: count(Number.MAX_SAFE_INTEGER),
  /** What the sum's score lanes say, where the task asks for metrics; left out where it does not. */
  figures: figuresField.optional(),
})

const seatSchema = z.strictObject({
  node: nodeIdField,
  /** The sealed report, in a masked round the sealed `MaskedInput`; or null with the reason why there is none. */
  update: cidField.nullable(),
  reason: reasonField.nullable(),
})

/**
 * A round's seats, ascending by key. A block of its own: it grows with the cohort, and a node that follows a model to the
 * round that made it need not read it.
 */
export const seatListSchema = z.array(seatSchema).min(1).max(COHORT_MAX).readonly()

/** A masked round's session: the messages by their seals, from which everybody takes the masks off again. */
const sessionSchema = z.strictObject({
  roster: cidField,
  shared: cidField,
  survivors: cidField,
  certificate: cidField,
  result: cidField,
  /** Blocks of mask ciphertexts from survivors to higher dropouts, one for each such survivor (suite 2). */
  maskCts: z.array(cidField).max(SESSION_MEMBERS_MAX).readonly(),
  /**
   * There exactly where the masked vectors are withheld and larger than a block: the hash of each one's root (dag-pb), in the
   * order of U3. Not links: the vectors are no part of the record, but members read them by these names.
   */
  vectorRoots: z.array(bytesField(32)).max(SESSION_MEMBERS_MAX).readonly().optional(),
})

/**
 * How sessions over one model ended that made no new one: by a certificate over a set, or by so many who abandoned it
 * that no set can get one. A site that gave an input to such a session asks for this before it gives another.
 */
export const endingsSchema = z
  .array(
    z.strictObject({
      round: count(ROUNDS_MAX, 1),
      roster: cidField,
      certified: z.strictObject({ shared: cidField, survivors: cidField, certificate: cidField }).nullable(),
      abandons: z.array(cidField).max(SESSION_MEMBERS_MAX).readonly(),
    }),
  )
  .min(1)
  .max(ENDINGS_MAX)
  .readonly()

/**
 * One closed round, signed by the coordinator (type `round`). It names everything that is needed to do the round again:
 * plan, every seat with its signed update, the sum, the strategy's memory, the next model; its parents are its history.
 */
export const roundManifestSchema = z.strictObject({
  v: z.literal(1),
  run: runIdField,
  round: count(ROUNDS_MAX, 1),
  purpose: purposeField,
  parent: cidField.nullable(),
  plan: cidField,
  /** The record of the draw: `selectionSchema`. */
  selection: cidField,
  /** The block that lists them: `seatListSchema`. */
  seats: cidField,
  /** Null where nothing was masked. */
  session: sessionSchema.nullable(),
  /** The sum over reporting seats, all lanes, without masks. */
  aggregate: cidField,
  /** The strategy's memory after this round, float32 little-endian; empty for FedAvg. */
  memory: cidField,
  /** The next model; the incoming one again in an `evaluate` round. */
  model: cidField,
  /** Of the incoming model. */
  evaluation: evaluationSchema,
})

/** The phases in which a round can come to nothing. */
export const endedInField = z.enum([
  'selection',
  'keys',
  'reporting',
  'evaluation',
  'consistency',
  'unmasking',
  'aggregation',
])

/**
 * One round that came to nothing, signed by the coordinator (type `aborted`): under which plan, how far it got, why it
 * ended, and what became of every seat. No history goes through it: the next round starts where this one did.
 */
export const abortedManifestSchema = z.strictObject({
  v: z.literal(1),
  run: runIdField,
  round: count(ROUNDS_MAX, 1),
  purpose: purposeField,
  parent: cidField.nullable(),
  plan: cidField,
  /** The phase in which it failed. */
  phase: endedInField,
  reason: reasonField,
  /** The record of the draw; where it ended before that, of those who had come: `selectionSchema`. */
  selection: cidField,
  /**
   * Ascending by key; none where it ended in selection. Here a seat that reported may have a reason as well: what it did
   * not do afterwards.
   */
  seats: z.array(seatSchema).max(COHORT_MAX).readonly(),
  /** Of a masked round, once it is signed. */
  roster: cidField.nullable(),
})

/** A round's sealed receipts, in seat order of the paid. A block of its own: it grows with the cohort. */
export const receiptListSchema = z.array(cidField).min(1).max(COHORT_MAX).readonly()

/** A closed round of another run, by its sealed manifest: a bundle has that and nothing of its history. */
export const originSchema = z.strictObject({ run: runIdField, round: count(ROUNDS_MAX, 1), manifest: cidField })

/** The run's record and the root of its bundle, signed by the coordinator (type `run`). */
export const runManifestSchema = z.strictObject({
  v: z.literal(1),
  run: runIdField,
  coordinator: nodeIdField,
  population: populationField,
  masking: maskingField,
  task: cidField,
  /** Training rounds that are to close, as they were ordered; the evaluate round follows them. */
  planned: count(ROUNDS_MAX, 1),
  /** What was added while it went on, the earliest first; left out where nothing was. */
  extensions: extensionsField.optional(),
  /** When it has trained enough before; left out where nobody said. */
  stopWhen: stopRuleSchema.optional(),
  /** Whose model the task starts from, where that was forked. */
  origin: originSchema.optional(),
  rounds: z
    .array(
      z.strictObject({
        round: count(ROUNDS_MAX, 1),
        /** The sealed round manifest of a closed round; or null, and then there is the other one. */
        manifest: cidField.nullable(),
        /** The sealed record of an aborted round. */
        aborted: cidField.nullable(),
        /** The block that lists this round's receipts; null when nobody was paid. */
        receipts: cidField.nullable(),
      }),
    )
    .max(ROUNDS_MAX)
    .readonly(),
  /** `stopped`: by its owner, who said why. A completed one has a reason where its rule ended it before the planned rounds. */
  outcome: z.enum(['completed', 'failed', 'stopped']),
  reason: reasonField.nullable(),
  model: cidField,
  /** Of the final model, from the evaluate round; null when that round did not close. */
  evaluation: evaluationSchema.nullable(),
  /** As it was ordered: paid + released is this and what the extensions brought. */
  budget: amountField,
  paid: amountField,
  released: amountField,
})

/** What can be kept under a seal: the envelope's type, and what its body then is. */
export const manifestTypes = {
  plan: planSchema,
  report: updateSchema,
  round: roundManifestSchema,
  aborted: abortedManifestSchema,
  receipt: receiptSchema,
  run: runManifestSchema,
} as const

export type ModelManifest = z.output<typeof modelSchema>
export type Evaluation = z.output<typeof evaluationSchema>
export type SessionManifest = z.output<typeof sessionSchema>
export type Endings = z.output<typeof endingsSchema>
export type SeatRecord = z.output<typeof seatSchema>
export type RoundManifest = z.output<typeof roundManifestSchema>
/** The manifest with its list of seats. */
export type RoundRecord = Omit<RoundManifest, 'seats'> & { readonly seats: readonly SeatRecord[] }
export type AbortedManifest = z.output<typeof abortedManifestSchema>
export type EndedIn = z.output<typeof endedInField>
export type Origin = z.output<typeof originSchema>
export type RunManifest = z.output<typeof runManifestSchema>
