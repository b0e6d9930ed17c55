import { z } from 'zod'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { parseCid } from '#protocol/cid.ts'
import { count, nameField } from '#protocol/codec.ts'
import { type Cid, type FederationId, parseFederationId } from '#protocol/ids.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import { figureField, metricsField } from '#protocol/metrics.ts'
import {
  cohortSchema,
  maskingField,
  populationField,
  publishField,
  purposeField,
  secureSchema,
  timingSchema,
} from '#protocol/plan.ts'
import { questionSchema } from '#protocol/question.ts'
import { referenceModelField } from '#protocol/reference-models.ts'
import { verdictField } from '#protocol/spot-check.ts'
import {
  cardSchema,
  dataContractSchema,
  localObjective,
  lossField,
  optimiserSchema,
  strategySchema,
} from '#protocol/task.ts'
import { onFailuresField } from '../run-spec.ts'
import { termsSchema } from '../timing.ts'
import * as example from './examples.ts'
import { originView, stopRuleView, stopWhenField } from './stop-when.ts'

/** The API's shapes: what a request may say, what an answer says. OpenAPI is generated from them. */
export const text = (what: string) => z.string().meta({ description: what })
const cid = text('a CIDv1')
const amount = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,29})$/)
  .meta({ description: 'micro-credits, as a decimal text' })
export const time = text('RFC 3339')
export const federationId = z.string().regex(/^fed_[0-9A-HJKMNP-TV-Z]{26}$/)

const timingWithDefaults = z
  .strictObject({
    selectionMillis: timingSchema.shape.selectionMillis.default(30_000),
    keysMillis: timingSchema.shape.keysMillis
      .default(60_000)
      .meta({ description: 'masked rounds: to share keys, and again to agree on them, beside the training' }),
    reportingMillis: timingSchema.shape.reportingMillis.default(600_000),
    stragglerMillis: timingSchema.shape.stragglerMillis.optional().meta({
      description:
        'once the quorum has reported: how long the others still have; a quarter of reportingMillis by default, null: to the deadline',
    }),
    consistencyMillis: timingSchema.shape.consistencyMillis
      .default(60_000)
      .meta({ description: 'masked rounds: to confirm the survivors' }),
    unmaskingMillis: timingSchema.shape.unmaskingMillis
      .default(60_000)
      .meta({ description: 'masked rounds: to take the masks off' }),
    aggregationMillis: timingSchema.shape.aggregationMillis.default(120_000),
    settlementMillis: timingSchema.shape.settlementMillis.default(60_000),
    learned: termsSchema.shape.learned.default(true).meta({
      description:
        'give a phase no more than nodes have lately needed, thrice and ten seconds; these times are bounds then',
    }),
  })
  .prefault({})

const cohortWithDefaults = cohortSchema.extend({
  operatorSeatsMax: cohortSchema.shape.operatorSeatsMax.optional().meta({
    description: 'seats of one operator: half of max by default, and under masks at most secure.corrupt',
  }),
  paced: cohortSchema.shape.paced
    .default(false)
    .meta({ description: 'draw slow nodes less often: by measured times, so that no draw can be had again' }),
})

const secureWithDefaults = z
  .strictObject({
    suite: secureSchema.shape.suite.default(2).meta({ description: '1: X25519; 2: X25519 and ML-KEM-768' }),
    corrupt: secureSchema.shape.corrupt
      .optional()
      .meta({ description: 'corrupt nodes tolerated in the whole population; a fifth of the others by default' }),
    publish: publishField
      .optional()
      .meta({ description: 'full for open populations, commit-only for hospitals by default' }),
  })
  .prefault({})

/** Not a transform: zod takes examples off whatever transforms, and OpenAPI would show none of a run. */
const namedFederation = z
  .string()
  .refine((text) => parseFederationId(text).ok, 'must be a federation id, fed_ and a ULID') as unknown as z.ZodType<
  FederationId,
  string
