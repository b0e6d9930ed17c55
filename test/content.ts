import { keystream, sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'

/** Bytes that look random and are the same for the same seed; different seeds share no block. */
export function contentOf(seed: string, sizeBytes: number): Bytes {
  return keystream(sha256(utf8(seed)), new Uint8Array(16))(sizeBytes).slice()
}

/** Quick, by Node's own comparison: tests compare many megabytes. */
export function sameBytes(a: Bytes, b: Bytes): boolean {
  return Buffer.compare(a, b) === 0
}

/** The bytes as a stream of pieces of these sizes, over and over; the last piece is what is left. */
export async function* inPieces(bytes: Bytes, ...sizes: readonly number[]): AsyncIterable<Bytes> {
  const cycle = sizes.some((size) => size > 0) ? sizes : [bytes.length || 1]
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = cycle[turn % cycle.length] as number
    yield bytes.subarray(at, at + size)
    at += size
  }
}
