import { createSha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { decodeLanes, encodeLanes, LITTLE_ENDIAN, type RingVector } from '../vector.ts'
import { type Mask, openMasker, SEGMENT_LANES } from './mask.ts'

/** How a member's input is masked on its way into a store. */
export type Masking = { readonly weight: number; readonly sizeBytes: number; readonly masks: readonly Mask[] }

/** @returns the masked vector's name, as the store says it, and the hash of what the store took */
export async function maskInto(
  plain: AsyncIterable<Bytes>,
  { weight, sizeBytes, masks }: Masking,
  keep: (masked: AsyncIterable<Bytes>) => Promise<Cid>,
): Promise<{ readonly cid: Cid; readonly sha256: Bytes }> {
  const hash = hashOf(sizeBytes)
  const cid = await keep(hash.watch(maskStream(withHeader(plain, weight), sizeBytes, masks)))
  return { cid, sha256: hash.digest() }
}

/** Looks at the first two lanes as they go by: a wrong weight or count of our own would spoil everyone's round. */
async function* withHeader(plain: AsyncIterable<Bytes>, weight: number): AsyncGenerator<Bytes> {
  const header = new Uint8Array(8)
  let seen = 0
  for await (const piece of plain) {
    if (seen < header.length) header.set(piece.subarray(0, header.length - seen), seen)
    const before = seen
    seen += piece.length
    if (before < header.length && seen >= header.length) {
      const [first, second] = decodeLanes(header)
      assert(first === weight && second === 1, 'lanes 0 and 1 are the weight that was advertised, and one report')
    }
    yield piece
  }
}

/** The stream's hash, once all of it went by. */
function hashOf(sizeBytes: number) {
  const hash = createSha256()
  let seen = 0
  return {
    async *watch(stream: AsyncIterable<Bytes>): AsyncGenerator<Bytes> {
      for await (const piece of stream) {
        hash.update(piece)
        seen += piece.length
        yield piece
      }
    },
    digest(): Bytes {
      assert(seen === sizeBytes, 'the store took the whole vector')
      return hash.digest()
    },
  }
}

/**
 * A vector's bytes, cut anywhere, with masks on: what comes out is as long as what goes in, in pieces of whole segments.
 * Every piece is memory of its own.
 *
 * @param sizeBytes of the whole vector
 */
async function* maskStream(
  plain: AsyncIterable<Bytes>,
  sizeBytes: number,
  masks: readonly Mask[],
): AsyncGenerator<Bytes> {
  assert(LITTLE_ENDIAN, 'lanes are masked where they lie, in little-endian memory')
  const masker = openMasker(sizeBytes / 4)
  let [segment, filled, done] = [segmentOf(sizeBytes), 0, 0]
  try {
    for await (const piece of plain) {
      assert(done + filled + piece.length <= sizeBytes, 'the vector is as long as it was said to be')
      for (let from = 0; from < piece.length; ) {
        const part = piece.subarray(from, from + segment.byteLength - filled)
        encodeLanes(segment).set(part, filled)
        from += part.length
        filled += part.length
        if (filled < segment.byteLength) continue
        masker.add(segment, masks, done / 4)
        yield encodeLanes(segment)
        done += filled
        ;[segment, filled] = [segmentOf(sizeBytes - done), 0]
      }
    }
    assert(done === sizeBytes, 'the vector is as long as it was said to be')
  } finally {
    masker.erase()
  }
}

function segmentOf(restBytes: number): RingVector {
  return new Uint32Array(Math.min(restBytes / 4, SEGMENT_LANES))
}