>
const federationField = namedFederation.nullable().optional().meta({
  description: 'only its members are invited; a key of a federation launches in that one, and elsewhere nothing',
})

const failuresMaxField = count(1000, 1).default(3).meta({ description: 'aborted rounds in a row that are too many' })
const whenTooMany = onFailuresField.meta({
  description: 'what then: the run waits for POST /resume or /stop, or it ends as failed',
})

export const fileView = z.object({ cid, size_bytes: z.number().int() }).meta({ id: 'File', examples: [example.FILE] })
const fileCid = z
  .string()
  .refine((text) => parseCid(text).ok, 'must be a CID that POST /v1/files answered') as unknown as z.ZodType<
  Cid,
  string
>
const publicDataField = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('idx'), images: fileCid, labels: fileCid }),
    z.strictObject({ kind: z.literal('csv'), table: fileCid }),
  ])
  .meta({
    description:
      'files that anybody may read here: each node without data of its own trains on a share of at most data.rowsMax of their rows',
  })

export const createRunSchema = z
  .strictObject({
    task: z.strictObject({
      name: nameField,
      seed: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .meta({ description: '32 bytes in hexadecimal: root of all public randomness' }),
      architecture: architectureSchema,
      weights: fileCid.optional().meta({
        description:
          'a file of POST /v1/files that the run starts from: float32, little-endian, in the order of the model; the seed makes them otherwise',
      }),
      data: dataContractSchema,
      loss: lossField,
      optimiser: optimiserSchema,
      ...localObjective,
      epochs: count(1000, 1),
      batchSize: count(65_536, 1),
      clipNormMicro: count(1_000_000_000_000, 1).default(10_000_000),
      movingRangeMicro: count(1_000_000_000_000, 1)
        .optional()
        .meta({ description: 'how far each moving statistic may move in a round; clipNormMicro where it is left out' }),
      strategy: strategySchema.default({ kind: 'fedavg', rateMicro: 1_000_000 }),
      publicData: publicDataField.optional(),
      metrics: metricsField
        .optional()
        .meta({ description: 'beside accuracy and loss: each adds lanes to every vector' }),
      card: cardSchema.optional().meta({ description: 'what its author says of the model, for its card' }),
    }),
    rounds: count(ROUNDS_MAX - 1, 1).meta({ description: 'training rounds; one evaluate round follows' }),
    budget: amount.default('0'),
    population: populationField.default('open'),
    federation: federationField,
    masking: maskingField
      .optional()
      .meta({ description: 'secagg/1 wherever the cohort allows it (3 to 128 seats) unless asked otherwise' }),
    secure: secureWithDefaults,
    cohort: cohortWithDefaults,
    timing: timingWithDefaults,
    failuresMax: failuresMaxField,
    onFailures: whenTooMany.default('pause'),
    stopWhen: stopWhenField.optional(),
  })
  .meta({ description: 'what a run is made of, its task whole' })

export const createAskSchema = z
  .strictObject({
    question: questionSchema,
    population: populationField.default('open'),
    federation: federationField,
    secure: secureWithDefaults,
    cohort: cohortWithDefaults
      .optional()
      .meta({ description: 'all sites that come, at least question.minCohort, by default' }),
    timing: timingWithDefaults,
    failuresMax: failuresMaxField,
    onFailures: whenTooMany.default('end'),
  })
  .meta({ id: 'CreateStatsQuery', examples: [example.CREATE_ASK] })

const figureView = {
  value: z.number().nullable().meta({ description: 'null where it is not defined: no rows of a class, say' }),
  within: z.number().meta({ description: 'how far that of the unbinned rows can be from it' }),
}

