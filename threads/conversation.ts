import { MASK_SEED_BYTES, type Mask } from '#aggregation/secagg/mask.ts'
import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'

/** In memory of their own, which is moved and not copied. */
type Lanes = Uint32Array<ArrayBuffer>

/** A range of lanes to put masks on. Any number may wait; each is followed by one reply, in their order. */
export type Request = {
  readonly lanes: Lanes
  readonly atLane: number
  readonly masks: SharedMasks
  /** One shared word: not 0 means stop. A message would wait until the worker is idle. */
  readonly stop: Int32Array
}

export type Reply = { readonly kind: 'masked'; readonly lanes: Lanes } | { readonly kind: 'stopped' }

/**
 * Masks in memory that all threads see: no thread has a copy of the seeds, so that whoever shared them can overwrite them
 * all, whatever became of the threads.
 */
export type SharedMasks = {
  readonly seeds: Bytes
  /** The first so many are added, the others are taken away. */
  readonly added: number
}

export function shareMasks(masks: readonly Mask[]): SharedMasks {
  const seeds = new Uint8Array(new SharedArrayBuffer(masks.length * MASK_SEED_BYTES))
  const ordered = masks.toSorted((a, b) => b.sign - a.sign)
  for (const [index, { seed }] of ordered.entries()) {
    assert(seed.length === MASK_SEED_BYTES, 'a seed is a key and half a counter block')
    seeds.set(seed, index * MASK_SEED_BYTES)
  }
  return { seeds, added: masks.filter(({ sign }) => sign === 1).length }
}

export function masksIn({ seeds, added }: SharedMasks): readonly Mask[] {
  return Array.from({ length: seeds.length / MASK_SEED_BYTES }, (_, index) => ({
    seed: seeds.subarray(index * MASK_SEED_BYTES, (index + 1) * MASK_SEED_BYTES),
    sign: index < added ? 1 : -1,
  }))
}
