import { z } from 'zod'
import { bytesField, cidField, count, nameField } from './codec.ts'

import {
  COLUMNS_MAX,
  LABELS_MAX,
  LEVELS_MAX,
  PARTS_MAX,
  PROSE_CHARS_MAX,
  REAL_MICRO_MAX,
  TOKENS_MAX,
  VOCABULARY_MAX,
  WEIGHT_MAX,
  WORD_CHARS_MAX,
} from './limits.ts'
import { metricsField, mistakeInMetrics, type Predicted } from './metrics.ts'
import { accept, type Result, refuse } from './result.ts'

/** What to train: model, data contract, loss, local optimiser, strategy. Data, not code, so that a steward can read it. */
const image = {
  kind: z.literal('image'),
  height: count(4096, 1),
  width: count(4096, 1),
  channels: count(4, 1),
}
const classes = count(65_536, 2)
const rowsMax = count(WEIGHT_MAX, 1)

const imageContract = z.strictObject({ ...image, classes, rowsMax })

const column = z.discriminatedUnion('kind', [
  /** z-scored by the site's own train mean and deviation; `gaps`: some site lacks values, so a missing flag is added. */
  z.strictObject({ kind: z.literal('number'), name: nameField, gaps: z.boolean() }),
  /** One-hot without the first level. */
  z.strictObject({
    kind: z.literal('category'),
    name: nameField,
    levels: z.array(z.int()).min(2).max(LEVELS_MAX).readonly(),
    gaps: z.boolean(),
  }),
])

const table = { kind: z.literal('table'), columns: z.array(column).min(1).max(COLUMNS_MAX).readonly() }

/** What is there counts at most a thousand times what is not. */
const POSITIVE_MICRO_MAX = 1_000_000_000

const label = z.discriminatedUnion('rule', [
  /** `integer`: the class is the value; `not-zero`: 0 is class 0, everything else class 1. */
  z.strictObject({ column: nameField, rule: z.enum(['integer', 'not-zero']), classes }),
  /**
   * (value − centre) ÷ scale is to be predicted. Both are public and the same at every site: scaled by its own rows, each site
   * would learn something else, and a prediction could be read at none of them.
   */
  z.strictObject({
    column: nameField,
    rule: z.literal('number'),
    centreMicro: z.int().min(-REAL_MICRO_MAX).max(REAL_MICRO_MAX),
    scaleMicro: count(REAL_MICRO_MAX, 1),
  }),
  /**
   * Each is there or not, by itself: 1 or 0 in its column, and an empty cell where nobody knows. What is known of a row counts,
   * so that a site may have looked for some of them only. `positiveMicro`: what one that is there counts in the loss, in
   * millionths; 1 unless told otherwise, more where it is rare.
   */
  z.strictObject({
    rule: z.literal('multi-label'),
    labels: z
      .array(z.strictObject({ column: nameField, positiveMicro: count(POSITIVE_MICRO_MAX, 1).optional() }))
      .min(2)
      .max(LABELS_MAX)
      .readonly()
      .refine((labels) => new Set(labels.map(({ column }) => column)).size === labels.length, 'a column is named once'),
  }),
])

const tableContract = z.strictObject({ ...table, label, rowsMax })

/** How a text becomes whole numbers, of which 0 fills up what is too short. The same at every site. */
const tokens = z.discriminatedUnion('kind', [
  /** UTF-8, each byte and 1. */
  z.strictObject({ kind: z.literal('bytes') }),
  /** In lower case under NFC, runs of letters, marks and digits; 1 is a word that is not named, the first that is named 2. */
  z.strictObject({
    kind: z.literal('words'),
    vocabulary: z
      .array(nameField.max(WORD_CHARS_MAX))
      .min(1)
      .max(VOCABULARY_MAX)
      .readonly()
      .refine((words) => new Set(words).size === words.length, 'a word is named once'),
  }),
])

/** The first `length` tokens of a column's text. */
const text = { kind: z.literal('text'), column: nameField, tokens, length: count(TOKENS_MAX, 1) }

const textContract = z.strictObject({ ...text, label, rowsMax })

