import { describe, expect, test } from '@jest/globals'
import { modelManifestOf } from '#aggregation/weights.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { decode, encode } from '#protocol/codec.ts'
import type { Layer } from '#protocol/layers.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { sizeOf } from '#protocol/shapes.ts'

const conv = (name: string, filters: number, more: Partial<Extract<Layer, { layer: 'conv2d' }>> = {}): Layer => ({
  layer: 'conv2d',
  name,
  filters,
  kernel: [5, 5],
  strides: [1, 1],
  padding: 'valid',
  activation: 'relu',
  ...more,
})
const pool = (name: string, side = 2): Layer => ({
  layer: 'maxPooling2d',
  name,
  pool: [side, side],
  strides: [side, side],
})
const dense = (name: string, units: number): Layer => ({ layer: 'dense', name, units, activation: 'linear' })
const embedding = (name: string): Layer => ({ layer: 'embedding', name, vocabulary: 5, units: 2 })
const flatten: Layer = { layer: 'flatten', name: 'flatten' }
const relu: Layer = { layer: 'activation', name: 'r', activation: 'relu' }
const of = (input: readonly number[], ...layers: readonly Layer[]): Architecture => ({ v: 1, input, layers })

const digits = of([28, 28, 1], conv('c1', 8), pool('p1'), conv('c2', 16), pool('p2'), flatten, dense('out', 10))

describe('the shape of a model', () => {
  test('of handwritten digits is the one that TF.js builds: 5,994 parameters', () => {
    const shape = shapeOf(digits)
    if (!shape.ok) throw new Error(shape.refusal)
    expect(shape.value.parameters).toBe(5994)
    expect(shape.value.output).toEqual([10])
    expect(shape.value.tensors.map(({ name, shape }) => [name, shape])).toEqual([
      ['c1/kernel', [5, 5, 1, 8]],
      ['c1/bias', [8]],
      ['c2/kernel', [5, 5, 8, 16]],
      ['c2/bias', [16]],
      ['out/kernel', [256, 10]],
      ['out/bias', [10]],
    ])
  })

  test('counts units in and out for kernels, and none for biases, which start at zero', () => {
    const shape = shapeOf(digits)
    if (!shape.ok) throw new Error(shape.refusal)
    expect(shape.value.tensors.map(({ start }) => start)).toEqual([
      { kind: 'glorot', in: 25, out: 200 },
      { kind: 'fill', value: 0 },
      { kind: 'glorot', in: 200, out: 400 },
      { kind: 'fill', value: 0 },
      { kind: 'glorot', in: 256, out: 10 },
      { kind: 'fill', value: 0 },
    ])
  })

  test.each([
    ['same, stride 1', { padding: 'same' }, [28, 28, 3]],
    ['same, stride 2', { padding: 'same', strides: [2, 2] }, [14, 14, 3]],
    ['same, stride 3', { padding: 'same', strides: [3, 3] }, [10, 10, 3]],
    ['valid, stride 2', { strides: [2, 2] }, [12, 12, 3]],
    ['valid, a kernel of the whole image', { kernel: [28, 28] }, [1, 1, 3]],
    ['valid, sides that differ', { kernel: [3, 7], strides: [2, 1] }, [13, 22, 3]],
  ] as const)('of a convolution: %s', (_name, more, output) => {
    expect(shapeOf(of([28, 28, 1], conv('c', 3, more)))).toMatchObject({ ok: true, value: { output } })
  })

  test('of a pool leaves out the rest that does not fill a window', () => {
    expect(shapeOf(of([7, 5, 2], pool('p', 2)))).toMatchObject({ ok: true, value: { output: [3, 2, 2], tensors: [] } })
  })

  test('has no size but the product of its sides', () => {
    expect([sizeOf({ shape: [] }), sizeOf({ shape: [3, 4, 5] })]).toEqual([1, 60])
  })
})

describe('an architecture is refused', () => {
  test.each([
    ['where a layer takes what none is called', of([13], { ...dense('d', 10), from: ['e'] }), 'unknown-source'],
    ['where a layer takes a later one', of([13], { ...dense('d', 10), from: ['e'] }, dense('e', 10)), 'unknown-source'],
    [
      'where nothing takes what a layer puts out',
      of([13], dense('d', 10), { ...dense('e', 10), from: ['input'] }),
      'loose-layer',
    ],
    [
      'where sums are of different shapes',
      of([13], dense('d', 10), { layer: 'add', name: 'a', from: ['d', 'input'] }),
      'bad-shape',
    ],
    [
      'where a table is read at places that a layer learns',
      of([13], dense('d', 4), { layer: 'dropout', name: 'o', rateMicro: 1 }, embedding('e')),
      'learned-places',
    ],
    ['where a convolution takes a row', of([13], conv('c', 8)), 'bad-shape'],
    ['where a pool takes a row', of([13], pool('p')), 'bad-shape'],
    ['where a kernel is larger than the image', of([4, 4, 1], conv('c', 8)), 'bad-shape'],
    ['where a window is larger than the image', of([4, 4, 1], pool('p', 5)), 'bad-shape'],
    ['where two layers have one name', of([13], dense('d', 10), dense('d', 10)), 'duplicate-layer'],
    ['where a model is too large to hold', of([1_000_000], dense('d', 1_000_000)), 'too-many-parameters'],
    ['where sizes pass 2^53', of([4096, 4096, 1_000_000], flatten, dense('d', 1_000_000)), 'bad-shape'],
  ] as const)('%s', (_name, architecture, refusal) => {
    expect(shapeOf(architecture)).toMatchObject({ ok: false, refusal })
  })

  test.each([
    ['no layer', { ...digits, layers: [] }],
    ['a layer that has no checked gradient', { ...digits, layers: [{ layer: 'conv3d', name: 'l', filters: 3 }] }],
    ['an activation that is not there', { ...digits, layers: [{ ...dense('d', 1), activation: 'maxout' }] }],
    ['a slope that it has not', { ...digits, layers: [{ ...relu, slopeMicro: 1 }] }],
    ['a stride of nothing', { ...digits, layers: [conv('c', 1, { strides: [0, 1] })] }],
    ['an input of four sides', { ...digits, input: [1, 1, 1, 1] }],
    ['a layer called as what is put in', { ...digits, layers: [dense('input', 1)] }],
    ['another version', { ...digits, v: 2 }],
  ])('with %s', (_name, value) => {
    expect(architectureSchema.safeDecode(value as never).success).toBe(false)
  })
})

test('an architecture comes back from its block', () => {
  expect(decode(architectureSchema, encode(architectureSchema, digits), 65_536)).toEqual({ ok: true, value: digits })
})

describe('a name', () => {
  const named = (name: string) => of([2], dense(name, 1))

  test('of a layer leaves room for its tensors’, so that every architecture that is read makes a model', () => {
    for (let length = 1; length <= 120; length++) {
      const architecture = architectureSchema.safeParse(named('x'.repeat(length)))
      if (!architecture.success) {
        expect(length).toBeGreaterThan(80)
        continue
      }
      const shape = shapeOf(architecture.data)
      if (!shape.ok) throw new Error(shape.refusal)
      const file = cidOf(RAW, new Uint8Array(0))
      encode(modelSchema, modelManifestOf(file, shape.value.tensors, file))
    }
  })

  test('is the same after it was encoded: two that differ cannot become one', () => {
    for (const half of ['\ud800', 'a\udc00', '\udbff\ud800'])
      expect(architectureSchema.safeParse(named(half)).success).toBe(false)
    expect(architectureSchema.safeParse(named('\ud83d\ude00')).success).toBe(true)
  })
})
