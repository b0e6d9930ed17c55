/**
 * What TF.js holds is counted here, so nobody else may hold any of it.
 *
 * @jest-environment node
 */

import { beforeAll, describe, expect, test } from '@jest/globals'
import { profile } from '@tensorflow/tfjs-core'
import * as fc from 'fast-check'
import { checkNeeds, EVALUATION_ROWS, trainingNeeds } from '#aggregation/needs.ts'
import { openBackend } from '#client/trainers/backend.ts'
import { memoryOn } from '#client/trainers/traits.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import type { Layer } from '#protocol/layers.ts'
import { LABELS_MAX } from '#protocol/limits.ts'
import type { Optimiser, Task } from '#protocol/task.ts'
import { architectures } from './trainers/architectures.ts'
import { datasetOf, fitHere, labelledTable, someDataset, someModel, trainingOf } from './trainers/tasks.ts'

type Activation = Extract<Layer, { activation: string }>['activation']
const activation = fc.constantFrom<Activation>('linear', 'relu', 'tanh', 'sigmoid')
const dense = (units: fc.Arbitrary<number>) => fc.record({ layer: fc.constant('dense' as const), units, activation })
const conv = fc.record({
  layer: fc.constant('conv2d' as const),
  filters: fc.integer({ min: 1, max: 12 }),
  kernel: fc.constantFrom([1, 1], [3, 3], [5, 3]).map((side) => side as [number, number]),
  strides: fc.constantFrom([1, 1], [2, 1]).map((side) => side as [number, number]),
  padding: fc.constantFrom('valid' as const, 'same' as const),
  activation,
})
const pool = fc.constant({ layer: 'maxPooling2d' as const, pool: [2, 2] as const, strides: [2, 2] as const })

/** As large in its weights as in what its layers put out. */
const convolutional: fc.Arbitrary<Architecture> = fc
  .tuple(
    fc.integer({ min: 8, max: 14 }),
    fc.array(fc.oneof(conv, pool), { maxLength: 4 }),
    fc.array(dense(fc.integer({ min: 1, max: 60 })), { maxLength: 2 }),
  )
  .map(([side, convolutions, denses]) => {
    const layers = [...convolutions, { layer: 'flatten' as const }, ...denses]
    const out = { layer: 'dense' as const, units: 3, activation: 'linear' as const }
    return {
      v: 1 as const,
      input: [side, side, 2],
      layers: [...layers, out].map((layer, index) => ({ ...layer, name: `l${index}` }) as Layer),
    }
  })
  .filter((architecture) => shapeOf(architecture).ok)
const anything = fc.oneof(
  { arbitrary: convolutional.map((architecture) => ({ architecture, vocabulary: undefined })), weight: 1 },
  { arbitrary: architectures({ isWide: true }), weight: 3 },
)

/** What it slides over grows by the kernel, which may be far longer than that. */
function causal(kernel: number) {
  const layers: readonly Layer[] = [
    { layer: 'conv1d', name: 'a', filters: 1, kernel, stride: 3, padding: 'causal', activation: 'softmax' },
    { layer: 'flatten', name: 'b' },
    { layer: 'dense', name: 'c', units: 3, activation: 'linear' },
  ]
  return { architecture: { v: 1, input: [3, 4], layers } as Architecture, vocabulary: undefined }
}

const SGD: Optimiser = { kind: 'sgd', rateMicro: 1000, momentumMicro: 0 }
const adam = { rateMicro: 1000, beta1Micro: 900_000, beta2Micro: 999_000, epsilonNano: 100 } as const
const rmsProp = { kind: 'rmsprop', rateMicro: 1000, discountMicro: 900_000, epsilonNano: 100 } as const
const optimiser = fc.constantFrom<Optimiser>(
  SGD,
  { kind: 'sgd', rateMicro: 1000, momentumMicro: 900_000, nesterov: true },
  { kind: 'adam', ...adam },
  { kind: 'adamw', ...adam, weightDecayMicro: 10_000 },
  { ...rmsProp, momentumMicro: 0 },
  { ...rmsProp, momentumMicro: 900_000, centred: true },
)
const learning = fc.record(
  { optimiser, proximalMicro: fc.constant(1000), gradientNormMicro: fc.constant(1_000_000) },
  { requiredKeys: ['optimiser'] },
)

/** Draws whose median is near that of all. */
const ENOUGH = 50

