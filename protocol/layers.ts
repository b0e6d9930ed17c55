import { z } from 'zod'
import { ACTIVATIONS } from './activations.ts'
import { INPUT } from './architecture.ts'
import { count, nameField } from './codec.ts'
import { NAME_CHARS_MAX } from './limits.ts'

/**
 * The layers that a model may have, as data, integers only. Every one has had its gradients checked on every backend that
 * the tests can run; what is not here is refused, three-dimensional convolutions among it. What is left out of a layer is the usual:
 * it takes what the layer before it puts out, has a bias, is trained, pads nothing, and reads from the first step on.
 */
const side = count(4096, 1)
const pair = z.tuple([side, side]).readonly()
const units = count(1_000_000, 1)

/** Leaves room for what a tensor's name adds to its layer's. */
const layerName = nameField.max(NAME_CHARS_MAX - '/recurrent_kernel'.length)

/** Layers that one layer takes from. */
const SOURCES_MAX = 8

const placed = {
  name: layerName.refine((name) => name !== INPUT, 'the name of what is put in'),
  /** Layers before it, or `input`. */
  from: z.array(layerName).min(1).max(SOURCES_MAX).readonly().optional(),
}

export const activationField = z.enum(ACTIVATIONS)

const unbiased = z.literal(false).optional()
/** Weights that stay as they came: no part of an update. */
const frozen = z.literal(true).optional()
const padding = z.enum(['valid', 'same'])
const padded = z.literal('same').optional()

/** W + (α ÷ rank)·A·B, of which W may be frozen: Hu et al. 2021 (LoRA), equation 3. */
const adapter = z.strictObject({ rank: count(1024, 1), alphaMicro: count(1_000_000_000, 1) })

/** Of the last axis. */
const dense = z.strictObject({
  layer: z.literal('dense'),
  ...placed,
  units,
  activation: activationField,
  bias: unbiased,
  frozen,
  adapter: adapter.optional(),
})
const conv2d = z.strictObject({
  layer: z.literal('conv2d'),
  ...placed,
  filters: count(65_536, 1),
  kernel: pair,
  strides: pair,
  padding,
  activation: activationField,
  bias: unbiased,
  frozen,
})
/** Each channel by filters of its own. */
const depthwiseConv2d = z.strictObject({
  layer: z.literal('depthwiseConv2d'),
  ...placed,
  multiplier: count(64, 1),
  kernel: pair,
  strides: pair,
  padding,
  activation: activationField,
  bias: unbiased,
  frozen,
})
/** Over [steps, channels]; `causal` sees no later step. */
const conv1d = z.strictObject({
  layer: z.literal('conv1d'),
  ...placed,
  filters: count(65_536, 1),
  kernel: side,
  stride: side,
  padding: z.enum(['valid', 'same', 'causal']),
  activation: activationField,
  bias: unbiased,
  frozen,
})
const pooling2d = { ...placed, pool: pair, strides: pair, padding: padded }
const maxPooling2d = z.strictObject({ layer: z.literal('maxPooling2d'), ...pooling2d })
const averagePooling2d = z.strictObject({ layer: z.literal('averagePooling2d'), ...pooling2d })
const pooling1d = { ...placed, pool: side, stride: side, padding: padded }
const maxPooling1d = z.strictObject({ layer: z.literal('maxPooling1d'), ...pooling1d })
const averagePooling1d = z.strictObject({ layer: z.literal('averagePooling1d'), ...pooling1d })
/** Over every axis but the last. */
const globalPooling = z.strictObject({ layer: z.literal('globalPooling'), ...placed, of: z.enum(['average', 'max']) })
const zeroPadding2d = z.strictObject({
  layer: z.literal('zeroPadding2d'),
  ...placed,
  top: count(256),
  bottom: count(256),
  left: count(256),
  right: count(256),
})
const flatten = z.strictObject({ layer: z.literal('flatten'), ...placed })
const reshape = z.strictObject({
  layer: z.literal('reshape'),
  ...placed,
  shape: z.array(units).min(1).max(3).readonly(),
})
/** Some neighbouring values of a row, in a shape of their own: a table and an image are put in as one row. */
const part = z.strictObject({
  layer: z.literal('part'),
  ...placed,
  offset: count(2 ** 31),
  shape: z.array(units).min(1).max(3).readonly(),
})
const activation = z
  .strictObject({
    layer: z.literal('activation'),
    ...placed,
    activation: activationField,
    /** Of a leaky ReLU below zero; without, {@link LEAKY_SLOPE}. */
    slopeMicro: count(1_000_000).optional(),
  })
  .refine((each) => each.slopeMicro === undefined || each.activation === 'leakyRelu', 'only of a leaky ReLU')
