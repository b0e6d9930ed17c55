import { z } from 'zod'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { parseCid } from '#protocol/cid.ts'
import { count, nameField } from '#protocol/codec.ts'
import { EVENT_TYPES } from '#protocol/event-types.ts'
import { type Cid, type FederationId, parseFederationId } from '#protocol/ids.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import { metricsField } from '#protocol/metrics.ts'
import {
  cohortSchema,
  maskingField,
  populationField,
  publishField,
  secureSchema,
  timingSchema,
} from '#protocol/plan.ts'
import { questionSchema } from '#protocol/question.ts'
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
import { stopWhenField } from './stop-when.ts'

/** What a request for a run or a question may say, and the fields of all shapes. OpenAPI is generated from them. */
export const text = (what: string) => z.string().meta({ description: what })
export const cid = text('a CIDv1')
export const amount = z
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
  .looseObject({ type: text(`one of ${EVENT_TYPES.join(', ')}`), run: z.string(), seq: z.int(), time })
  .meta({ id: 'Event', examples: [example.EVENT], description: 'docs/webhooks.md says what each type tells of' })

/** Its example is a page of the item's. */
export const page = <T extends z.ZodType>(item: T) =>
  z
    .object({ data: z.array(item), has_more: z.boolean(), next: z.string().nullable() })
    .meta({ examples: [{ data: item.meta()?.['examples'] ?? [], has_more: false, next: null }] })
