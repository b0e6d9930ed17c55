import { z } from 'zod'
import type { Activation, Layer } from '../layers.ts'
import { type Result, refuse } from '../result.ts'
import { sizeOf } from '../shapes.ts'
import { multiHeadAttention } from './attention.ts'
import { type Convert, type Converted, frozenOf, of, optionsOf, type Told } from './conversion.ts'
import {
  absent,
  activationIn,
  common,
  convolution,
  ignored,
  only,
  paddingIn,
  pairIn,
  pooling,
  real,
  sideIn,
  weighed,
} from './options.ts'
import { bidirectional, recurrent } from './recurrent.ts'

/**
 * What one layer of Keras 2, Keras 3 or TF.js is in our language. Every option that changes what is computed is read, or has
 * to be what is done here; an option that nobody knows is refused.
 */
export function convertLayer(
  kind: string,
  config: unknown,
  told: Told,
): Result<readonly Converted[], 'unsupported-layer' | 'unsupported-option'> {
  const convert = CLASSES.get(kind)
  if (convert) return convert(config, told)
  return refuse('unsupported-layer', `${told.name} is a ${kind}: ${FIXES.get(kind) ?? 'no such layer is trained here'}`)
}

const FIXES: ReadonlyMap<string, string> = new Map([
  ...['Conv3D', 'MaxPooling3D', 'AveragePooling3D', 'GlobalAveragePooling3D', 'GlobalMaxPooling3D', 'ConvLSTM2D'].map(
    (kind) => [kind, 'layers of three dimensions are not trained, since backends get their gradients wrong'] as const,
  ),
  ['Lambda', 'it is code, which nobody runs for another: write it as layers'],
  ['Masking', 'steps are not masked: pad what is put in, and pool it'],
  ...['Attention', 'AdditiveAttention', 'GroupedQueryAttention'].map(
    (kind) => [kind, 'take MultiHeadAttention'] as const,
  ),
])

const micro = (value: number) => Math.round(value * 1e6)

const paddedOf = (padding: 'valid' | 'same') => (padding === 'same' ? { padding } : {})

const dense = of(
  z.strictObject({
    ...common,
    ...weighed('kernel', 'bias'),
    ...{ units: z.int(), activation: activationIn, use_bias: z.boolean().default(true) },
    ...{
      input_dim: ignored,
      lora_rank: absent('say it in our own language'),
      quantization_config: absent('leave it out'),
    },
  }),
  (config, { name }) => {
    const { units, activation } = config
    return { layer: 'dense', name, units, activation, ...optionsOf(config) }
  },
)

const conv2d = of(
  z.strictObject({ ...convolution, filters: z.int(), kernel_size: pairIn, strides: pairIn, padding: paddingIn }),
  (config, { name }) => {
    const { filters, kernel_size: kernel, strides, padding, activation } = config
    return { layer: 'conv2d', name, filters, kernel, strides, padding, activation, ...optionsOf(config) }
  },
)

const depthwise = {
  ...convolution,
  ...{
    depth_multiplier: z.int().default(1),
    kernel_size: pairIn,
    strides: pairIn,
    padding: paddingIn,
    filters: ignored,
  },
}
const depthwiseConv2d = of(z.strictObject(depthwise), (config, { name }) => {
  const { depth_multiplier: multiplier, kernel_size: kernel, strides, padding, activation } = config
  const layer = { layer: 'depthwiseConv2d', name, multiplier, kernel, strides, padding, activation } as const
  return [{ layer: { ...layer, ...optionsOf(config) }, kernel: 'depthwise_kernel' }]
})

const separableConv2d = of(z.strictObject({ ...depthwise, filters: z.int() }), (config, { name }) => {
  const { depth_multiplier: multiplier, kernel_size: kernel, strides, padding, activation, filters } = config
  const each: Layer = {
    ...{ layer: 'depthwiseConv2d', name: `${name}_depthwise`, multiplier, kernel, strides, padding },
    ...{ activation: 'linear', bias: false, ...frozenOf(config) },
  }
  const across: Layer = {
    ...{ layer: 'conv2d', name, from: [each.name], filters, kernel: [1, 1], strides: [1, 1], padding: 'valid' },
    ...{ activation, ...optionsOf(config) },
  }
  return [
    { layer: each, kernel: 'depthwise_kernel' },
    { layer: across, kernel: 'pointwise_kernel' },
  ]
})

