import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { openBackend } from '#client/trainers/backend.ts'
import type { BackendName } from '#client/trainers/backends/choice.ts'
import { probeGradients } from '#client/trainers/backends/probe.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { layerSchema } from '#protocol/layers.ts'
import { chromiumPath, type Opened, openPage, SOFTWARE_GPU, START_MILLIS } from '#test/chromium.ts'
import { backendsHere } from './backends.ts'
import { conv, dense, examples, flat, pool } from './layer-examples.ts'
import { CURVES, lossesOf, ODD_BATCHES, ODD_PERCEPTRON, PERCEPTRON } from './loss-curves.ts'
import { exampleGradient, exampleOf, exampleSlopes } from './made-examples.ts'
import { gradientOf, someDataset, someModel } from './tasks.ts'

test('the examples hold every layer that an architecture may have', () => {
  const seen = new Set(Object.values(examples).flatMap(({ layers }) => layers.map(({ layer }) => layer)))
  const all = layerSchema.options.map((option) => option.shape.layer.value)
  expect([...seen].toSorted()).toEqual(all.toSorted())
})

const curves = new Map<string, readonly number[]>()
let pageHere: Opened | undefined
beforeAll(async () => {
  await openBackend('cpu')
  for (const name of Object.keys(CURVES)) curves.set(name, await lossesOf(name))
  if (chromium) pageHere = await openPage(chromium, entry, SOFTWARE_GPU)
}, START_MILLIS)
afterAll(async () => {
  await pageHere?.[Symbol.asyncDispose]()
})

/** Where a backend computes, in Node or in a page. */
type Place = {
  readonly open: () => Promise<unknown>
  readonly gradientOf: (name: string) => Promise<ArrayLike<number>>
  readonly lossesOf: (name: string) => Promise<readonly number[]>
}

const inNode = (backend: BackendName): Place => ({
  open: () => openBackend(backend),
  gradientOf: exampleGradient,
  lossesOf,
})

function inPage(backend: BackendName): Place {
  const ask = async <T>(what: keyof typeof import('./trainer-page.ts'), of: string): Promise<T> =>
    (await pageHere?.page.evaluate(`import('/module.js').then((page) => page.${what}('${of}'))`)) as T
  return {
    open: () => ask('open', backend),
    gradientOf: (name) => ask('exampleGradient', name),
    lossesOf: (name) => ask('lossesOf', name),
  }
}

const chromium = chromiumPath()
const entry = join(import.meta.dirname, 'trainer-page.ts')
if (!chromium)
  process.stderr.write(
    'skipped: the gradients of each layer on webgl, and on webgpu in a page, since there is no Chromium (CHROMIUM, or on the PATH)\n',
  )
const places = new Map<string, Place>([
  ...(await backendsHere('the gradients of each layer')).map((backend) => [backend, inNode(backend)] as const),
  ...(chromium ? (['webgl', 'webgpu'] as const) : []).map((name) => [`${name} of a page`, inPage(name)] as const),
])

/** Of these TF.js's packed products of matrices give no numbers on WebGL. */
const BEYOND_ODD_SIDES = [
  'batches that are normalised',
  'a frozen normalisation, by its moving statistics',
  'an adapter beside a frozen kernel',
  'frozen layers before, between and after those that learn',
]
/**
 * On a GPU in software, whose programs take long to compile: .ci/run has it check every layer, by CONSILIUM_EVERY_LAYER. On
 * WebGL those that TF.js got wrong, where it reckoned with what lies beyond an odd side.
 */
const BRIEF: ReadonlyMap<string, Brief> = new Map([
  ['webgpu', { gradients: ['softmax regression', 'pools whose largest value is below zero'], curves: [PERCEPTRON] }],
  ['webgpu of a page', { gradients: ['softmax regression'], curves: [PERCEPTRON] }],
  ['webgl of a page', { gradients: BEYOND_ODD_SIDES, curves: [ODD_PERCEPTRON, ODD_BATCHES] }],
])
type Brief = { readonly gradients: readonly string[]; readonly curves: readonly string[] }

/**
 * Every layer, activation, stride, padding and loss that an architecture may have, on every backend, against float64
 * differences of an implementation that shares nothing with it. Sizes are odd on purpose: they end inside a vector.
 * One device for all of them: a GPU compiles a program once, and in software that takes longest.
 */
describe.each([...places.keys()])('on the %s backend', (name) => {
  const place = places.get(name) as Place
  beforeAll(async () => {
    await place.open()
  }, START_MILLIS)

  const every = { gradients: Object.keys(examples), curves: Object.keys(CURVES) }
  const asked = (!process.env['CONSILIUM_EVERY_LAYER'] && BRIEF.get(name)) || every
  test.each(asked.gradients)('the gradients of %s are the slopes of the loss', async (example) => {
    const { at } = exampleOf(example)
    const slopes = slopesOf(example)
    const scale = Math.max(...slopes.map(Math.abs))
    expect(scale).toBeGreaterThan(1e-3)
    const gradient = await place.gradientOf(example)
    const errors = at.map((index, place) => Math.abs((gradient[index] as number) - (slopes[place] as number)))
    expect(Math.max(...errors) / scale).toBeLessThan(1e-5)
  })

  test.each(asked.curves)('the losses of %s go down as on cpu', async (curve) => {
    const [losses, expected] = [await place.lossesOf(curve), curves.get(curve) as readonly number[]]
    expect(expected.at(-1)).toBeLessThan(0.9 * (expected[0] as number))
    expect(losses).toHaveLength(expected.length)
    for (const [epoch, loss] of losses.entries()) {
      const there = expected[epoch] as number
      expect(Math.abs(loss - there) / there).toBeLessThan(2e-5)
    }
  })
})

const known = new Map<string, readonly number[]>()

/** Worked out once: differences of a loss in float64 take longer than a gradient. */
function slopesOf(name: string): readonly number[] {
  const slopes = known.get(name) ?? exampleSlopes(name)
  known.set(name, slopes)
  return slopes
}

describe('the probe of a backend', () => {
  test.each(['wasm', 'cpu'] as const)('passes %s', async (backend) => {
    await openBackend(backend)
    expect(await probeGradients()).toBe(true)
  })

  const inChromium = chromium ? test : test.skip
  inChromium('passes no half precision, which is refused by its name before, nor sums beyond an odd side', async () => {
    await using opened = await openPage(chromium as string, entry, SOFTWARE_GPU)
    expect(await opened.page.evaluate("import('/module.js').then((page) => page.openCoarsely())")).toEqual({
      ...{ refusal: expect.stringMatching(/webgl: ANGLE .* draws no floats of 32 bits/), half: false, packed: false },
      whole: true,
    })
  })
})

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
