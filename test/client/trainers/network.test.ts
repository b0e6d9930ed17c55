import { describe, expect, test } from '@jest/globals'
import { ones, tensor, tidy, zerosLike } from '@tensorflow/tfjs-core'
import { uint32Stream } from '#aggregation/rng.ts'
import { openBackend } from '#client/trainers/backend.ts'
import { buildNetwork } from '#client/trainers/network.ts'
import { openOptimiser } from '#client/trainers/optimiser.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import type { Layer } from '#protocol/layers.ts'
import { backendsHere } from './backends.ts'
import { examples } from './layer-examples.ts'
import { referenceOutput } from './reference.ts'
import { fitHere, someDataset, someModel, trainingOf } from './tasks.ts'

const BACKENDS = await backendsHere('outputs', ['cuda', 'node', 'wasm', 'cpu'])
const dense: Layer = { layer: 'dense', name: 'out', units: 3, activation: 'linear' }

describe.each(BACKENDS)('on the %s backend', (backend) => {
  test('what a model gives outside training is what the layers are defined as', async () => {
    await openBackend(backend)
    for (const { input, layers, vocabulary } of Object.values(examples)) {
      const architecture: Architecture = { v: 1, input, layers }
      const model = someModel(architecture, 3)
      const dataset = someDataset(input, 4, 2, 5, vocabulary)
      const { rows } = dataset
      const values = Float32Array.from(rows.flatMap((row) => [...row]))
      const expected = referenceOutput(architecture, Float64Array.from(model), rows, false).flatMap((row) => [
        ...row.values,
      ])
      const network = buildNetwork(architecture)
      network.write(model)
      const out = tidy(() => network.predict(tensor(values, [4, ...input])))
      const found = [...(await out.data())]
      out.dispose()
      network.dispose()
      const scale = Math.max(1, ...expected.map(Math.abs))
      for (const [at, value] of found.entries())
        expect(Math.abs(value - (expected[at] as number)) / scale).toBeLessThan(1e-5)
    }
  })
})

describe('dropout', () => {
  // The second layer adds its weights, all zero here: a model must have some.
  const architecture: Architecture = {
    v: 1,
    input: [50, 40],
    layers: [
      { layer: 'dropout', name: 'a', rateMicro: 250_000 },
      { layer: 'positionEmbedding', name: 'b' },
    ],
  }
  const drawn = async (seed: number, times: number): Promise<readonly (readonly number[])[]> => {
    await openBackend('wasm')
    const network = buildNetwork(architecture)
    const training = { next: uint32Stream(new Uint8Array(32).fill(seed)) }
    const masks: (readonly number[])[] = []
    for (let time = 0; time < times; time++) {
      const out = tidy(() => network.predict(ones([1, 50, 40]), training))
      masks.push([...(await out.data())])
      out.dispose()
    }
    network.dispose()
    return masks
  }

  test('drops afresh at each step, as often as it says, and the same again under the same seed', async () => {
    const masks = await drawn(1, 2)
    expect(await drawn(1, 2)).toEqual(masks)
    expect(await drawn(2, 2)).not.toEqual(masks)
    expect(masks[0]).not.toEqual(masks[1])
    for (const mask of masks) {
      expect(new Set(mask)).toEqual(new Set([0, Math.fround(1 / 0.75)]))
      // Binomial of 2,000: five deviations are 97.
      expect(Math.abs(mask.filter((value) => value === 0).length - 500)).toBeLessThan(97)
    }
  })

  test('of what is attended to leaves whole shares, scaled up, and all of them outside training', async () => {
    await openBackend('wasm')
    const from = ['input', 'input', 'input']
    const layers: Layer[] = [
      { layer: 'attention', name: 'a', from, heads: 1, dropoutMicro: 250_000 },
      { layer: 'positionEmbedding', name: 'b' },
    ]
    const network = buildNetwork({ v: 1, input: [40, 40], layers })
    // Of values that are one at their own step alone, what is put out are the shares.
    const one = Float32Array.from({ length: 1600 }, (_, at) => (at % 41 === 0 ? 1 : 0))
    const sharesOf = (training?: { readonly next: () => number }) =>
      tidy(() => [...network.predict(tensor(one, [1, 40, 40]), training).dataSync()])
    const [whole, left] = [sharesOf(), sharesOf({ next: uint32Stream(new Uint8Array(32).fill(3)) })]
    expect(whole.slice(0, 40).reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 6)
    expect(Math.abs(left.filter((share) => share === 0).length - 400)).toBeLessThan(87)
    for (const [at, share] of left.entries()) if (share) expect(share * 0.75).toBeCloseTo(whole[at] as number, 6)
    network.dispose()
  })

  test('of a fit follows the seed of the round, and is no part of the order of rows', async () => {
    await openBackend('wasm')
    const net: Architecture = { v: 1, input: [6], layers: [{ ...dense, name: 'a', units: 8 } as Layer, dense] }
    const dropped: Architecture = {
      ...net,
      layers: [net.layers[0] as Layer, { layer: 'dropout', name: 'd', rateMicro: 500_000 }, dense],
    }
    const dataset = someDataset([6], 20, 3, 4)
    const learn = async (architecture: Architecture, seed: number) => {
      const shuffleSeed = new Uint8Array(32).fill(seed)
      const training = trainingOf(architecture, 'softmax-cross-entropy', 3, { batchSize: 20, shuffleSeed })
      return await fitHere(someModel(architecture, 1), training, dataset)
    }
    const first = await learn(dropped, 1)
    expect([...(await learn(dropped, 1)).delta]).toEqual([...first.delta])
    // One batch of all rows is the same in any order, but for what is dropped.
    const apart = (a: Float32Array, b: Float32Array) =>
      Math.max(...a.map((value, at) => Math.abs(value - (b[at] as number))))
    expect(apart((await learn(net, 1)).delta, (await learn(net, 2)).delta)).toBeLessThan(1e-6)
    expect(apart(first.delta, (await learn(dropped, 2)).delta)).toBeGreaterThan(1e-3)
    expect(first.evaluation).toEqual((await learn(net, 1)).evaluation)
  })
})

