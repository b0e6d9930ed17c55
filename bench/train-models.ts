import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers'
import type { Architecture } from '#protocol/architecture.ts'
import type { Layer } from '#protocol/layers.ts'

export const CLASSES = 10
export const TOKENS = 256

/** The models that bench/train.py has too, as we write them and as a user of TF.js's layers does. */
export type ModelName = keyof typeof MODELS

export const MODELS = {
  mlp: {
    what: '784-128-10, ReLU, on a table of numbers',
    kind: 'numbers',
    architecture: {
      v: 1,
      input: [784],
      layers: [
        { layer: 'dense', name: 'hidden', units: 128, activation: 'relu' },
        { layer: 'dense', name: 'out', units: 10, activation: 'linear' },
      ],
    },
    stock: () =>
      sequential({
        layers: [layers.dense({ inputShape: [784], units: 128, activation: 'relu' }), layers.dense({ units: 10 })],
      }),
  },
  'cnn-plain': {
    kind: 'images',
    what: '28 × 28: conv8-ReLU-pool-conv16-ReLU-pool-dense10, 3 × 3, same',
    architecture: imagesThrough([...block('a', 8, false), ...block('b', 16, false)]),
    stock: () => stockCnn(false),
  },
  cnn: {
    kind: 'images',
    what: 'the same with batch normalisation before each ReLU',
    architecture: imagesThrough([...block('a', 8, true), ...block('b', 16, true)]),
    stock: () => stockCnn(true),
  },
  transformer: {
    what: 'classes of 64 tokens of 256: embedding 64, two blocks of attention with 4 heads and GELU 256, normalised first, mean',
    architecture: {
      v: 1,
      input: [64],
      layers: [
        { layer: 'embedding', name: 'tokens', vocabulary: TOKENS, units: 64 },
        { layer: 'positionEmbedding', name: 'start' },
        ...transformerBlock('a', 'start'),
        ...transformerBlock('b', 'a-end'),
        { layer: 'globalPooling', name: 'mean', of: 'average' },
        { layer: 'dense', name: 'out', units: CLASSES, activation: 'linear' },
      ],
    },
    kind: 'tokens',
  },
} as const satisfies Record<string, Model>

/** What a site's rows are before a contract makes numbers of them: {@link file://./train-rows.ts}. */
export type RowKind = 'numbers' | 'images' | 'tokens'

export type Model = {
  readonly what: string
  readonly architecture: Architecture
  /** Left out where TF.js's layers have no such model. */
  readonly stock?: () => LayersModel
  readonly kind: RowKind
}

function imagesThrough(blocks: readonly Layer[]): Architecture {
  const ends: readonly Layer[] = [
    { layer: 'flatten', name: 'flat' },
    { layer: 'dense', name: 'out', units: CLASSES, activation: 'linear' },
  ]
  return { v: 1, input: [28, 28, 1], layers: [...blocks, ...ends] }
}

function block(name: string, filters: number, normalized: boolean): readonly Layer[] {
  const between: readonly Layer[] = [
    { layer: 'batchNormalization', name: `${name}-norm`, momentumMicro: 990_000, epsilonNano: 1_000_000 },
    { layer: 'activation', name: `${name}-relu`, activation: 'relu' },
  ]
  return [
    {
      layer: 'conv2d',
      name,
      filters,
      kernel: [3, 3],
      strides: [1, 1],
      padding: 'same',
      activation: normalized ? 'linear' : 'relu',
    },
    ...(normalized ? between : []),
    { layer: 'maxPooling2d', name: `${name}-pool`, pool: [2, 2], strides: [2, 2] },
  ]
}

function transformerBlock(name: string, from: string): readonly Layer[] {
  const dense = (part: string, units: number, activation: 'linear' | 'gelu', source: string): Layer => ({
    layer: 'dense',
    name: `${name}-${part}`,
    from: [source],
    units,
    activation,
  })
  const parts = ['queries', 'keys', 'values'].map((part) => dense(part, 64, 'linear', `${name}-norm`))
  return [
    { layer: 'layerNormalization', name: `${name}-norm`, from: [from], epsilonNano: 10_000 },
    ...parts,
    { layer: 'attention', name: `${name}-attention`, from: parts.map((part) => part.name), heads: 4 },
    dense('joined', 64, 'linear', `${name}-attention`),
    { layer: 'add', name: `${name}-middle`, from: [from, `${name}-joined`] },
    { layer: 'layerNormalization', name: `${name}-norm2`, epsilonNano: 10_000 },
    dense('wide', 256, 'gelu', `${name}-norm2`),
    dense('narrow', 64, 'linear', `${name}-wide`),
    { layer: 'add', name: `${name}-end`, from: [`${name}-middle`, `${name}-narrow`] },
  ]
}

function stockCnn(normalized: boolean): LayersModel {
  const model = sequential()
  for (const [index, filters] of [8, 16].entries()) {
    const input = index === 0 ? { inputShape: [28, 28, 1] } : {}
    model.add(layers.conv2d({ filters, kernelSize: 3, padding: 'same', ...input }))
    if (normalized) model.add(layers.batchNormalization())
    model.add(layers.reLU())
    model.add(layers.maxPooling2d({ poolSize: 2 }))
  }
  model.add(layers.flatten())
  model.add(layers.dense({ units: CLASSES }))
  return model
}
