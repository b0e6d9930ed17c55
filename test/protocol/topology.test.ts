import { beforeAll, describe, expect, test } from '@jest/globals'
import {
  mul,
  type Scalar,
  softmax,
  type Tensor,
  tensor,
  tidy,
  type Variable,
  variableGrads,
} from '@tensorflow/tfjs-core'
import * as layers from '@tensorflow/tfjs-layers'
import fc from 'fast-check'
import { openBackend } from '#client/trainers/backend.ts'
import { lossSum } from '#client/trainers/loss.ts'
import { buildNetwork } from '#client/trainers/network.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { utf8 } from '#protocol/bytes.ts'
import type { Layer } from '#protocol/layers.ts'
import { sizeOf } from '#protocol/shapes.ts'
import { topologyOf } from '#protocol/topology/export.ts'
import { architectureOf } from '#protocol/topology/topology.ts'
import { weightsOf } from '#protocol/topology/weights.ts'
import { architectures } from '#test/client/trainers/architectures.ts'
import { noise, someModel } from '#test/client/trainers/tasks.ts'
import { bytesOf, conv, dense, graph, layer, savedOf, sequential, used } from './topologies.ts'

test('an architecture comes back from its topology, and whoever has none in Keras is refused', () => {
  let back = 0
  fc.assert(
    fc.property(architectures(), ({ architecture }) => {
      const topology = topologyOf(architecture)
      if (!topology.ok) {
        expect(topology.refusal).toBe('no-counterpart')
        return
      }
      const read = architectureOf(bytesOf({ modelTopology: topology.value }))
      if (!read.ok) throw new Error(`${read.refusal}: ${read.detail}`)
      expect(withoutDefaults(read.value.architecture)).toEqual(withoutDefaults(architecture))
      back++
    }),
    { numRuns: 150, seed: 3 },
  )
  expect(back).toBeGreaterThan(60)
})

/** What a layer takes, said; no slope where it is the usual one. */
function withoutDefaults(architecture: Architecture): unknown {
  return architecture.layers.map((layer, index) => {
    const slope = layer.layer === 'activation' && layer.activation === 'leakyRelu' ? { slopeMicro: 200_000 } : {}
    return { from: [architecture.layers[index - 1]?.name ?? 'input'], ...slope, ...layer }
  })
}

/** What TF.js draws by itself, has not, or does wrong: its padded means' gradient, and frozen statistics, which it takes anew. */
function isOtherwise(layer: Layer): boolean {
  switch (layer.layer) {
    case 'dropout':
      return true
    case 'conv1d':
      return layer.padding === 'causal'
    case 'averagePooling1d':
    case 'averagePooling2d':
      return layer.padding === 'same'
    case 'batchNormalization':
      return layer.frozen === true
    default:
      return false
  }
}

