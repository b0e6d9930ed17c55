import { activationField, type Layer } from '#protocol/layers.ts'

/** Small networks that between them hold every layer with every option that changes what it computes. */
export type Example = {
  readonly input: readonly number[]
  readonly layers: readonly Layer[]
  readonly loss?: 'sigmoid-cross-entropy'
  /** Inputs are whole numbers below it. */
  readonly vocabulary?: number
}

type Of<K extends Layer['layer']> = Extract<Layer, { layer: K }>
type Rest<K extends Layer['layer']> = Partial<Of<K>>

export const dense = (name: string, units: number, activation: Of<'dense'>['activation'] = 'linear'): Layer => ({
  ...{ layer: 'dense', name, units, activation },
})
export const conv = (name: string, filters: number, kernel: [number, number], rest: Rest<'conv2d'> = {}): Layer => ({
  ...{ layer: 'conv2d', name, filters, kernel, strides: [1, 1], padding: 'valid', activation: 'linear', ...rest },
})
export const pool = (name: string, window: [number, number], strides: [number, number]): Layer => ({
  ...{ layer: 'maxPooling2d', name, pool: window, strides },
})
export const flat: Layer = { layer: 'flatten', name: 'flat' }

const conv1d = (name: string, rest: Rest<'conv1d'> = {}): Layer => ({
  ...{ layer: 'conv1d', name, filters: 3, kernel: 3, stride: 1, padding: 'valid', activation: 'tanh', ...rest },
})
const depthwise = (name: string, rest: Rest<'depthwiseConv2d'> = {}): Layer => ({
  ...{ layer: 'depthwiseConv2d', name, multiplier: 1, kernel: [3, 2], strides: [1, 1], padding: 'valid' },
  ...{ activation: 'linear', ...rest },
})
const batchNorm = (name: string, rest: Rest<'batchNormalization'> = {}): Layer => ({
  ...{ layer: 'batchNormalization', name, momentumMicro: 900_000, epsilonNano: 1_000_000, ...rest },
})
const layerNorm = (name: string, rest: Rest<'layerNormalization'> = {}): Layer => ({
  ...{ layer: 'layerNormalization', name, epsilonNano: 1_000_000, ...rest },
})
const recurrent = (layer: 'lstm' | 'gru' | 'simpleRnn', name: string, units: number, rest: Rest<'gru'> = {}): Layer =>
  ({ ...rest, layer, name, units }) as Layer
const attention = (name: string, from: readonly string[], heads: number, rest: Rest<'attention'> = {}): Layer => ({
  ...{ layer: 'attention', name, from, heads, ...rest },
})
const activation = (name: string, rest: Omit<Of<'activation'>, 'layer' | 'name'>): Layer => ({
  ...{ layer: 'activation', name, ...rest },
})
const globally = (of: 'average' | 'max'): Layer => ({ layer: 'globalPooling', name: `all-${of}`, of })

