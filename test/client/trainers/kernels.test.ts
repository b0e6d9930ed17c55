import { afterAll, expect, test } from '@jest/globals'
import { backend_util, tensor, tidy } from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { openBackend } from '#client/trainers/backend.ts'
import type { BackendName } from '#client/trainers/backends/choice.ts'
import { run } from '#client/trainers/gradients.ts'
import { backendsHere } from './backends.ts'
import { distance } from './distance.ts'
import { noise } from './tasks.ts'

/**
 * Kernels that training runs on, one by one, on every backend: against TF.js's cpu backend, and those that we wrote and
 * cpu shares no line with, against their definition in float64. Sides are random, so that most of them end inside a vector.
 * WebGPU's kernels are stock and tested layer by layer.
 */
const BACKENDS = await backendsHere('kernels', ['cuda', 'node', 'wasm'])
const TOLERANCE = 2e-5

type Values = { readonly shape: readonly number[]; readonly values: readonly number[]; readonly integers?: boolean }
type Call = { readonly kernel: string; readonly inputs: Readonly<Record<string, Values>>; readonly attrs: object }

afterAll(async () => {
  await openBackend('auto')
})

const side = fc.integer({ min: 1, max: 4 })
const sides = fc.tuple(side, side)
const image = fc.record({
  samples: fc.integer({ min: 1, max: 3 }),
  rows: fc.integer({ min: 3, max: 9 }),
  columns: fc.integer({ min: 3, max: 9 }),
  channels: fc.integer({ min: 1, max: 9 }),
})
const window = fc.record({ kernel: sides, strides: sides, pad: fc.constantFrom('valid', 'same') })
const seed = fc.nat()

/** Calls of one kernel with inputs and sides at random. */
const table: Readonly<Record<string, fc.Arbitrary<Call>>> = {
  AvgPool: pooling(({ x, attrs }) => ({ kernel: 'AvgPool', inputs: { x }, attrs })),
  AvgPoolGrad: pooling(({ x, dy, attrs }) => ({ kernel: 'AvgPoolGrad', inputs: { dy, input: x }, attrs })),
  MaxPool: pooling(({ x, attrs }) => ({ kernel: 'MaxPool', inputs: { x }, attrs })),
  BatchMatMul: fc
    .record({ sides: fc.tuple(side, side, fc.nat(18), fc.nat(18), fc.nat(18)), a: fc.boolean(), b: fc.boolean(), seed })
    .map(({ sides: [outer, batch, rows, inner, columns], a, b, seed }) => {
      const some = valuesFrom(seed)
      const turned = (turn: boolean, left: number, right: number) =>
        turn ? [right + 1, left + 1] : [left + 1, right + 1]
      return {
        kernel: 'BatchMatMul',
        inputs: {
          a: some([outer, batch, ...turned(a, rows, inner)]),
          b: some([outer, batch, ...turned(b, inner, columns)]),
        },
        attrs: { transposeA: a, transposeB: b },
      }
    }),
  UnsortedSegmentSum: fc
    .record({ rows: fc.integer({ min: 1, max: 20 }), width: fc.nat(9), segments: fc.integer({ min: 1, max: 9 }), seed })
    .map(({ rows, width, segments, seed }) => ({
      kernel: 'UnsortedSegmentSum',
      inputs: {
        x: valuesFrom(seed)([rows, width + 1]),
        // Some are outside on either side.
        segmentIds: whole([rows], (row) => ((row * 7 + seed) % (segments + 2)) - 1),
      },
      attrs: { numSegments: segments },
    })),
}

test.each(Object.entries(table))('%s gives what it gives on cpu, on every backend', async (_, calls) => {
  const examples = fc.sample(calls, { numRuns: 25, seed: 20_261 })
  const expected = await outputsOn('cpu', examples)
  for (const backend of BACKENDS) {
    for (const [index, found] of (await outputsOn(backend, examples)).entries())
      expect(distance(found, expected[index] as Float32Array)).toBeLessThan(TOLERANCE)
  }
})

test('depthwise convolutions and their gradients are what they are by definition, on every backend', async () => {
  const examples = fc.sample(
    fc.record({ image, window, several: fc.integer({ min: 1, max: 3 }), dilations: sides, seed }),
    { numRuns: 40, seed: 20_262 },
  )
  const cases = examples.flatMap(
    ({ image: { samples, rows, columns, channels }, window, several, dilations, seed }) => {
      const shape = [samples, rows, columns, channels] as Sides
      const filterShape = [...window.kernel, channels, several] as Sides
      // TF.js takes no convolution that is both strided and dilated.
      const free = window.strides.every((stride) => stride === 1)
      const attrs = { ...window, dataFormat: 'NHWC', dilations: free ? dilations : [1, 1] }
      const info = infoOf(shape, filterShape, attrs)
      if (info.outHeight < 1 || info.outWidth < 1) return []
      const some = valuesFrom(seed)
      return { attrs, info, x: some(shape), filter: some(filterShape), dy: some(info.outShape) }
    },
  )
  expect(cases.length).toBeGreaterThan(20)
  for (const backend of BACKENDS) {
    const found = await outputsOn(
      backend,
      cases.flatMap(({ attrs, x, filter, dy }) => [
        { kernel: 'DepthwiseConv2dNative', inputs: { x, filter }, attrs },
        {
          kernel: 'DepthwiseConv2dNativeBackpropInput',
          inputs: { dy, filter },
          attrs: { ...attrs, inputShape: x.shape },
        },
        {
          kernel: 'DepthwiseConv2dNativeBackpropFilter',
          inputs: { x, dy },
          attrs: { ...attrs, filterShape: filter.shape },
        },
      ]),
    )
    for (const [index, { info, x, filter, dy }] of cases.entries()) {
      const value = depthwiseByDefinition(info, x.values, filter.values, dy.values)
      expect(distance(found[3 * index] as Float32Array, value.out)).toBeLessThan(TOLERANCE)
      expect(distance(found[3 * index + 1] as Float32Array, value.input)).toBeLessThan(TOLERANCE)
      expect(distance(found[3 * index + 2] as Float32Array, value.filter)).toBeLessThan(TOLERANCE)
    }
  }
})

