import type { Bytes } from '#protocol/ids.ts'
import { decodeLanes, type RingVector } from '../vector.ts'

/** A running sum in Z/2^32. */
export interface RingSum {
  /** Adds bytes that lie at `atBytes` of some vector, wherever the cut fell: a lane cut in two is added in two parts. */
  add(atBytes: number, piece: Bytes): void
  /** The sum so far, not a copy. */
  readonly lanes: RingVector
}

/** Pieces are moved through a buffer of this size, which puts them on lane boundaries and stays in the cache. */
const TILE_BYTES = 32_768

export function ringSum(lanes: number): RingSum {
  return scriptSum(lanes)
}

/** Plain JavaScript: the measure that the kernel is held equal to. */
export function scriptSum(lanes: number): RingSum {
  const sum = new Uint32Array(lanes)
  const tile = new Uint8Array(TILE_BYTES)
  return {
    lanes: sum,
    add(atBytes, piece) {
      for (let from = 0; from < piece.length; ) {
        const skip = (atBytes + from) % 4
        const part = piece.subarray(from, from + TILE_BYTES - skip)
        const end = skip + part.length
        tile.fill(0, 0, skip)
        tile.set(part, skip)
        tile.fill(0, end, end + 3)
        const words = decodeLanes(tile.subarray(0, Math.ceil(end / 4) * 4))
        const first = (atBytes + from - skip) / 4
        for (let i = 0; i < words.length; i++) sum[first + i] = (sum[first + i] as number) + (words[i] as number)
        from += part.length
      }
    },
  }
}