const conv1d = of(
  z.strictObject({
    ...convolution,
    ...{ filters: z.int(), kernel_size: sideIn, strides: sideIn, padding: z.enum(['valid', 'same', 'causal']) },
  }),
  (config, { name }) => {
    const { filters, kernel_size: kernel, strides: stride, padding, activation } = config
    return { layer: 'conv1d', name, filters, kernel, stride, padding, activation, ...optionsOf(config) }
  },
)

function pooling2d(layer: 'maxPooling2d' | 'averagePooling2d'): Convert {
  const schema = z.strictObject({ ...pooling, pool_size: pairIn, strides: pairIn.nullish(), padding: paddingIn })
  return of(schema, ({ pool_size: pool, strides, padding }, { name }): Layer => {
    const sides = { name, pool, strides: strides ?? pool, ...paddedOf(padding) }
    return layer === 'maxPooling2d' ? { layer, ...sides } : { layer, ...sides }
  })
}

function pooling1d(layer: 'maxPooling1d' | 'averagePooling1d'): Convert {
  const schema = z.strictObject({ ...pooling, pool_size: sideIn, strides: sideIn.nullish(), padding: paddingIn })
  return of(schema, ({ pool_size: pool, strides, padding }, { name }): Layer => {
    const sides = { name, pool, stride: strides ?? pool, ...paddedOf(padding) }
    return layer === 'maxPooling1d' ? { layer, ...sides } : { layer, ...sides }
  })
}

function globalPooling(kind: 'average' | 'max'): Convert {
  const schema = z.strictObject({ ...pooling, keepdims: only(false, 'leave it out, and reshape') })
  return of(schema, (_, { name }) => ({ layer: 'globalPooling', name, of: kind }))
}

const sidesIn = z.tuple([z.int(), z.int()])
const zeroPadding2d = of(
  z.strictObject({
    ...pooling,
    padding: z.union([
      z.tuple([sidesIn, sidesIn]),
      sidesIn.transform(
        ([down, right]) =>
          [
            [down, down],
            [right, right],
          ] as const,
      ),
      z.int().transform(
        (all) =>
          [
            [all, all],
            [all, all],
          ] as const,
      ),
    ]),
  }),
  ({ padding: [[top, bottom], [left, right]] }, { name }) => ({
    layer: 'zeroPadding2d',
    name,
    top,
    bottom,
    left,
    right,
  }),
)

const reshape = of(
  z.strictObject({ ...common, target_shape: z.array(z.int()).min(1).max(3) }),
  ({ target_shape }, { name, from }) => {
    const size = sizeOf({ shape: from[0] ?? [] })
    const rest = target_shape.filter((each) => each !== -1)
    const left = size / sizeOf({ shape: rest })
    return { layer: 'reshape', name, shape: target_shape.map((each) => (each === -1 ? left : each)) }
  },
)

function activation(
  schema: z.ZodType<{ readonly activation: Activation; readonly slope?: number | undefined }>,
): Convert {
  return of(schema, (config, { name }) => {
    const slope = config.slope === undefined ? {} : { slopeMicro: micro(config.slope) }
    return { layer: 'activation', name, activation: config.activation, ...slope }
  })
}

const relu = z
  .strictObject({
    ...common,
    max_value: z.union([z.literal(6), z.null()], 'only 6, or none').optional(),
    negative_slope: z.number().nullish(),
    threshold: only(0, 'leave it 0'),
  })
  .refine((each) => !(each.max_value && each.negative_slope), 'either a largest value or a slope')
  .transform(({ max_value, negative_slope }) => {
    if (negative_slope) return { activation: 'leakyRelu' as const, slope: negative_slope }
    return { activation: max_value ? ('relu6' as const) : ('relu' as const) }
  })
const leakyRelu = z
  .strictObject({ ...common, alpha: real(1).optional(), negative_slope: real(1).optional() })
  .transform(({ alpha, negative_slope }) => ({
    activation: 'leakyRelu' as const,
    slope: alpha ?? negative_slope ?? 0.3,
  }))
const elu = z
  .strictObject({ ...common, alpha: only(1, 'leave it 1') })
  .transform(() => ({ activation: 'elu' as const }))
const softmax = z
  .strictObject({ ...common, axis: only(-1, 'softmax is of the last axis') })
  .transform(() => ({ activation: 'softmax' as const }))

const axisIn = z.union([z.int(), z.tuple([z.int()]).transform(([one]) => one), z.null()]).default(-1)
const isLast = (axis: number | null, from: Told['from']) => axis === null || axis === -1 || axis === from[0]?.length