/** The slow one is asked about little. */
describe.each([
  ['wasm', 80, [1, 8, 33, 100]],
  ['cpu', 10, [1, 4]],
] as const)('on the %s backend', (backend, numRuns, sizes) => {
  beforeAll(async () => {
    await openBackend(backend)
  })

  test('training never holds more than it was said to need, and hardly ever half of it less', async () => {
    const ratios: number[] = []
    const batches = fc.constantFrom(...sizes)
    await fc.assert(
      fc.asyncProperty(anything, batches, learning, async ({ architecture, vocabulary }, batchSize, terms) => {
        const training = trainingOf(architecture, 'softmax-cross-entropy', 3, { batchSize, ...terms })
        // Tested on all of them, trained on as many as make a few steps, of which the last is a smaller one.
        const rows = Math.min(120, 3 * batchSize + 1)
        const dataset = {
          ...someDataset(architecture.input, 120, 3, 1, vocabulary),
          train: Int32Array.from({ length: rows }, (_, row) => row),
        }
        const { peakBytes } = await profile(async () => {
          await fitHere(someModel(architecture, 1), training, dataset)
          return [] as never
        })
        const needs = trainingNeeds(architecture, { ...training.task, batchSize: Math.min(batchSize, rows) })
        expect(needs.tensorBytes).toBeGreaterThanOrEqual(peakBytes)
        ratios.push(needs.tensorBytes / peakBytes)
      }),
      {
        numRuns,
        examples: [
          [causal(3), 1, { optimiser: SGD }],
          [causal(300), 8, { optimiser: SGD }],
        ],
      },
    )
    ratios.sort((a, b) => a - b)
    const below = (share: number) => ratios[Math.floor(share * ratios.length)] as number
    expect(ratios.at(-1)).toBeLessThan(10)
    // Of 1,600 draws the median was 1.7, one in four above 2, one in five hundred above 4: a dozen draws tell nothing of that.
    if (ratios.length < ENOUGH) return
    expect(below(0.5)).toBeLessThan(2)
    expect(below(0.95)).toBeLessThan(4)
  })

  test('nor with several labels of each row, where losses are most of what it holds', async () => {
    const out: Layer = { layer: 'dense', name: 'out', units: LABELS_MAX, activation: 'linear' }
    const architecture: Architecture = { v: 1, input: [1], layers: [out] }
    const data = labelledTable(1, Array(LABELS_MAX).fill(2))
    const batchSize = sizes.at(-1) as number
    const training = trainingOf(architecture, 'sigmoid-cross-entropy', 2, { batchSize, data })
    const rows = Array.from({ length: 3 * batchSize }, (_, row) => Float32Array.of(row))
    const labels = rows.flatMap((_, row) => Array.from({ length: LABELS_MAX }, (_, of) => (row + of) % 2))
    const dataset = datasetOf([1], rows, labels, [...rows.keys()])
    const { peakBytes } = await profile(async () => {
      await fitHere(someModel(architecture, 1), training, dataset)
      return [] as never
    })
    const { tensorBytes } = trainingNeeds(architecture, training.task)
    expect(tensorBytes / peakBytes).toBeGreaterThanOrEqual(1)
    expect(tensorBytes / peakBytes).toBeLessThan(5)
  })
})

test('of a frame of zeros that is wider than what lies in it, all of it is counted', () => {
  const [side, channels, rows] = [300, 2, 5]
  const shared = { name: 'a', strides: [1, 1], padding: 'same', activation: 'linear' } as const
  const layers: readonly Layer[] = [
    { layer: 'conv1d', ...{ name: 'a', filters: 1, kernel: side, stride: 1, padding: 'same', activation: 'linear' } },
    { layer: 'conv2d', ...shared, filters: 1, kernel: [side, side] },
    { layer: 'depthwiseConv2d', ...shared, multiplier: 3, kernel: [side, side] },
  ]
  for (const layer of layers) {
    const image = layer.layer === 'conv1d' ? [4, channels] : [4, 4, channels]
    const framed = side ** (image.length - 1) * channels * (layer.layer === 'depthwiseConv2d' ? layer.multiplier : 1)
    const end: readonly Layer[] = [
      { layer: 'flatten', name: 'b' },
      { layer: 'dense', name: 'c', units: 3, activation: 'linear' },
    ]
    const data: Task['data'] = { kind: 'image', height: 4, width: 4, channels, classes: 3, rowsMax: 100 }
    const task = { batchSize: rows, data, optimiser: SGD }
    const { tensorBytes } = trainingNeeds({ v: 1, input: image, layers: [layer, ...end] }, task)
    expect(tensorBytes).toBeGreaterThan(4 * rows * framed)
    // Tested by more rows at a time than it is trained on.
    expect(tensorBytes).toBeGreaterThan(4 * EVALUATION_ROWS * framed)
  }
})

test('what a hostile task would lay out is refused by its name, whatever makes it large', () => {
  const layers: readonly Layer[] = [
    ...[{ layer: 'flatten', name: 'f' } as const],
    { layer: 'dense', name: 'd', units: 3, activation: 'linear' },
  ]
  const image = (side: number, channels = 1): Task['data'] => {
    return { kind: 'image', height: side, width: side, channels, classes: 3, rowsMax: 65_536 }
  }
  const wide: Layer = {
    ...{ layer: 'conv2d', name: 'wide', filters: 65_536, kernel: [1, 1], strides: [1, 1] },
    ...{ padding: 'valid', activation: 'relu' },
  }
  const judge = (architecture: Architecture, batchSize: number, data: Task['data']) => {
    const { task } = trainingOf(architecture, 'softmax-cross-entropy', 3, { batchSize, data })
    const verdict = checkNeeds(architecture, task, 2 ** 31)
    return verdict.ok ? 'ok' : verdict.refusal
  }
  expect(judge({ v: 1, input: [28, 28, 1], layers }, 32, image(28))).toBe('ok')
  // Few weights, and yet a batch of it is gigabytes.
  expect(judge({ v: 1, input: [512, 512, 1], layers: [wide, layers[0] as Layer] }, 1, image(512))).toBe(
    'task-too-large',
  )
  expect(judge({ v: 1, input: [512, 512, 4], layers }, 4096, image(512, 4))).toBe('task-too-large')
  // The site has so few rows that no batch is that large.
  expect(judge({ v: 1, input: [512, 512, 4], layers }, 4096, { ...image(512, 4), rowsMax: 8 } as Task['data'])).toBe(
    'ok',
  )
  const [flat, out] = layers as [Layer, Layer]
  const many: Layer = { layer: 'dense', name: 'many', units: 1_000_000, activation: 'linear' }
  expect(judge({ v: 1, input: [200], layers: [flat, many, out] }, 1, image(10))).toBe('task-too-large')
})

test('a task may take what its site lets it, and on WebAssembly no more than that can address', () => {
  const gibibyte = 1024 ** 3
  expect(memoryOn('wasm', gibibyte)).toBe(gibibyte)
  expect(memoryOn('wasm', 64 * gibibyte)).toBe(4 * gibibyte)
  expect(memoryOn('cuda', 64 * gibibyte)).toBe(64 * gibibyte)
})
