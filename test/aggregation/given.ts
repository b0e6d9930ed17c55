import fc from 'fast-check'
import { clip } from '#aggregation/clip.ts'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { type LocalUpdate, quantise } from '#aggregation/quantise.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { encodeLanes, type Payload } from '#aggregation/vector.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { Quantiser } from '#protocol/plan.ts'
import type { Result } from '#protocol/result.ts'

/** The value of a result that must be one. */
export function must<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`refused: ${result.refusal} (${result.detail ?? 'no detail'})`)
  return result.value
}

export function seed(number: number): Bytes {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}

/** What the vectors of a task without metrics carry. */
export function unscored(parameters: number): Payload {
  return { parameters, moving: 0, scores: NO_SCORES }
}

/** One node's vector, as its bytes travel. */
export function vectorOf(update: LocalUpdate, quantiser: Quantiser, seedNumber = 1): Bytes {
  return encodeLanes(must(quantise(update, quantiser, uint32Stream(seed(seedNumber)), NO_SCORES)))
}

/** A stream of the bytes, cut after each of these sizes in turn and in memory of its own (so at odd addresses, too). */
export async function* cut(bytes: Bytes, sizes: readonly number[]): AsyncGenerator<Bytes> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = Math.max(0, sizes[turn % sizes.length] ?? 0) || (turn % sizes.length === sizes.length - 1 ? 1 : 0)
    const part = bytes.subarray(at, at + size)
    const shifted = new Uint8Array(part.length + 1)
    shifted.set(part, 1)
    yield shifted.subarray(1)
    at += size
  }
}

/** Sizes to cut at: empty pieces, single bytes and pieces of more than one vector among them. */
export const cuts = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 8 })

/** A cohort's updates for a model of `parameters`, clipped to the quantiser's range as nodes do. */
export function updatesFor(
  parameters: number,
  quantiser: Quantiser,
  size: { readonly min: number; readonly max: number },
) {
  const range = quantiser.rangeMicro / 1_000_000
  const update = fc
    .record({
      delta: fc.array(fc.float({ min: Math.fround(-2 * range), max: Math.fround(2 * range), noNaN: true }), {
        minLength: parameters,
        maxLength: parameters,
      }),
      weight: fc.integer({ min: 1, max: quantiser.weightMax }),
      rows: fc.integer({ min: 0, max: 100 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      loss: fc.double({ min: 0, max: 64, noNaN: true }),
    })
    .map(
      ({ delta, weight, rows, share, loss }): LocalUpdate => ({
        delta: clip(Float32Array.from(delta), range),
        weight,
        evaluation: { rows, correct: Math.floor(rows * share), lossSumNats: rows * loss },
      }),
    )
  return fc.array(update, { minLength: size.min, maxLength: size.max })
}
