import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers'
import type { Architecture } from '#protocol/architecture.ts'
import type { Layer } from '#protocol/layers.ts'

export const CLASSES = 10

/** The models that bench/train.py has too, as we write them and as a user of TF.js's layers does. */
export type ModelName = keyof typeof MODELS

export const MODELS = {
  mlp: {
    what: '784-128-10, ReLU',
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
    what: '28 × 28: conv8-ReLU-pool-conv16-ReLU-pool-dense10, 3 × 3, same',
    architecture: imagesThrough([...block('a', 8, false), ...block('b', 16, false)]),
    stock: () => stockCnn(false),
  },
  cnn: {
    what: 'the same with batch normalisation before each ReLU',
    architecture: imagesThrough([...block('a', 8, true), ...block('b', 16, true)]),
    stock: () => stockCnn(true),
  },
} as const satisfies Record<string, Model>

type Model = {
  readonly what: string
  readonly architecture: Architecture
  readonly stock: () => LayersModel
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
