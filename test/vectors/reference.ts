import { referenceRows, referenceWeights } from '#aggregation/reference-data.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { toHex } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { REFERENCE_MODEL_NAMES, REFERENCE_MODELS, REPETITION_SAMPLES } from '#protocol/reference-models.ts'
import { encodeCurve, repetitionsFor, waitedMillis } from '#protocol/spot-check.ts'

/** What a spot check is made of: the models, the first of what a seed makes, and how long a claim keeps a node at it. */
export function referenceVector() {
  const seed = new Uint8Array(32).fill(7)
  const { values, labels } = referenceRows('mlp', seed, 1)
  return {
    models: REFERENCE_MODEL_NAMES.map((name) => ({
      ...{ name, architecture: cidOf(DAG_CBOR, encode(architectureSchema, REFERENCE_MODELS[name])) },
      parameters: referenceWeights(name, seed).length,
    })),
    seed: toHex(seed),
    rows: {
      ...{ model: 'mlp', repetition: 1 },
      /** Times 2^23. */
      values: Array.from(values.subarray(0, 4), (value) => value * 2 ** 23),
      labels: Array.from(labels.subarray(0, 8)),
    },
    claims: [140_000, 5_000_000, 100_000_000, 1_000_000_000].map((milliSamplesPerSecond) => {
      const repetitions = repetitionsFor(milliSamplesPerSecond)
      if (repetitions === undefined) return { milliSamplesPerSecond, repetitions: null }
      const samples = repetitions * REPETITION_SAMPLES
      return {
        milliSamplesPerSecond,
        repetitions,
        samples,
        waitedMillis: waitedMillis({ repetitions, milliSamplesPerSecond }),
      }
    }),
    curve: { losses: [2.5, 1.25], bytes: toHex(encodeCurve([2.5, 1.25])) },
  }
}