export const examples: Readonly<Record<string, Example>> = {
  'softmax regression': { input: [5], layers: [dense('out', 3)] },
  'logistic regression': { input: [7], layers: [dense('out', 1)], loss: 'sigmoid-cross-entropy' },
  'dense layers of every activation': {
    input: [6],
    layers: [
      ...activationField.options.map((each, index) => dense(`d${index}`, 4 + (index % 4), each)),
      dense('out', 3),
    ],
  },
  'every activation by itself': {
    input: [5],
    layers: [
      dense('first', 7),
      ...activationField.options.flatMap((each) => [
        activation(each, { from: ['first'], activation: each }),
        { ...layerNorm(`even-${each}`) },
      ]),
      activation('leaky', { from: ['first'], activation: 'leakyRelu', slopeMicro: 10_000 }),
      {
        ...{ layer: 'add', name: 'sum' },
        from: [...activationField.options.slice(0, 7).map((each) => `even-${each}`), 'leaky'],
      },
      { layer: 'add', name: 'all', from: ['sum', ...activationField.options.slice(7).map((each) => `even-${each}`)] },
      dense('out', 3),
    ],
  },
  'dense layers over steps, and without biases': {
    input: [4, 3],
    layers: [
      { ...(dense('a', 5, 'relu') as Of<'dense'>), bias: false },
      dense('b', 3, 'tanh'),
      flat,
      { ...(dense('out', 2) as Of<'dense'>), bias: false },
    ],
  },
  'convolutions, ReLU and pools as in the demo': {
    input: [12, 12, 1],
    layers: [
      conv('a', 8, [5, 5], { activation: 'relu' }),
      pool('b', [2, 2], [2, 2]),
      conv('c', 16, [3, 3], { activation: 'relu' }),
      pool('d', [2, 2], [2, 2]),
      flat,
      dense('out', 3),
    ],
  },
  'convolutions with uneven strides, tanh and sigmoid': {
    input: [9, 8, 3],
    layers: [
      conv('a', 7, [3, 2], { strides: [2, 1], activation: 'tanh' }),
      conv('b', 9, [2, 3], { strides: [1, 2], activation: 'sigmoid', bias: false }),
      flat,
      dense('out', 1),
    ],
    loss: 'sigmoid-cross-entropy',
  },
  'convolutions with padding on one side more than on the other': {
    input: [7, 6, 2],
    layers: [
      conv('a', 5, [4, 2], { padding: 'same', activation: 'relu' }),
      conv('b', 3, [3, 3], { padding: 'same', strides: [2, 3], activation: 'gelu' }),
      conv('c', 2, [2, 2], { padding: 'same', strides: [3, 3] }),
      flat,
      dense('out', 2),
    ],
  },
  'pools whose largest value is below zero': {
    input: [7, 7, 2],
    layers: [conv('a', 5, [2, 2]), pool('b', [2, 2], [2, 2]), flat, dense('out', 3)],
  },
  'pools that overlap or leave gaps': {
    input: [9, 9, 1],
    layers: [
      conv('a', 6, [2, 2]),
      pool('b', [3, 2], [1, 1]),
      conv('c', 3, [2, 2], { activation: 'tanh' }),
      pool('d', [1, 2], [2, 3]),
      flat,
      dense('out', 3),
    ],
  },
  'pools of means and of maxima that reach over the edge': {
    input: [8, 7, 2],
    layers: [
      conv('a', 3, [2, 2], { activation: 'tanh' }),
      { layer: 'averagePooling2d', name: 'b', pool: [3, 2], strides: [2, 1], padding: 'same' },
      conv('c', 3, [1, 2]),
      { layer: 'maxPooling2d', name: 'd', pool: [3, 3], strides: [2, 1], padding: 'same' },
      { layer: 'averagePooling2d', name: 'e', pool: [2, 2], strides: [1, 2] },
      flat,
      dense('out', 3),
    ],
  },
  'depthwise convolutions': {
    input: [8, 9, 3],
    layers: [
      depthwise('a', { multiplier: 2, activation: 'relu' }),
      depthwise('b', { padding: 'same', strides: [2, 2], activation: 'swish', bias: false }),
      conv('c', 4, [1, 1]),
      globally('average'),
      dense('out', 2),
    ],
  },
  'convolutions and pools over steps': {
    input: [11, 2],
    layers: [
      conv1d('a', { padding: 'causal' }),
      { layer: 'maxPooling1d', name: 'b', pool: 2, stride: 1 },
      conv1d('c', { padding: 'same', stride: 2, bias: false }),
      { layer: 'averagePooling1d', name: 'd', pool: 3, stride: 1, padding: 'same' },
      conv1d('e', { kernel: 2, filters: 5, activation: 'relu' }),
      globally('max'),
      dense('out', 3),
    ],
  },
  'an image and a table in one row, joined, multiplied and added': {
    input: [4 * 4 * 2 + 5],
    layers: [
      { layer: 'part', name: 'image', from: ['input'], offset: 0, shape: [4, 4, 2] },
      { layer: 'zeroPadding2d', name: 'border', top: 1, bottom: 0, left: 0, right: 2 },
      conv('a', 3, [3, 3], { activation: 'relu' }),
      { layer: 'reshape', name: 'turned', shape: [4, 9] },
      globally('average'),
      dense('seen', 4, 'tanh'),
      { layer: 'part', name: 'table', from: ['input'], offset: 32, shape: [5] },
      dense('told', 4, 'sigmoid'),
      { layer: 'multiply', name: 'gated', from: ['seen', 'told'] },
      { layer: 'add', name: 'sum', from: ['gated', 'told', 'seen'] },
      { layer: 'concatenate', name: 'both', from: ['sum', 'seen', 'table'] },
      dense('out', 3),
    ],
  },
  'batches that are normalised': {
    input: [6, 5, 2],
    layers: [
      conv('a', 4, [2, 2], { bias: false }),
      batchNorm('b'),
      activation('c', { activation: 'relu' }),
      flat,
      dense('d', 6),
      batchNorm('e', { epsilonNano: 100_000_000 }),
      dense('out', 3),
    ],
  },
  'a frozen normalisation, by its moving statistics': {
    input: [5],
    layers: [dense('a', 4), batchNorm('b', { frozen: true }), dense('out', 3)],
  },
  'layers that are normalised': {
    input: [3, 5],
    layers: [dense('a', 6, 'gelu'), layerNorm('b'), flat, dense('out', 3)],
  },
  'an embedding, its places and attention of several heads': {
    input: [5],
    vocabulary: 7,
    layers: [
      { layer: 'embedding', name: 'words', vocabulary: 7, units: 6 },
      { layer: 'positionEmbedding', name: 'places' },
      dense('q', 6),
      { ...dense('k', 6), from: ['places'] },
      { ...dense('v', 9), from: ['places'] },
      attention('seen', ['q', 'k', 'v'], 3),
      dense('o', 6),
      { layer: 'add', name: 'r', from: ['o', 'places'] },
      layerNorm('n'),
      globally('average'),
      dense('out', 2),
    ],
  },
  'attention that sees no later step': {
    input: [4, 3],
    layers: [
      { ...dense('q', 4), from: ['input'] },
      { ...dense('k', 4), from: ['input'] },
      { ...dense('v', 2), from: ['input'] },
      attention('seen', ['q', 'k', 'v'], 1, { causal: true }),
      flat,
      dense('out', 3),
    ],
  },
  'LSTMs that read both ways': {
    input: [4, 3],
    layers: [
      recurrent('lstm', 'a', 3, { from: ['input'], sequences: true }),
      recurrent('lstm', 'b', 3, { from: ['input'], sequences: true, backwards: true }),
      { layer: 'concatenate', name: 'both', from: ['a', 'b'] },
      recurrent('lstm', 'c', 5),
      dense('out', 3),
    ],
  },
  'GRUs that read both ways': {
    input: [4, 2],
    layers: [
      recurrent('gru', 'a', 3, { sequences: true, backwards: true }),
      recurrent('gru', 'b', 4, { sequences: true }),
      recurrent('gru', 'c', 3, { backwards: true }),
      dense('out', 3),
    ],
  },
  'GRUs whose reset gate comes after the product': {
    input: [4, 2],
    layers: [
      recurrent('gru', 'a', 3, { sequences: true, backwards: true, resetAfter: true }),
      recurrent('gru', 'b', 4, { sequences: true, resetAfter: true, frozen: true }),
      recurrent('gru', 'c', 3, { resetAfter: true }),
      dense('out', 3),
    ],
  },
  'simple cells that read both ways, and their mean': {
    input: [4, 3],
    layers: [
      recurrent('simpleRnn', 'a', 3, { from: ['input'], sequences: true }),
      recurrent('simpleRnn', 'b', 3, { from: ['input'], sequences: true, backwards: true }),
      { layer: 'concatenate', name: 'both', from: ['a', 'b'] },
      { layer: 'reshape', name: 'pairs', shape: [8, 3] },
      { layer: 'averagePooling1d', name: 'mean', pool: 2, stride: 2 },
      recurrent('simpleRnn', 'c', 5, { backwards: true }),
      dense('out', 3),
    ],
  },
  'an adapter beside a frozen kernel': {
    input: [5],
    layers: [
      dense('a', 6, 'relu'),
      {
        ...(dense('b', 5, 'tanh') as Of<'dense'>),
        ...{ frozen: true, adapter: { rank: 2, alphaMicro: 3_000_000 } },
      },
      { ...(dense('c', 4) as Of<'dense'>), adapter: { rank: 1, alphaMicro: 500_000 } },
      dense('out', 3),
    ],
  },
  'frozen layers before, between and after those that learn': {
    input: [6, 6, 1],
    layers: [
      conv('a', 3, [3, 3], { frozen: true, activation: 'relu' }),
      conv('b', 4, [2, 2], { activation: 'tanh' }),
      flat,
      { ...(dense('c', 6, 'relu') as Of<'dense'>), frozen: true },
      layerNorm('d', { frozen: true }),
      dense('out', 3),
    ],
  },
  'frozen tables and recurrences': {
    input: [4],
    vocabulary: 5,
    layers: [
      { layer: 'embedding', name: 'words', vocabulary: 5, units: 3, frozen: true },
      { layer: 'positionEmbedding', name: 'places', frozen: true },
      dense('a', 4),
      recurrent('lstm', 'b', 3, { frozen: true, sequences: true }),
      recurrent('gru', 'c', 3, { frozen: true }),
      dense('out', 2),
    ],
  },
  'dropout of nearly nothing': {
    input: [5],
    layers: [dense('a', 6, 'relu'), { layer: 'dropout', name: 'b', rateMicro: 1 }, dense('out', 3)],
  },
  'attention to other steps than its own, nearly nothing of it dropped': {
    input: [4, 3],
    layers: [
      { ...dense('q', 4), from: ['input'] },
      { layer: 'reshape', name: 'turned', from: ['input'], shape: [3, 4] },
      dense('k', 4),
      { ...dense('v', 6), from: ['turned'] },
      attention('seen', ['q', 'k', 'v'], 2, { dropoutMicro: 1 }),
      globally('max'),
      dense('out', 3),
    ],
  },
}
