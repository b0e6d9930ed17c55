import { beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { openBackend } from '#client/trainers/backend.ts'
import { fitModel } from '#client/trainers/fit.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { type Layer, layerSchema } from '#protocol/layers.ts'
import type { Loss } from '#protocol/task.ts'
import { backendsHere } from './backends.ts'
import { conv, dense, type Example, examples, flat, pool } from './layer-examples.ts'
import { referenceGradient, referenceLoss, someWeights } from './reference.ts'
import { gradientOf, someDataset, someModel, trainingOf } from './tasks.ts'

test('the examples hold every layer that an architecture may have', () => {
  const seen = new Set(Object.values(examples).flatMap(({ layers }) => layers.map(({ layer }) => layer)))
  const all = layerSchema.options.map((option) => option.shape.layer.value)
  expect([...seen].toSorted()).toEqual(all.toSorted())
})

/** Small ones of the two kinds that the demo trains. */
const REFERENCE = {
  'a multilayer perceptron': { v: 1, input: [20], layers: [dense('a', 24, 'relu'), dense('out', 4)] },
  'a convolutional network': {
    ...{ v: 1, input: [10, 10, 1] },
    layers: [conv('a', 6, [3, 3], { activation: 'relu' }), pool('b', [2, 2], [2, 2]), flat, dense('out', 4)],
  },
} as const satisfies Readonly<Record<string, Architecture>>

const curves = new Map<string, readonly number[]>()
beforeAll(async () => {
  await openBackend('cpu')
  for (const name of Object.keys(REFERENCE)) curves.set(name, await lossesOf(name))
})

/** Of each epoch, on the backend that is set. */
async function lossesOf(name: string): Promise<readonly number[]> {
  const architecture: Architecture = REFERENCE[name as keyof typeof REFERENCE]
  const training = trainingOf(architecture, 'softmax-cross-entropy', 4, {
    ...{ epochs: 6, batchSize: 16 },
    optimiser: { kind: 'sgd', rateMicro: 100_000, momentumMicro: 900_000 },
  })
  const losses: number[] = []
  await fitModel(someModel(architecture, 3), training, someDataset(architecture.input, 40, 4, 8), {
    checkpoint: () => undefined,
    progress: ({ loss }) => losses.push(loss),
  })
  return losses
}

/** On a GPU in software, whose programs take long to compile: .ci/run has it check every layer, by CONSILIUM_EVERY_LAYER. */
const BRIEF = ['softmax regression', 'pools whose largest value is below zero']

/**
 * Every layer, activation, stride, padding and loss that an architecture may have, on every backend, against float64
 * differences of an implementation that shares nothing with it. Sizes are odd on purpose: they end inside a vector.
 * One device for all of them: a GPU compiles a program once, and in software that takes longest.
 */
describe.each(await backendsHere('the gradients of each layer'))('on the %s backend', (backend) => {
  beforeAll(async () => {
    await openBackend(backend)
  })

  const isBrief = backend === 'webgpu' && !process.env['CONSILIUM_EVERY_LAYER']
  test.each(isBrief ? BRIEF : Object.keys(examples))('the gradients of %s are the slopes of the loss', async (name) => {
    const { architecture, loss, model, dataset, at, slopes } = exampleOf(name)
    const scale = Math.max(...slopes.map(Math.abs))
    expect(scale).toBeGreaterThan(1e-3)
    const gradient = await gradientOf(model, architecture, loss, dataset)
    const errors = at.map((index, place) => Math.abs((gradient[index] as number) - (slopes[place] as number)))
    expect(Math.max(...errors) / scale).toBeLessThan(1e-5)
  })

  test.each(Object.keys(REFERENCE).slice(0, isBrief ? 1 : undefined))(
    'the losses of %s go down as on cpu',
    async (name) => {
      const [losses, expected] = [await lossesOf(name), curves.get(name) as readonly number[]]
      expect(expected.at(-1)).toBeLessThan(0.9 * (expected[0] as number))
      for (const [epoch, loss] of losses.entries()) {
        const there = expected[epoch] as number
        expect(Math.abs(loss - there) / there).toBeLessThan(2e-5)
      }
    },
  )
})

type Made = ReturnType<typeof makeExample>
const made = new Map<string, Made>()

/** Made once: differences of a loss in float64 take longer than a gradient. */
function exampleOf(name: string): Made {
  const example = made.get(name) ?? makeExample(name)
  made.set(name, example)
  return example
}

function makeExample(name: string) {
  const { input, layers, loss: odd, vocabulary } = examples[name] as Example
  const loss: Loss = odd ?? 'softmax-cross-entropy'
  const architecture: Architecture = { v: 1, input, layers }
  const model = someModel(architecture, 5)
  if (name.includes('below zero')) model.fill(-9, 2 * 2 * 2 * 5, 2 * 2 * 2 * 5 + 5)
  const classes = loss === 'sigmoid-cross-entropy' ? 2 : (layers.at(-1) as Extract<Layer, { layer: 'dense' }>).units
  const dataset = someDataset(input, 5, classes, 11, vocabulary)
  const at = someWeights(architecture, 5)
  const [rows, labels] = [dataset.rows, [...dataset.labels]]
  const slopes = referenceGradient(model, at, (weights) => referenceLoss(architecture, weights, rows, labels, loss))
  return { architecture, loss, model, dataset, at, slopes }
}

/** Kernel sizes, strides, depths and paddings at random: 40 networks of two convolutions and a pool. */
test('random convolutions and pools have the same gradients on wasm as on cpu', async () => {
  const side = fc.integer({ min: 1, max: 4 })
  const sides = fc.tuple(side, side)
  const convolution = fc.record({
    filters: fc.integer({ min: 1, max: 19 }),
    kernel: sides,
    strides: sides,
    padding: fc.constantFrom('valid', 'same'),
    activation: fc.constantFrom('linear', 'relu', 'tanh', 'sigmoid'),
  })
  const random = fc.record({
    input: fc.tuple(fc.integer({ min: 4, max: 11 }), fc.integer({ min: 4, max: 11 }), fc.integer({ min: 1, max: 6 })),
    first: convolution,
    window: sides,
    poolStrides: sides,
    second: convolution,
    seed: fc.nat(),
  })
  let checked = 0
  await fc.assert(
    fc.asyncProperty(random, async ({ input, first, window, poolStrides, second, seed }) => {
      const layers = [
        conv('a', first.filters, first.kernel, first),
        pool('b', window, poolStrides),
        conv('c', second.filters, second.kernel, second),
        flat,
        dense('out', 3),
      ]
      const architecture: Architecture = { v: 1, input, layers }
      fc.pre(shapeOf(architecture).ok)
      const model = someModel(architecture, seed)
      const dataset = someDataset(input, 3, 3, seed)
      await openBackend('cpu')
      const expected = await gradientOf(model, architecture, 'softmax-cross-entropy', dataset)
      await openBackend('wasm')
      const found = await gradientOf(model, architecture, 'softmax-cross-entropy', dataset)
      const scale = expected.reduce((largest, each) => Math.max(largest, Math.abs(each)), 0)
      const worst = found.reduce((most, each, index) => Math.max(most, Math.abs(each - (expected[index] as number))), 0)
      expect(worst).toBeLessThanOrEqual(2e-5 * scale)
      checked++
    }),
    { numRuns: 20, seed: 20_261 },
  )
  expect(checked).toBe(20)
})