describe('a LayersModel of TF.js', () => {
  beforeAll(async () => {
    await openBackend('cpu')
  })

  test('gives what ours gives, and its loss has the same gradients', async () => {
    let compared = 0
    for (const { architecture, vocabulary } of fc.sample(architectures(), { numRuns: 110, seed: 11 })) {
      const topology = topologyOf(architecture)
      if (!topology.ok || architecture.layers.some(isOtherwise)) continue
      const theirs = await layers.models.modelFromJSON({ modelTopology: topology.value } as never)
      const ours = buildNetwork(architecture)
      const model = someModel(architecture, compared)
      ours.write(model)
      const shaped = shapeOf(architecture)
      if (!shaped.ok) throw new Error(shaped.refusal)
      let from = 0
      const values = new Map(
        shaped.value.tensors.map((each) => {
          from += sizeOf(each)
          return [each.name, model.subarray(from - sizeOf(each), from)]
        }),
      )
      const named = (weight: layers.LayerVariable) => weight.originalName.replace('depthwise_kernel', 'kernel')
      theirs.setWeights(
        theirs.weights.map((each) => tensor(values.get(named(each))?.slice() as Float32Array, each.shape as number[])),
      )
      const next = noise(compared)
      const x = Float32Array.from({ length: 4 * sizeOf({ shape: architecture.input }) }, () =>
        vocabulary ? Math.floor(((next() + 1) / 2) * vocabulary) : next(),
      )
      const rows = tensor(x, [4, ...architecture.input])
      const targets = tensor([1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0], [4, 3])
      const training = { next: () => 0 }
      const compare = (...pairs: readonly (readonly [Tensor, Tensor])[]) => {
        const [found, expected] = [0, 1].map((side) => pairs.flatMap((pair) => [...(pair[side] as Tensor).dataSync()]))
        const scale = Math.max(1e-3, ...(expected as number[]).map(Math.abs))
        const errors = (found as number[]).map((value, at) => Math.abs(value - (expected?.[at] as number)))
        expect(Math.max(...errors) / scale).toBeLessThan(2e-5)
      }
      compare([ours.predict(rows), theirs.predict(rows) as Tensor])
      const slopes = (predict: () => Tensor, variables: Variable[]) =>
        variableGrads(() => mul(lossSum('softmax-cross-entropy', predict(), targets), 0.25) as Scalar, variables).grads
      const trainable = theirs.trainableWeights.map((weight) => (weight as unknown as { val: Variable }).val)
      const expected = tidy(() => slopes(() => theirs.apply(rows, { training: true }) as Tensor, trainable))
      const found = tidy(() => slopes(() => ours.predict(rows, training), [...ours.trainable]))
      const order = shaped.value.tensors.filter(({ role }) => role === 'trainable').map(({ name }) => name)
      expect(trainable).toHaveLength(order.length)
      const pairs = theirs.trainableWeights.map((weight, index) => {
        const mine = ours.trainable[order.indexOf(named(weight))] as Variable
        return [found[mine.name] as Tensor, expected[(trainable[index] as Variable).name] as Tensor] as const
      })
      compare(...pairs)
      ours.dispose()
      compared++
    }
    expect(compared).toBeGreaterThan(30)
  })

  test('of several inputs, separable convolutions and a softmax is read with its weights', async () => {
    const [image, table] = [layers.input({ shape: [8, 6, 2] }), layers.input({ shape: [3], name: 'table' })]
    const seen = layers.layers
      .separableConv2d({ filters: 3, kernelSize: 2, activation: 'hardSigmoid' })
      .apply(image) as layers.SymbolicTensor
    const flat = layers.layers.flatten().apply(layers.layers.leakyReLU({ alpha: 0.1 }).apply(seen))
    const both = layers.layers.concatenate().apply([flat as layers.SymbolicTensor, table])
    const out = layers.layers.dense({ units: 3, activation: 'softmax' }).apply(both) as layers.SymbolicTensor
    const theirs = layers.model({ inputs: [image, table], outputs: out })
    const { json, file } = await savedOf(theirs)
    const topology = architectureOf(json)
    if (!topology.ok) throw new Error(topology.detail)
    expect(topology.value.notes.join()).toMatch(/final softmax is left out/)
    const { architecture } = topology.value
    expect(architecture.input).toEqual([99])
    const weights = weightsOf(topology.value, json, file)
    if (!weights.ok) throw new Error(weights.detail)
    const ours = buildNetwork(architecture)
    ours.write(weights.value)
    const next = noise(3)
    const row = Float32Array.from({ length: 99 }, next)
    const expected = theirs.predict([tensor(row.slice(0, 96), [1, 8, 6, 2]), tensor(row.slice(96), [1, 3])]) as Tensor
    const found = softmax(ours.predict(tensor(row, [1, 99])))
    for (const [at, value] of found.dataSync().entries())
      expect(value).toBeCloseTo(expected.dataSync()[at] as number, 5)
    ours.dispose()
    expect(weightsOf(topology.value, json, file.subarray(4))).toMatchObject({ ok: false, refusal: 'wrong-size' })
    const others = architectureOf(bytesOf(dense({ units: 7 })))
    if (!others.ok) throw new Error(others.detail)
    expect(weightsOf(others.value, json, file)).toMatchObject({ ok: false, refusal: 'missing-weight' })
  })
})

