import { uint32Stream } from '#aggregation/rng.ts'
import type { Mask } from '#aggregation/secagg/mask.ts'
import { encodeLanes, type RingVector } from '#aggregation/vector.ts'
import { keystream, sha256 } from '#crypto'
import { toHex } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { seed } from '#test/aggregation/given.ts'

/** The definition: keystream byte k masks byte k of the vector. */
export function slowly(vector: RingVector, masks: readonly Mask[]): RingVector {
  const out = Uint32Array.from(vector)
  for (const { seed, sign } of masks) {
    const counter = new Uint8Array(16)
    counter.set(seed.subarray(32))
    const stream = new DataView(keystream(seed.subarray(0, 32), counter)(out.byteLength).slice().buffer)
    for (let lane = 0; lane < out.length; lane++)
      out[lane] = (out[lane] as number) + sign * stream.getUint32(lane * 4, true)
  }
  return out
}

export function seedOf(number: number): Bytes {
  const bytes = new Uint8Array(40)
  bytes.set(sha256(seed(number)))
  bytes.set(sha256(seed(number + 1)).subarray(0, 8), 32)
  return bytes
}

/** Of both signs. */
export function masksOf(count: number, from = 0): readonly Mask[] {
  return Array.from({ length: count }, (_, index) => ({ seed: seedOf(from + index), sign: index % 3 === 0 ? -1 : 1 }))
}

/** Drawn once; each caller has its own copy. */
export function drawn(length: number, number = 1): RingVector {
  const known = longest.get(number)
  if (known && known.length >= length) return known.slice(0, length)
  const lanes = Uint32Array.from({ length }, uint32Stream(seed(number)))
  longest.set(number, lanes)
  return lanes.slice()
}

const longest = new Map<number, RingVector>()

export function hexOf(lanes: RingVector): string {
  return toHex(sha256(encodeLanes(lanes)))
}