const evaluationView = z
  .object({
    rows: z.int().nullable().meta({ description: 'held-out rows of all sites; null under masks' }),
    sites: z.int().nullable().meta({ description: 'under masks: sites, each of which counts alike; else null' }),
    accuracy: z.number(),
    loss: z.number().meta({ description: 'nats per row' }),
    figures: z
      .array(
        z.object({
          name: figureField,
          ...figureView,
          by_label: z
            .array(z.object(figureView))
            .optional()
            .meta({ description: 'of several labels, in the order of the contract; the figure itself is their mean' }),
        }),
      )
      .optional()
      .meta({ description: 'where the task asks for metrics' }),
  })
  .meta({ id: 'Evaluation' })

const statusField = z.enum(['funding', 'running', 'paused', 'finishing', 'completed', 'failed', 'stopped'])

export const statsQueryView = z
  .object({
    id: text('run_ and a ULID: its events and its bundle are under /v1/runs'),
    status: statusField,
    reason: z.string().nullable(),
    created_at: time,
    name: z.string(),
    population: populationField,
    federation: z.string().nullable(),
    question: cid,
    min_cell: z.int(),
    min_cohort: z.int(),
    round: z.int().nullable().meta({ description: 'the open round' }),
    phase: z.string().nullable(),
    manifest: cid.nullable().meta({ description: 'root of the bundle, from which the answer is recomputed' }),
  })
  .meta({ id: 'StatsQuery', examples: [example.ASK] })

export const runView = z
  .object({
    id: text('run_ and a ULID'),
    status: statusField,
    reason: z.string().nullable().meta({ description: 'why it is paused, failed or was stopped' }),
    created_at: time,
    purpose: z.enum(['train', 'ask']),
    name: z.string(),
    population: populationField,
    federation: z.string().nullable().meta({ description: 'whose members alone are invited' }),
    masking: maskingField,
    rounds: z.int().meta({ description: 'training rounds that are to close, extensions and all' }),
    closed: z.int().meta({ description: 'training rounds that have closed' }),
    over: z.int().meta({ description: 'rounds of any purpose that are over, however they ended' }),
    round: z.int().nullable().meta({ description: 'the open round' }),
    phase: z.string().nullable(),
    task: cid.meta({ description: 'the task, or the question' }),
    model: cid,
    manifest: cid.nullable().meta({ description: 'root of the bundle, once the run has ended' }),
    vectors: z
      .enum(['kept', 'expired'])
      .meta({ description: 'expired: deleted here, so that only their hashes and lengths can be checked' }),
    vectors_until: time.nullable().meta({
      description: 'when they expire; null while the run goes on, where they are kept for ever, and once they have',
    }),
    evaluation: evaluationView.nullable().meta({ description: 'of the final model' }),
    stop_when: stopRuleView.nullable().meta({ description: 'when it has trained enough' }),
    origin: originView.nullable().meta({ description: 'the closed round of another run whose model it started from' }),
    budget: amount.meta({ description: 'of the order and all extensions: micro-credits, as a decimal text' }),
    paid: amount,
    released: amount,
  })
  .meta({ id: 'Run', examples: [example.RUN] })

export const stopSchema = z
  .strictObject({ reason: nameField.meta({ description: 'why, for the record' }) })
  .meta({ id: 'StopRun', examples: [example.STOP] })

export const roundView = z
  .object({
    round: z.int(),
    purpose: purposeField,
    outcome: z.enum(['open', 'closed', 'aborted']),
    phase: z.string().nullable().meta({ description: 'of an open round; of an aborted one that in which it failed' }),
    reason: z.string().nullable().meta({ description: 'why it came to nothing' }),
    cohort: z.int().meta({ description: 'seats; none before they are drawn' }),
    reports: z.int(),
    opened_at: time,
    ended_at: time.nullable(),
    record: cid.nullable().meta({ description: 'the sealed manifest of a closed round, or record of an aborted one' }),
    evaluation: evaluationView.nullable().meta({ description: 'of the model that a closed round started from' }),
  })
  .meta({ id: 'Round', examples: [example.ROUND] })