/** Row i of a table and row i of the images are one: their features come in the order of the parts, in one flat row. */
const jointContract = z
  .strictObject({
    kind: z.literal('joint'),
    parts: z
      .array(z.discriminatedUnion('kind', [z.strictObject(table), z.strictObject(image), z.strictObject(text)]))
      .min(1)
      .max(PARTS_MAX)
      .readonly()
      .refine((parts) => parts.filter(({ kind }) => kind === 'image').length === 1, 'one part is of images'),
    /** A column of the table, or several. */
    label,
    rowsMax,
  })
  .refine(
    ({ parts, label }) => parts.length > 1 || label.rule === 'multi-label',
    'images by themselves have a file of labels, unless each has several',
  )

export const dataContractSchema = z.discriminatedUnion('kind', [
  imageContract,
  tableContract,
  textContract,
  jointContract,
])

const rateMicro = count(1_000_000_000, 1)
/** Of an average over the steps: what is left of it at each of them. */
const kept = count(999_999)
const epsilonNano = count(1_000_000_000, 1)
const adam = { rateMicro, beta1Micro: kept, beta2Micro: kept, epsilonNano }

/** Each starts at rest in every round: what it remembers stays at the site, and ends with the fit. */
export const optimiserSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sgd'),
    rateMicro,
    momentumMicro: kept,
    nesterov: z.literal(true).optional(),
  }),
  z.strictObject({ kind: z.literal('adam'), ...adam }),
  /** The decay is of the weights themselves, times the rate, of tensors with two axes or more: no bias, no normalisation. */
  z.strictObject({ kind: z.literal('adamw'), ...adam, weightDecayMicro: count(1_000_000) }),
  z.strictObject({
    kind: z.literal('rmsprop'),
    rateMicro,
    discountMicro: kept,
    momentumMicro: kept,
    epsilonNano,
    centred: z.literal(true).optional(),
  }),
])

export const strategySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('fedavg'), rateMicro: count(1_000_000_000, 1) }),
])

/**
 * Means over the batch. `softmax` is over `classes` logits and `sigmoid` over one, classes 0 and 1, or over one for each of
 * several labels, the mean over those that are known of the row; both in nats. The others are of one number, as the label's scale has it: (z − y)², |z − y|, and Huber's (1964), ½(z − y)² up to one scale and
 * |z − y| − ½ beyond.
 */
export const lossField = z.enum([
  'softmax-cross-entropy',
  'sigmoid-cross-entropy',
  'mean-squared-error',
  'mean-absolute-error',
  'huber',
])

/** Files that anybody may read at the coordinator: each node without data of its own trains on a share of their rows. */
const publicDataSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('idx'), images: cidField, labels: cidField }),
  z.strictObject({ kind: z.literal('csv'), table: cidField }),
])

/** What a site does to the gradient of its loss before it steps. */
export const localObjective = {
  /** The most that all gradients of a step may measure together, in millionths; larger ones are scaled down. */
  gradientNormMicro: count(1_000_000_000_000, 1).optional(),
  /** μ of FedProx, in millionths: the local objective is the loss + μ ÷ 2 · ‖w − w_t‖², w_t being the weights that came in. */
  proximalMicro: count(1_000_000_000, 1).optional(),
}

const prose = z
  .string()
  .min(1)
  .max(PROSE_CHARS_MAX)
  .refine((text) => text.isWellFormed(), 'is not Unicode')

/** What its author says of the model that comes of it, for whoever meets it later: nothing is trained by it. */
export const cardSchema = z.strictObject({
  intendedUse: prose.optional(),
  limitations: prose.optional(),
  /** An SPDX identifier, or what the Hugging Face Hub has for one. */
  license: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$/, 'an SPDX identifier')
    .optional(),
  /** A BCP 47 tag, of the text that it reads. */
  language: z
    .string()
    .regex(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/, 'a BCP 47 tag')
    .optional(),
})

