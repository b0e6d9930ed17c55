import { z } from 'zod'
import { architectureSchema } from '#protocol/architecture.ts'
import { count, nameField } from '#protocol/codec.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import {
  cohortSchema,
  maskingField,
  populationField,
  publishField,
  secureSchema,
  timingSchema,
} from '#protocol/plan.ts'
import { questionSchema } from '#protocol/question.ts'
import { dataContractSchema, lossField, optimiserSchema, strategySchema } from '#protocol/task.ts'

/** The API's shapes: what a request may say, what an answer says. OpenAPI is generated from them. */
const text = (what: string) => z.string().meta({ description: what })
const cid = text('a CIDv1')
const amount = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,29})$/)
  .meta({ description: 'micro-credits, as a decimal text' })
const time = text('RFC 3339')

const timingWithDefaults = z
  .strictObject({
    selectionMillis: timingSchema.shape.selectionMillis.default(30_000),
    keysMillis: timingSchema.shape.keysMillis
      .default(60_000)
      .meta({ description: 'masked rounds: to share keys, and again to agree on them, beside the training' }),
    reportingMillis: timingSchema.shape.reportingMillis.default(600_000),
    consistencyMillis: timingSchema.shape.consistencyMillis
      .default(60_000)
      .meta({ description: 'masked rounds: to confirm the survivors' }),
    unmaskingMillis: timingSchema.shape.unmaskingMillis
      .default(60_000)
      .meta({ description: 'masked rounds: to take the masks off' }),
    aggregationMillis: timingSchema.shape.aggregationMillis.default(120_000),
    settlementMillis: timingSchema.shape.settlementMillis.default(60_000),
  })
  .prefault({})

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

const failuresMaxField = count(1000, 1).default(3).meta({ description: 'aborted rounds in a row that end the run' })

export const createRunSchema = z
  .strictObject({
    task: z.strictObject({
      name: nameField,
      seed: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .meta({ description: '32 bytes in hexadecimal: root of all public randomness' }),
      architecture: architectureSchema,
      data: dataContractSchema,
      loss: lossField,
      optimiser: optimiserSchema,
      epochs: count(1000, 1),
      batchSize: count(65_536, 1),
      clipNormMicro: count(1_000_000_000_000, 1).default(10_000_000),
      strategy: strategySchema.default({ kind: 'fedavg', rateMicro: 1_000_000 }),
    }),
    rounds: count(ROUNDS_MAX - 1, 1).meta({ description: 'training rounds; one evaluate round follows' }),
    budget: amount.default('0'),
    population: populationField.default('open'),
    masking: maskingField
      .optional()
      .meta({ description: 'secagg/1 wherever the cohort allows it (3 to 128 seats) unless asked otherwise' }),
    secure: secureWithDefaults,
    cohort: cohortSchema,
    timing: timingWithDefaults,
    failuresMax: failuresMaxField,
  })
  .meta({ id: 'CreateRun' })

export const createAskSchema = z
  .strictObject({
    question: questionSchema,
    population: populationField.default('open'),
    secure: secureWithDefaults,
    cohort: cohortSchema
      .optional()
      .meta({ description: 'all sites that come, at least question.minCohort, by default' }),
    timing: timingWithDefaults,
    failuresMax: failuresMaxField,
  })
  .meta({ id: 'CreateStatsQuery' })

const evaluationView = z
  .object({
    rows: z.int().nullable().meta({ description: 'held-out rows of all sites; null under masks' }),
    sites: z.int().nullable().meta({ description: 'under masks: sites, each of which counts alike; else null' }),
    accuracy: z.number(),
    loss: z.number().meta({ description: 'nats per row' }),
  })
  .meta({ id: 'Evaluation' })

const statusField = z.enum(['funding', 'running', 'finishing', 'completed', 'failed'])

export const statsQueryView = z
  .object({
    id: text('run_ and a ULID: its events and its bundle are under /v1/runs'),
    status: statusField,
    reason: z.string().nullable(),
    created_at: time,
    name: z.string(),
    population: populationField,
    question: cid,
    min_cell: z.int(),
    min_cohort: z.int(),
    round: z.int().nullable().meta({ description: 'the open round' }),
    phase: z.string().nullable(),
    manifest: cid.nullable().meta({ description: 'root of the bundle, from which the answer is recomputed' }),
  })
  .meta({ id: 'StatsQuery' })

export const runView = z
  .object({
    id: text('run_ and a ULID'),
    status: statusField,
    reason: z.string().nullable(),
    created_at: time,
    purpose: z.enum(['train', 'ask']),
    name: z.string(),
    population: populationField,
    masking: maskingField,
    rounds: z.int(),
    round: z.int().nullable().meta({ description: 'the open round' }),
    phase: z.string().nullable(),
    task: cid.meta({ description: 'the task, or the question' }),
    model: cid,
    manifest: cid.nullable().meta({ description: 'root of the bundle, once the run has ended' }),
    evaluation: evaluationView.nullable().meta({ description: 'of the final model' }),
    budget: amount,
    paid: amount,
    released: amount,
  })
  .meta({ id: 'Run' })

export const nodeView = z.object({ id: text('z6Mk…') }).meta({ id: 'Node' })

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
  .meta({ id: 'Problem' })

export const eventView = z
  .looseObject({ type: z.string(), run: z.string(), seq: z.int(), time })
  .meta({ id: 'Event', description: 'docs/protocol.md lists the types and their fields' })

export const page = <T extends z.ZodType>(item: T) =>
  z.object({ data: z.array(item), has_more: z.boolean(), next: z.string().nullable() })
