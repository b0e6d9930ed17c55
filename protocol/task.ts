import { z } from 'zod'
import { bytesField, cidField, count, nameField } from './codec.ts'
import { COLUMNS_MAX, LEVELS_MAX, WEIGHT_MAX } from './limits.ts'
import { metricsField, mistakeInMetrics, type Predicted } from './metrics.ts'

/** What to train: model, data contract, loss, local optimiser, strategy. Data, not code, so that a steward can read it. */
const imageContract = z.strictObject({
  kind: z.literal('image'),
  height: count(4096, 1),
  width: count(4096, 1),
  channels: count(4, 1),
  classes: count(65_536, 2),
  rowsMax: count(WEIGHT_MAX, 1),
})

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

const tableContract = z.strictObject({
  kind: z.literal('table'),
  columns: z.array(column).min(1).max(COLUMNS_MAX).readonly(),
  label: z.strictObject({
    column: nameField,
    /** `integer`: the class is the value; `not-zero`: 0 is class 0, everything else class 1. */
    rule: z.enum(['integer', 'not-zero']),
    classes: count(65_536, 2),
  }),
  rowsMax: count(WEIGHT_MAX, 1),
})

export const dataContractSchema = z.discriminatedUnion('kind', [imageContract, tableContract])

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

/** `softmax` is over `classes` logits; `sigmoid` over one logit, classes 0 and 1. Both are means over the batch, in nats. */
export const lossField = z.enum(['softmax-cross-entropy', 'sigmoid-cross-entropy'])

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

const taskFields = z.strictObject({
  v: z.literal(1),
  name: nameField,
  /** Root of everything random that is public: genesis, cohorts. */
  seed: bytesField(32),
  architecture: cidField,
  /** The model manifest that round 1 starts from. */
  genesis: cidField,
  data: dataContractSchema,
  loss: lossField,
  optimiser: optimiserSchema,
  ...localObjective,
  epochs: count(1000, 1),
  batchSize: count(65_536, 1),
  /** L2 bound of one node's delta, in millionths; also the range of every coordinate. */
  clipNormMicro: count(1_000_000_000_000, 1),
  strategy: strategySchema,
  publicData: publicDataSchema.optional(),
  /** Of the incoming model on held-out rows, beside accuracy and loss. */
  metrics: metricsField.optional(),
})

export const taskSchema = taskFields.superRefine((task, context) => {
  const message = task.metrics && mistakeInMetrics(task.metrics, predictedOf(task))
  if (message) context.addIssue({ code: 'custom', path: ['metrics'], message })
})

export type DataContract = z.output<typeof dataContractSchema>
export type TableContract = z.output<typeof tableContract>
export type ImageContract = z.output<typeof imageContract>
export type Optimiser = z.output<typeof optimiserSchema>
export type StrategySpec = z.output<typeof strategySchema>
export type Loss = z.output<typeof lossField>
export type Task = z.output<typeof taskSchema>

/** Shape of one row's features as the model takes it. */
export function featuresOf(contract: DataContract): readonly number[] {
  if (contract.kind === 'image') return [contract.height, contract.width, contract.channels]
  const width = contract.columns.reduce(
    (sum, column) => sum + (column.kind === 'number' ? 1 : column.levels.length - 1) + (column.gaps ? 1 : 0),
    0,
  )
  return [width]
}

export function classesOf(contract: DataContract): number {
  return contract.kind === 'image' ? contract.classes : contract.label.classes
}

/** What a model of this task says of a row. */
export function predictedOf({ data }: Pick<z.output<typeof taskFields>, 'data'>): Predicted {
  const classes = classesOf(data)
  return classes === 2 ? { kind: 'binary' } : { kind: 'classes', classes }
}
