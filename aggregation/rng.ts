import { keystream } from '#crypto'
import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'
import { decodeLanes, type RingVector } from './vector.ts'

/** Big enough that a cipher call costs nothing per word, small enough to stay in the cache. */
const STEP_BYTES = 65_536

/**
 * Seeded chance: the AES-256-CTR keystream under `seed` (32 bytes) from counter block 0 on, read as little-endian 32-bit
 * words. All 256 bits of the seed count, and any language with AES draws the same words.
 */
export function uint32Stream(seed: Bytes): () => number {
  assert(seed.length === 32, 'a seed is 32 bytes')
  const next = keystream(seed, new Uint8Array(16))
  let words: RingVector = new Uint32Array(0)
  let at = 0
  return () => {
    if (at === words.length) {
      words = decodeLanes(next(STEP_BYTES))
      at = 0
    }
    return words[at++] as number
  }
}

/** Reals in [0, 1), multiples of 2^-32. */
export function unitStream(seed: Bytes): () => number {
  const word = uint32Stream(seed)
  return () => word() / 2 ** 32
}