/** Only while training; what is left is scaled up. */
const dropout = z.strictObject({ layer: z.literal('dropout'), ...placed, rateMicro: count(999_999, 1) })
/** Ioffe and Szegedy 2015, over every axis but the last. Its moving mean and variance are part of the update. */
const batchNormalization = z.strictObject({
  layer: z.literal('batchNormalization'),
  ...placed,
  momentumMicro: count(999_999),
  epsilonNano: count(1_000_000_000, 1),
  frozen,
})
/** Ba et al. 2016, over the last axis. */
const layerNormalization = z.strictObject({
  layer: z.literal('layerNormalization'),
  ...placed,
  epsilonNano: count(1_000_000_000, 1),
  frozen,
})
/** Of whole numbers below `vocabulary`. */
const embedding = z.strictObject({
  layer: z.literal('embedding'),
  ...placed,
  vocabulary: units,
  units: count(65_536, 1),
  frozen,
})
/** Adds to each step what is learned about its place. */
const positionEmbedding = z.strictObject({ layer: z.literal('positionEmbedding'), ...placed, frozen })
const recurrent = {
  ...placed,
  units: count(65_536, 1),
  /** Puts out every step and not the last alone. */
  sequences: z.literal(true).optional(),
  backwards: z.literal(true).optional(),
  frozen,
}
/** Hochreiter and Schmidhuber 1997 with forget gates; gates in the order i, f, c, o. */
const lstm = z.strictObject({ layer: z.literal('lstm'), ...recurrent })
/** Cho et al. 2014; gates in the order z, r, h. */
const gru = z.strictObject({
  layer: z.literal('gru'),
  ...recurrent,
  /** The reset gate is of the product and not of what goes into it, and each product has biases of its own, as cuDNN has it. */
  resetAfter: z.literal(true).optional(),
})
/** Elman 1990: tanh of what is put in and of what the step before put out. */
const simpleRnn = z.strictObject({ layer: z.literal('simpleRnn'), ...recurrent })
/** Vaswani et al. 2017, equation 1, of queries, keys and values [steps, heads × depth]. */
const attention = z.strictObject({
  layer: z.literal('attention'),
  ...placed,
  heads: count(256, 1),
  causal: z.literal(true).optional(),
  /** Of what the softmax gives, only while training. */
  dropoutMicro: count(999_999, 1).optional(),
})
const add = z.strictObject({ layer: z.literal('add'), ...placed })
const multiply = z.strictObject({ layer: z.literal('multiply'), ...placed })
/** Along the last axis. */
const concatenate = z.strictObject({ layer: z.literal('concatenate'), ...placed })

export const layerSchema = z.discriminatedUnion('layer', [
  dense,
  conv2d,
  depthwiseConv2d,
  conv1d,
  maxPooling2d,
  averagePooling2d,
  maxPooling1d,
  averagePooling1d,
  globalPooling,
  zeroPadding2d,
  flatten,
  reshape,
  part,
  activation,
  dropout,
  batchNormalization,
  layerNormalization,
  embedding,
  positionEmbedding,
  lstm,
  gru,
  simpleRnn,
  attention,
  add,
  multiply,
  concatenate,
])

export type Layer = z.output<typeof layerSchema>
export type Activation = z.output<typeof activationField>
