import { beforeAll, describe, expect, test } from '@jest/globals'
import { clip } from '#aggregation/clip.ts'
import { genesisWeights } from '#aggregation/genesis.ts'
import { quantiserFor } from '#aggregation/quantise.ts'
import { nextModel } from '#aggregation/redo.ts'
import { decodeLanes } from '#aggregation/vector.ts'
import { encodeWeights } from '#aggregation/weights.ts'
import { openBackend } from '#client/trainers/backend.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { toHex } from '#protocol/bytes.ts'
import type { Layer } from '#protocol/layers.ts'
import { must, unscored, vectorOf } from '#test/aggregation/given.ts'
import { datasetOf, fitHere, noise, trainingOf } from './tasks.ts'

const STEPS = 5
const VOCABULARY = 8

/** An encoder block of a transformer over a few words. @param isTuned freezes all but adapters and the last layer */
function transformer(isTuned: boolean): Architecture {
  const frozen = isTuned ? { frozen: true as const } : {}
  const adapter = isTuned ? { adapter: { rank: 2, alphaMicro: 4_000_000 } } : {}
  const dense = (name: string, units: number, rest: Partial<Extract<Layer, { layer: 'dense' }>> = {}): Layer => ({
    ...{ layer: 'dense', name, units, activation: 'linear', ...frozen, ...rest },
  })
  const norm = (name: string): Layer => ({ layer: 'layerNormalization', name, epsilonNano: 1_000_000, ...frozen })
  return {
    v: 1,
    input: [STEPS],
    layers: [
      { layer: 'embedding', name: 'words', vocabulary: VOCABULARY, units: 16, ...frozen },
      { layer: 'positionEmbedding', name: 'places', ...frozen },
      norm('n'),
      dense('q', 16, adapter),
      dense('k', 16, { from: ['n'] }),
      dense('v', 16, { from: ['n'], ...adapter }),
      { layer: 'attention', name: 'seen', from: ['q', 'k', 'v'], heads: 2, causal: true },
      dense('o', 16),
      { layer: 'add', name: 'r', from: ['o', 'places'] },
      norm('m'),
      dense('wide', 32, { activation: 'gelu' }),
      dense('narrow', 16),
      { layer: 'add', name: 's', from: ['narrow', 'r'] },
      { layer: 'globalPooling', name: 'all', of: 'average' },
      { layer: 'dense', name: 'out', units: 2, activation: 'linear' },
    ],
  }
}

/** A text is of class 1 where most of its words are of the second half of the vocabulary. */
function texts(rows: number, seed: number) {
  const next = noise(seed)
  const below = (n: number) => Math.floor(((next() + 1) / 2) * n)
  const values = Array.from({ length: rows }, () => Float32Array.from({ length: STEPS }, () => below(VOCABULARY)))
  const labels = values.map((text) => (2 * text.filter((word) => word >= VOCABULARY / 2).length > STEPS ? 1 : 0))
  return datasetOf([STEPS], values, labels, [...values.keys()])
}

const optimiser = { kind: 'sgd', rateMicro: 30_000, momentumMicro: 900_000 } as const

describe('a small transformer over words', () => {
  beforeAll(async () => {
    await openBackend('wasm')
  })

  test('learns from texts what holds of others that it has not seen', async () => {
    const architecture = transformer(false)
    const training = trainingOf(architecture, 'softmax-cross-entropy', 2, { optimiser, batchSize: 16, epochs: 8 })
    let model = genesisWeights(architecture, new Uint8Array(32).fill(5))
    const before = (await fitHere(model, { ...training, purpose: 'evaluate' }, texts(200, 9))).evaluation
    expect(before.correct / before.rows).toBeLessThan(0.7)
    const { delta } = await fitHere(model, training, texts(160, 4))
    model = model.map((weight, index) => weight + (delta[index] as number))
    const after = (await fitHere(model, { ...training, purpose: 'evaluate' }, texts(200, 9))).evaluation
    expect(after.correct / after.rows).toBeGreaterThan(0.95)
  })

  test('with adapters on a frozen base sends what the adapters are, and a round leaves the base as it was, bit for bit', async () => {
    const architecture = transformer(true)
    const shaped = shapeOf(architecture)
    if (!shaped.ok) throw new Error(shaped.refusal)
    const { trained, parameters } = shaped.value
    // Two adapters of rank 2 on 16 × 16, and the last layer.
    expect(trained).toBe(2 * (2 * 16 * 2) + 16 * 2 + 2)
    expect(trained).toBeLessThan(parameters / 10)
    const model = genesisWeights(architecture, new Uint8Array(32).fill(6))
    const training = trainingOf(architecture, 'softmax-cross-entropy', 2, { optimiser, batchSize: 16, epochs: 3 })
    const update = await fitHere(model, training, texts(64, 4))
    expect(update.delta).toHaveLength(trained)
    expect(update.delta.filter((step) => step !== 0).length).toBeGreaterThan(trained / 2)
    const quantiser = quantiserFor({ clipNormMicro: 10_000_000, rowsMax: 64, cohortMax: 2 })
    const vector = vectorOf({ ...update, delta: clip(update.delta, 10), weight: 64 }, quantiser)
    const next = must(
      nextModel({
        ...{
          sum: decodeLanes(vector),
          purpose: 'train',
          model,
          payload: unscored(trained),
          memory: new Float32Array(0),
          quantiser,
        },
        strategy: training.task.strategy,
      }),
    )
    const bits = (weights: Float32Array) => toHex(encodeWeights(weights))
    expect(bits(next.model.slice(trained))).toBe(bits(model.slice(trained)))
    expect(bits(next.model.slice(0, trained))).not.toBe(bits(model.slice(0, trained)))
  })
})