test('a bias is not decayed, nor where a layer has two rows of them', async () => {
  await openBackend('wasm')
  const layers: Layer[] = [{ layer: 'gru', name: 'g', units: 2, resetAfter: true }]
  const network = buildNetwork({ v: 1, input: [3, 1], layers })
  network.write(new Float32Array(6 + 12 + 12).fill(1))
  const terms = { rateMicro: 500_000, beta1Micro: 0, beta2Micro: 0, epsilonNano: 1 } as const
  const optimiser = openOptimiser(network.trainable, { kind: 'adamw', ...terms, weightDecayMicro: 1_000_000 })
  optimiser.step(network.trainable.map((weights) => zerosLike(weights)))
  expect([...(await network.readTrained())]).toEqual([...Array(18).fill(0.5), ...Array(12).fill(1)])
  optimiser.dispose()
  network.dispose()
})

test('moving statistics follow each batch by the momentum, its variance unbiased, and are part of the update', async () => {
  await openBackend('wasm')
  const norm: Layer = { layer: 'batchNormalization', name: 'n', momentumMicro: 750_000, epsilonNano: 1_000_000 }
  const architecture: Architecture = { v: 1, input: [4], layers: [norm, dense] }
  const shaped = shapeOf(architecture)
  if (!shaped.ok) throw new Error(shaped.refusal)
  const { trained, parameters } = shaped.value
  expect(trained).toBe(parameters)
  const model = someModel(architecture, 8)
  const dataset = someDataset([4], 7, 3, 9)
  const training = trainingOf(architecture, 'softmax-cross-entropy', 3, { epochs: 2 })
  const { delta } = await fitHere(model, training, dataset)
  for (let column = 0; column < 4; column++) {
    const values = dataset.rows.map((row) => row[column] as number)
    const mean = values.reduce((sum, each) => sum + each, 0) / 7
    const variance = values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / 6
    for (const [at, batch] of [
      [parameters - 8 + column, mean],
      [parameters - 4 + column, variance],
    ] as const) {
      const before = model[at] as number
      expect(before + (delta[at] as number)).toBeCloseTo(batch + (before - batch) * 0.75 ** 2, 5)
    }
  }
})
