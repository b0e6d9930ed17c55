import { z } from 'zod'
import type { Architecture } from './architecture.ts'
import { architectureSchema } from './architecture-schema.ts'
import { cidOf, DAG_CBOR } from './cid.ts'
import { encode } from './codec.ts'
import type { Task } from './task.ts'

/**
 * What speed is measured on: models that anybody knows the like of, on data made from a seed. Their names are what a
 * capability report, a spot check and `consilium node bench` say; what a name stands for never changes.
 */
export const REFERENCE_MODELS: Readonly<Record<'mlp' | 'cnn' | 'transformer', Architecture>> = {
  mlp: {
    v: 1,
    input: [28, 28, 1],
    layers: [
      { layer: 'flatten', name: 'flatten' },
      { layer: 'dense', name: 'hidden', units: 128, activation: 'relu' },
      { layer: 'dense', name: 'logits', units: 10, activation: 'linear' },
    ],
  },
  cnn: {
    v: 1,
    input: [28, 28, 1],
    layers: [
      convolution('conv1', 8),
      pooling('pool1'),
      convolution('conv2', 16),
      pooling('pool2'),
      { layer: 'flatten', name: 'flatten' },
      { layer: 'dense', name: 'logits', units: 10, activation: 'linear' },
    ],
  },
  /** Of one block, over 28 steps of 28 values. */
  transformer: {
    v: 1,
    input: [28, 28, 1],
    layers: [
      { layer: 'reshape', name: 'steps', shape: [28, 28] },
      { layer: 'dense', name: 'tokens', units: 32, activation: 'linear' },
      { layer: 'positionEmbedding', name: 'placed' },
      ...(['queries', 'keys', 'values'] as const).map(
        (name) => ({ layer: 'dense', name, from: ['placed'], units: 32, activation: 'linear' }) as const,
      ),
      { layer: 'attention', name: 'attention', from: ['queries', 'keys', 'values'], heads: 4 },
      { layer: 'dense', name: 'attended', units: 32, activation: 'linear' },
      { layer: 'add', name: 'sum1', from: ['placed', 'attended'] },
      { layer: 'layerNormalization', name: 'norm1', epsilonNano: 1000 },
      { layer: 'dense', name: 'expand', units: 64, activation: 'relu' },
      { layer: 'dense', name: 'contract', units: 32, activation: 'linear' },
      { layer: 'add', name: 'sum2', from: ['norm1', 'contract'] },
      { layer: 'layerNormalization', name: 'norm2', epsilonNano: 1000 },
      { layer: 'globalPooling', name: 'pooled', of: 'average' },
      { layer: 'dense', name: 'logits', units: 10, activation: 'linear' },
    ],
  },
}

export type ReferenceModel = keyof typeof REFERENCE_MODELS
export const REFERENCE_MODEL_NAMES = ['mlp', 'cnn', 'transformer'] as const satisfies readonly ReferenceModel[]
export const referenceModelField = z.enum(REFERENCE_MODEL_NAMES)

/** One repetition: a short training from the same weights on rows of its own, so that backends have no time to part. */
export const REPETITION_ROWS = 256
export const REPETITION_EPOCHS = 8
export const REFERENCE_BATCH = 32
/** Rows that one repetition passes through the model and back. */
export const REPETITION_SAMPLES = REPETITION_ROWS * REPETITION_EPOCHS
export const REFERENCE_CLASSES = 10

/** The task that a repetition is one node's part of. Plain SGD, whose every step is in the loss of the next. */
export function referenceTask(model: ReferenceModel): Task {
  const architecture = REFERENCE_MODELS[model]
  const [height = 0, width = 0, channels = 0] = architecture.input
  const cid = cidOf(DAG_CBOR, encode(architectureSchema, architecture))
  return {
    v: 1,
    name: `reference ${model}`,
    seed: new Uint8Array(32),
    // Weights come from the measurement's seed, and from no manifest.
    ...{ architecture: cid, genesis: cid },
    data: { kind: 'image', height, width, channels, classes: REFERENCE_CLASSES, rowsMax: REPETITION_ROWS },
    loss: 'softmax-cross-entropy',
    optimiser: { kind: 'sgd', rateMicro: 50_000, momentumMicro: 0 },
    ...{ epochs: REPETITION_EPOCHS, batchSize: REFERENCE_BATCH },
    clipNormMicro: 10_000_000,
    strategy: { kind: 'fedavg', rateMicro: 1_000_000 },
  }
}

function convolution(name: string, filters: number) {
  return {
    layer: 'conv2d',
    name,
    filters,
    kernel: [3, 3],
    strides: [1, 1],
    padding: 'same',
    activation: 'relu',
  } as const
}

function pooling(name: string) {
  return { layer: 'maxPooling2d', name, pool: [2, 2], strides: [2, 2] } as const
}