describe('a topology is refused', () => {
  test.each([
    ['that is no JSON', '{', 'bad-json'],
    ['that is no model', {}, 'unsupported-model'],
    ['with code in it', sequential(layer('Lambda', {})), 'unsupported-layer: odd is a Lambda: it is code'],
    [
      'with a layer of three dimensions',
      sequential(layer('Conv3D', {})),
      'unsupported-layer: odd is a Conv3D: layers of',
    ],
    ['with a layer called as what objects inherit', sequential(layer('constructor', {})), 'unsupported-layer'],
    [
      'with a dilated convolution',
      sequential(layer('Conv2D', { ...conv, dilation_rate: [2, 2] })),
      'odd: dilation_rate',
    ],
    [
      'with channels first',
      sequential(layer('Conv2D', { ...conv, data_format: 'channels_first' })),
      'odd: data_format',
    ],
    ['with an option that nobody knows', dense({ spectral: true }), 'unsupported-option: odd: '],
    [
      'with a regulariser',
      dense({ kernel_regularizer: { class_name: 'L1L2' } }),
      'odd: kernel_regularizer: leave it out',
    ],
    ['with an activation that is not there', dense({ activation: 'crelu' }), 'odd: activation'],
    ['with units for a million machines', dense({ units: 10 ** 12 }), 'unsupported-option'],
    ['without the length of an input', dense({ batch_input_shape: [null, null] }), 'bad-shape'],
    ['that uses a layer twice', graph(used([['in', 0, 0, {}]], [['in', 0, 0, {}]])), 'odd is used 2 times'],
    ['that goes in a circle', graph(used([['odd', 0, 0, {}]])), 'takes what is not there'],
    [
      'of Keras 3, where hard_sigmoid is another',
      { keras_version: '3.1', ...dense({ activation: 'hard_sigmoid' }) },
      'Keras 3',
    ],
  ])('%s', (_name, model, message) => {
    const read = architectureOf(typeof model === 'string' ? utf8(model) : bytesOf(model))
    if (read.ok) throw new Error('it was read')
    expect(`${read.refusal}: ${read.detail}`).toContain(message)
  })

  test('too large or too deep, before it is parsed', () => {
    expect(architectureOf(utf8('['.repeat(100_000)))).toMatchObject({ refusal: 'bad-json', detail: 'deeper than 32' })
    expect(architectureOf(new Uint8Array(5_000_000))).toMatchObject({ refusal: 'bad-json' })
    // A text that never ends is looked through once, not once for each of its marks.
    expect(architectureOf(utf8(`"${'\\"'.repeat(1_000_000)}`))).toMatchObject({ refusal: 'bad-json' })
  })

  test('in no other way than by a refusal, whatever is in it', () => {
    const good = JSON.stringify(graph(used([['in', 0, 0, {}]])))
    fc.assert(
      fc.property(fc.nat(good.length), fc.nat(20), fc.string({ maxLength: 6 }), (at, length, text) => {
        architectureOf(utf8(good.slice(0, at) + text + good.slice(at + length)))
      }),
      { numRuns: 300 },
    )
    fc.assert(fc.property(fc.jsonValue(), (json) => void architectureOf(bytesOf(json))))
  })
})

test('layers of Keras 3 name what they take in its own way', () => {
  const from = { class_name: '__keras_tensor__', config: { shape: [null, 4], keras_history: ['in', 0, 0] } }
  const model = { ...graph(used({ args: [from], kwargs: {} })), keras_version: '3.4.1' }
  expect(architectureOf(bytesOf(model))).toMatchObject({
    ok: true,
    value: { architecture: { input: [4], layers: [{ layer: 'dense', name: 'odd', units: 3 }] } },
  })
})