type Sides = [number, number, number, number]

/** Every product that a depthwise convolution adds up, once, in float64: out, and what ⟨dy, out⟩ grows by. */
function depthwiseByDefinition(
  info: backend_util.Conv2DInfo,
  x: readonly number[],
  filter: readonly number[],
  dy: readonly number[],
) {
  const { inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, padInfo } = info
  const sums = {
    out: new Float64Array(dy.length),
    input: new Float64Array(x.length),
    filter: new Float64Array(filter.length),
  }
  const add = (into: Float64Array, at: number, what: number) => {
    into[at] = (into[at] as number) + what
  }
  for (let at = 0; at < dy.length; at++) {
    const channel = at % outChannels
    const column = Math.floor(at / outChannels) % outWidth
    const row = Math.floor(at / outChannels / outWidth) % outHeight
    const sample = Math.floor(at / outChannels / outWidth / outHeight)
    for (let tap = 0; tap < info.filterHeight * info.filterWidth; tap++) {
      const [down, right] = [Math.floor(tap / info.filterWidth), tap % info.filterWidth]
      const y = row * info.strideHeight + down * info.dilationHeight - padInfo.top
      const z = column * info.strideWidth + right * info.dilationWidth - padInfo.left
      if (y < 0 || y >= inHeight || z < 0 || z >= inWidth) continue
      const several = outChannels / inChannels
      const from = ((sample * inHeight + y) * inWidth + z) * inChannels + Math.floor(channel / several)
      const weight = tap * outChannels + channel
      add(sums.out, at, (x[from] as number) * (filter[weight] as number))
      add(sums.input, from, (dy[at] as number) * (filter[weight] as number))
      add(sums.filter, weight, (dy[at] as number) * (x[from] as number))
    }
  }
  return sums
}

function infoOf(x: Sides, filter: Sides, attrs: { readonly strides: readonly number[]; readonly pad: string }) {
  const { strides, dilations, pad } = attrs as typeof attrs & { readonly dilations: readonly number[] }
  const pair = (both: readonly number[]) => both as [number, number]
  return backend_util.computeConv2DInfo(x, filter, pair(strides), pair(dilations), pad as 'same', undefined, true)
}

type Pooled = { readonly x: Values; readonly dy: Values; readonly attrs: object }

function pooling(callOf: (pooled: Pooled) => Call): fc.Arbitrary<Call> {
  return fc.record({ image, window, seed }).map(({ image: { samples, rows, columns, channels }, window, seed }) => {
    const some = valuesFrom(seed)
    const shape: Sides = [samples, rows, columns, channels]
    const kernel = window.kernel.map((each) => Math.min(each, 3)) as [number, number]
    const { outShape } = backend_util.computePool2DInfo(shape, kernel, window.strides, 1, window.pad)
    const attrs = { filterSize: kernel, strides: window.strides, pad: window.pad }
    return callOf({ x: some(shape), dy: some(outShape), attrs })
  })
}

/** Numbers in −1…1 that a seed fixes, as tensors one after the other. */
function valuesFrom(seed: number): (shape: readonly number[]) => Values {
  const next = noise(seed)
  return (shape) => ({ shape, values: Array.from({ length: sizeOf(shape) }, () => Math.fround(next())) })
}

function whole(shape: readonly number[], value: (index: number) => number): Values {
  return { shape, values: Array.from({ length: sizeOf(shape) }, (_, index) => value(index)), integers: true }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, each) => product * each, 1)
}

async function outputsOn(backend: BackendName, calls: readonly Call[]): Promise<readonly Float32Array[]> {
  expect((await openBackend(backend)).name).toBe(backend)
  const outputs: Float32Array[] = []
  for (const { kernel, inputs, attrs } of calls) {
    const out = tidy(() => {
      const tensors = Object.entries(inputs).map(([name, { shape, values, integers }]) => [
        name,
        tensor([...values], [...shape], integers ? 'int32' : 'float32'),
      ])
      return run(kernel, Object.fromEntries(tensors), attrs)
    })
    outputs.push(Float32Array.from(await out.data()))
    out.dispose()
  }
  return outputs
}
