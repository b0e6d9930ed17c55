import { accumulate } from '#aggregation/accumulate.ts'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { bound, quantise, quantiserFor } from '#aggregation/quantise.ts'
import { nextModel } from '#aggregation/redo.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { encodeLanes, lanesOf } from '#aggregation/vector.ts'
import { encodeWeights } from '#aggregation/weights.ts'
import { assert } from '#protocol/assert.ts'
import { once, toHex } from '#protocol/bytes.ts'

/** Two weights, then a moving mean and a moving variance, whose range 0.5 neither delta keeps to. */
const model = [0.5, -1, 0, 1]
const local = [
  { delta: [0.25, -0.5, 0.125, 7], weight: 30 },
  { delta: [3, -4, -2, -0.25], weight: 50 },
] as const
const moving = 2

/** Two updates with moving statistics, and what their sum makes of a model. */
export async function movingVector() {
  const quantiser = quantiserFor({ clipNormMicro: 1_000_000, movingRangeMicro: 500_000, rowsMax: 100, cohortMax: 2 })
  const seeds = local.map((_, index) => new Uint8Array(32).fill(index + 1))
  const bounded = local.map(({ delta }) => bound(Float32Array.from(delta), quantiser, moving))
  const vectors = local.map(({ weight }, index) => {
    const update = {
      weight,
      delta: bounded[index] as Float32Array,
      evaluation: { rows: 0, correct: 0, lossSumNats: 0 },
    }
    const lanes = quantise(update, quantiser, uint32Stream(seeds[index] as Uint8Array), NO_SCORES, moving)
    assert(lanes.ok, 'the updates are sound')
    return encodeLanes(lanes.value)
  })
  const sum = await accumulate(vectors.map(once), lanesOf(model.length))
  assert(sum.ok, 'the vectors are of one length')
  const next = nextModel({
    ...{ sum: sum.value, purpose: 'train', model: Float32Array.from(model), memory: new Float32Array(0), quantiser },
    payload: { parameters: model.length, moving, scores: NO_SCORES },
    strategy: { kind: 'fedavg', rateMicro: 1_000_000 },
  })
  assert(next.ok, 'the sum is sound')
  return {
    ...{ quantiser, moving, model, local, roundingSeeds: seeds.map(toHex) },
    bounded: bounded.map((each) => toHex(encodeWeights(each))),
    vectors: vectors.map(toHex),
    sum: toHex(encodeLanes(sum.value)),
    nextWeights: toHex(encodeWeights(next.value.model)),
  }
}