export const seatView = z
  .object({
    seat: z.int(),
    node: text('z6Mk…'),
    outcome: z.enum(['waiting', 'reported', 'gone']),
    reason: z.string().nullable().meta({ description: 'why it is gone; or what it did not do after it reported' }),
    update: cid.nullable(),
    reported_at: time.nullable().meta({ description: 'while the round is open' }),
    train_ms: z.int().nullable().meta({ description: "by the node's own clock; null where nobody tells any more" }),
  })
  .meta({ id: 'Seat' })

export const roundWithSeatsView = roundView
  .extend({ seats: z.array(seatView) })
  .meta({ id: 'RoundWithSeats', examples: [example.ROUND_WITH_SEATS] })

const speed = z.int().meta({ description: 'samples a second, in thousandths' })
const standing = z.enum(['confirmed', 'unchecked', 'doubted']).meta({
  description: 'what spot checks made of it; nobody is drawn for a round, or paid, by it',
})

export const nodeView = z
  .object({
    id: text('z6Mk…'),
    linked: z.boolean(),
    operator: z.string().nullable().meta({ description: "by the coordinator's list" }),
    standing,
    capability: z
      .object({
        backend: z.string(),
        adapter: z.string().meta({ description: 'what the backend runs on; empty where it has no name' }),
        software: z.boolean().meta({ description: 'a graphics interface that a processor imitates' }),
        deterministic: z.boolean(),
        memory_bytes: z.int().meta({ description: 'lent to one task' }),
        version: z.string(),
        population: populationField,
        reported_at: time,
        stale: z.boolean(),
        stale_at: time,
        speeds: z.array(
          z.object({
            model: referenceModelField,
            milli_samples_per_second: speed.meta({ description: "the node's word: samples a second, in thousandths" }),
            measured_at: time.meta({ description: "RFC 3339, by the node's clock" }),
            standing,
            observed_milli_samples_per_second: speed
              .nullable()
              .meta({ description: 'at the last check, by our clock: it was at least so fast' }),
            checked_at: time.nullable(),
          }),
        ),
      })
      .nullable()
      .meta({ description: 'what it says of itself; null where it has said nothing' }),
  })
  .meta({ id: 'Node', examples: [example.NODE] })

export const checkView = z
  .object({
    at: time,
    model: referenceModelField,
    verdict: verdictField,
    claimed_milli_samples_per_second: speed,
    observed_milli_samples_per_second: speed.nullable(),
    elapsed_ms: z.int().nullable().meta({ description: 'from asking to answer, by our clock' }),
    train_ms: z.int().nullable().meta({ description: "by the node's own clock" }),
  })
  .meta({ id: 'SpotCheck' })

export const nodeWithHistoryView = nodeView
  .extend({
    checks: z.array(checkView).meta({ description: 'the newest first' }),
    rounds: z
      .array(
        z.object({
          run: z.string(),
          round: z.int(),
          train_ms: z.int().meta({ description: "by the node's own clock" }),
          elapsed_ms: z.int().meta({ description: 'from its seat to its report, by our clock' }),
        }),
      )
      .meta({ description: 'that it reported in since this process began, the newest first' }),
  })
  .meta({ id: 'NodeWithHistory', examples: [example.NODE_WITH_HISTORY] })

export const problemView = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string(),
    request_id: z.string(),
    retryable: z.boolean(),
    errors: z.array(z.object({ pointer: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem', examples: [example.PROBLEM] })

export const eventView = z
  .looseObject({ type: z.string(), run: z.string(), seq: z.int(), time })
  .meta({ id: 'Event', examples: [example.EVENT], description: 'docs/protocol.md lists the types and their fields' })

/** Its example is a page of the item's. */
export const page = <T extends z.ZodType>(item: T) =>
  z
    .object({ data: z.array(item), has_more: z.boolean(), next: z.string().nullable() })
    .meta({ examples: [{ data: item.meta()?.['examples'] ?? [], has_more: false, next: null }] })