const normalization = {
  ...common,
  ...weighed('gamma', 'beta', 'moving_mean', 'moving_variance'),
  axis: axisIn,
  epsilon: real(1),
  center: only(true, 'leave it true'),
  scale: only(true, 'leave it true'),
}
const batchNormalization = of(
  z.strictObject({
    ...normalization,
    momentum: real(0.999_999),
    renorm: only(false, 'leave it out'),
    ...{ renorm_clipping: ignored, renorm_momentum: ignored },
    synchronized: ignored,
  }),
  (config, { name, from }) => {
    if (!isLast(config.axis, from)) return 'only the last axis is normalised'
    const momentumMicro = micro(config.momentum)
    const epsilonNano = Math.round(config.epsilon * 1e9)
    return { layer: 'batchNormalization', name, momentumMicro, epsilonNano, ...frozenOf(config) }
  },
)
const layerNormalization = of(
  z.strictObject({ ...normalization, rms_scaling: only(false, 'leave it out') }),
  (config, { name, from }) => {
    if (!isLast(config.axis, from)) return 'only the last axis is normalised'
    return { layer: 'layerNormalization', name, epsilonNano: Math.round(config.epsilon * 1e9), ...frozenOf(config) }
  },
)

const embedding = of(
  z.strictObject({
    ...common,
    ...weighed('embeddings'),
    ...{ input_dim: z.int(), output_dim: z.int(), input_length: ignored, sparse: ignored, lora_rank: ignored },
    mask_zero: only(false, 'steps are not masked: leave it out'),
  }),
  (config, { name }) => {
    const { input_dim: vocabulary, output_dim: units } = config
    return { layer: 'embedding', name, vocabulary, units, ...frozenOf(config) }
  },
)

const merged = z.strictObject(common)
/** What Keras 2 writes for `x + y` of what two layers put out, where Keras 3 writes an Add. */
const operation = of(
  z.strictObject({
    ...common,
    function: z.enum(['__operators__.add', 'math.add', 'math.multiply'], 'only sums and products: write it as layers'),
    called: z.strictObject({}).optional(),
  }),
  (config, { name }) => ({ layer: config.function === 'math.multiply' ? 'multiply' : 'add', name }),
)
const concatenate = of(z.strictObject({ ...common, axis: axisIn }), ({ axis }, { name, from }) =>
  isLast(axis, from) ? { layer: 'concatenate', name } : 'only along the last axis',
)
const dropout = of(
  z.strictObject({ ...common, rate: real(0.999_999), noise_shape: absent('each value is dropped by itself') }),
  ({ rate }, { name }) =>
    rate === 0
      ? { layer: 'activation', name, activation: 'linear' }
      : { layer: 'dropout', name, rateMicro: Math.max(1, micro(rate)) },
)

const CLASSES: ReadonlyMap<string, Convert> = new Map([
  ['Dense', dense],
  ['Conv2D', conv2d],
  ['DepthwiseConv2D', depthwiseConv2d],
  ['SeparableConv2D', separableConv2d],
  ['Conv1D', conv1d],
  ['MaxPooling2D', pooling2d('maxPooling2d')],
  ['AveragePooling2D', pooling2d('averagePooling2d')],
  ['MaxPooling1D', pooling1d('maxPooling1d')],
  ['AveragePooling1D', pooling1d('averagePooling1d')],
  ['GlobalAveragePooling1D', globalPooling('average')],
  ['GlobalAveragePooling2D', globalPooling('average')],
  ['GlobalMaxPooling1D', globalPooling('max')],
  ['GlobalMaxPooling2D', globalPooling('max')],
  ['ZeroPadding2D', zeroPadding2d],
  ['Flatten', of(z.strictObject(pooling), (_, { name }) => ({ layer: 'flatten', name }))],
  ['Reshape', reshape],
  ['Activation', activation(z.strictObject({ ...common, activation: activationIn }))],
  ['ReLU', activation(relu)],
  ['LeakyReLU', activation(leakyRelu)],
  ['ELU', activation(elu)],
  ['Softmax', activation(softmax)],
  ['Dropout', dropout],
  ['BatchNormalization', batchNormalization],
  ['LayerNormalization', layerNormalization],
  ['Embedding', embedding],
  ['LSTM', recurrent('LSTM')],
  ['GRU', recurrent('GRU')],
  ['SimpleRNN', recurrent('SimpleRNN')],
  ['Bidirectional', bidirectional],
  ['MultiHeadAttention', multiHeadAttention],
  ['Add', of(merged, (_, { name }) => ({ layer: 'add', name }))],
  ['Multiply', of(merged, (_, { name }) => ({ layer: 'multiply', name }))],
  ['TFOpLambda', operation],
  ['Concatenate', concatenate],
])
