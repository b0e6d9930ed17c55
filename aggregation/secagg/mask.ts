import { keystream } from '#crypto'
import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'
import { type RingPiece, ringPiece, TILE_BYTES, TILES } from '../kernels/ring.ts'
import type { RingVector } from '../vector.ts'

/**
 * A mask is the AES-256-CTR keystream under a seed, read as little-endian lanes, and its sign: keystream byte k masks byte
 * k of the vector. Random access by the counter lets anyone work on a range of lanes.
 *
 *     y_u = x_u + PRG(b_u) + Σ_{v>u} PRG(pair_uv) − Σ_{v<u} PRG(pair_uv)   mod 2^32        (Bonawitz et al. 2017, section 4)
 */
export type Mask = {
  /** Key (32 bytes) and the first half of the counter block (8). */
  readonly seed: Bytes
  readonly sign: 1 | -1
}

/**
 * Takes masks on and off a range of a vector's lanes, in place, one range after the other. Its memory is one segment, however
 * long the vector.
 */
export interface Masker {
  /** @param atLane where in the vector `lanes` begins, a multiple of 4, as their number is */
  add(lanes: RingVector, masks: readonly Mask[], atLane: number): void
  /** The same a step at a time: between two steps, a few milliseconds apart, its caller lets others run, or stops. */
  steps(lanes: RingVector, masks: readonly Mask[], atLane: number): Iterable<void>
  /** Overwrites what it worked in. It may go on afterwards. */
  erase(): void
}

/** Key and half of the counter block. */
export const MASK_SEED_BYTES = 40

/** 1 MiB: long enough that starting a cipher costs little per byte; four times as much leaves the cache, and is a third slower. */
export const SEGMENT_LANES = 2 ** 18
const BLOCK_LANES = 4
/** Of up to TILES masks on one segment: a step is 16 MiB of keystream at most. */
const STEP_GROUPS = 4

/** @param lanes the longest range it will be given; longer ones are cut */
export function openMasker(lanes: number): Masker {
  const piece = ringPiece(Math.min(lanes, SEGMENT_LANES))
  function* steps(range: RingVector, masks: readonly Mask[], atLane: number): Generator<void> {
    assert(atLane % BLOCK_LANES === 0 && range.length % BLOCK_LANES === 0, 'a range is whole cipher blocks')
    const groups = groupsOf(masks)
    for (let from = 0; from < range.length; from += piece.lanes.length) {
      const segment = range.subarray(from, from + piece.lanes.length)
      piece.lanes.set(segment)
      for (const [index, group] of groups.entries()) {
        if (index % STEP_GROUPS === 0 && (index > 0 || from > 0)) yield
        addAbreast(piece, group, segment.length, atLane + from)
      }
      segment.set(piece.lanes.subarray(0, segment.length))
    }
  }
  return {
    add(range, masks, atLane) {
      for (const _ of steps(range, masks, atLane));
    },
    steps,
    erase() {
      piece.lanes.fill(0)
      for (const tile of piece.tiles) tile.fill(0)
    },
  }
}

/** The same masks with the other sign: what takes them off. */
export function opposite(masks: readonly Mask[]): readonly Mask[] {
  return masks.map(({ seed, sign }) => ({ seed, sign: sign === 1 ? -1 : 1 }))
}

/** Up to four of one sign to a group. */
function groupsOf(masks: readonly Mask[]): readonly (readonly Mask[])[] {
  return ([1, -1] as const).flatMap((sign) => {
    const alike = masks.filter((mask) => mask.sign === sign)
    return Array.from({ length: Math.ceil(alike.length / TILES) }, (_, index) =>
      alike.slice(index * TILES, (index + 1) * TILES),
    )
  })
}

/** A group's masks, tile by tile. */
function addAbreast(piece: RingPiece, masks: readonly Mask[], lanes: number, atLane: number): void {
  const streams = masks.map(({ seed }) => keystreamFrom(seed, atLane))
  const sign = masks[0]?.sign
  for (const unused of piece.tiles.slice(masks.length)) unused.fill(0)
  for (let at = 0; at < lanes * 4; at += TILE_BYTES) {
    const size = Math.min(TILE_BYTES, lanes * 4 - at)
    for (const [index, next] of streams.entries()) (piece.tiles[index] as Bytes).set(next(size))
    if (sign === 1) piece.addTiles(at, size)
    else piece.subtractTiles(at, size)
  }
}

/** The counter block is the seed's last 8 bytes and a 64-bit count of blocks. */
function keystreamFrom(seed: Bytes, atLane: number): (lengthBytes: number) => Bytes {
  const counter = new Uint8Array(16)
  counter.set(seed.subarray(32, 40))
  new DataView(counter.buffer).setBigUint64(8, BigInt(atLane / BLOCK_LANES))
  return keystream(seed.subarray(0, 32), counter)
}