const taskFields = z.strictObject({
  v: z.literal(1),
  name: nameField,
  /** Root of everything random that is public: genesis, cohorts. */
  seed: bytesField(32),
  architecture: cidField,
  /** The model manifest that round 1 starts from. */
  genesis: cidField,
  /** Its weights are whatever the researcher brings; without, anyone can compute them from the seed. */
  start: z.literal('given').optional(),
  data: dataContractSchema,
  loss: lossField,
  optimiser: optimiserSchema,
  ...localObjective,
  epochs: count(1000, 1),
  batchSize: count(65_536, 1),
  /** L2 bound of one node's delta, in millionths; also the range of every coordinate. */
  clipNormMicro: count(1_000_000_000_000, 1),
  /** How far each moving statistic of the model may move in a round; left out, as far as `clipNormMicro`. */
  movingRangeMicro: count(1_000_000_000_000, 1).optional(),
  strategy: strategySchema,
  publicData: publicDataSchema.optional(),
  /** Of the incoming model on held-out rows, beside accuracy and loss. */
  metrics: metricsField.optional(),
  card: cardSchema.optional(),
})

export const taskSchema = taskFields.superRefine((task, context) => {
  const message = task.metrics && mistakeInMetrics(task.metrics, predictedOf(task))
  if (message) context.addIssue({ code: 'custom', path: ['metrics'], message })
})

export type DataContract = z.output<typeof dataContractSchema>
export type TableContract = z.output<typeof tableContract>
export type ImageContract = z.output<typeof imageContract>
export type TextContract = z.output<typeof textContract>
export type JointContract = z.output<typeof jointContract>
export type Optimiser = z.output<typeof optimiserSchema>
export type StrategySpec = z.output<typeof strategySchema>
export type Loss = z.output<typeof lossField>
export type Card = z.output<typeof cardSchema>
export type Task = z.output<typeof taskSchema>

/** What is to be predicted of a row. */
export type Label = z.output<typeof label>
export type Tokens = z.output<typeof tokens>
/** What a contract says of one kind of data. */
export type Part = JointContract['parts'][number]

/** How many classes rows are told apart into; undefined where a number is predicted, or several labels. */
export function classesOf(contract: DataContract): number | undefined {
  if (contract.kind === 'image') return contract.classes
  return 'classes' in contract.label ? contract.label.classes : undefined
}

/** Of several labels, what each counts in the loss where it is there; undefined where a row has one label. */
export function positivesOf(contract: DataContract): readonly number[] | undefined {
  if (contract.kind === 'image' || contract.label.rule !== 'multi-label') return undefined
  return contract.label.labels.map(({ positiveMicro = 1_000_000 }) => positiveMicro / 1_000_000)
}

/** Numbers that a model gives of a row for this loss. Refused where the loss is not for such labels. */
export function outputsOf(loss: Loss, contract: DataContract): Result<number, 'wrong-loss'> {
  const classes = classesOf(contract)
  const labels = positivesOf(contract)?.length
  switch (loss) {
    case 'softmax-cross-entropy':
      return classes === undefined ? refuse('wrong-loss', `${loss} is for classes`) : accept(classes)
    case 'sigmoid-cross-entropy':
      if (labels !== undefined) return accept(labels)
      return classes === 2 ? accept(1) : refuse('wrong-loss', `${loss} is for two classes, or for several labels`)
    case 'mean-squared-error':
    case 'mean-absolute-error':
    case 'huber':
      return classes === undefined && labels === undefined ? accept(1) : refuse('wrong-loss', `${loss} is for a number`)
  }
}

/** What a model of this task says of a row. */
export function predictedOf({ data }: Pick<z.output<typeof taskFields>, 'data'>): Predicted {
  if (data.kind === 'image') return predictedFrom(data.classes)
  const { label } = data
  switch (label.rule) {
    case 'number':
      return { kind: 'number', unitMicro: label.scaleMicro }
    case 'multi-label':
      return { kind: 'labels', labels: label.labels.length }
    case 'integer':
    case 'not-zero':
      return predictedFrom(label.classes)
  }
}

function predictedFrom(classes: number): Predicted {
  return classes === 2 ? { kind: 'binary' } : { kind: 'classes', classes }
}
