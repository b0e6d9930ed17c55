import { createSha256, sha256 } from '#crypto'
import { equalBytes } from '#protocol/bytes.ts'
import { codecOf, DAG_PB, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing, type BlobStore, BlobTooLarge } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { Recent } from './recent.ts'

type Signed = { readonly bytes: number; readonly sha256: Bytes }
type InspectRefusal = 'wrong-shape' | 'wrong-length' | 'no-such-blob' | 'corrupt-blob' | 'not-as-signed'

/** Refusals remembered: a short frame said over and over must not have a gigabyte hashed each time. */
const REMEMBERED_MAX = 4096

/**
 * A masked vector is noise to everybody: all that can be asked before it counts is that it is there, as long as the round's
 * vectors, and the very bytes whose hash its member signed. A sum of others would come to nothing.
 */
export class MaskedInspection {
  readonly #refused = new Recent<string, Result<undefined, InspectRefusal>>(REMEMBERED_MAX)

  async inspect(
    store: BlobStore,
    vector: Cid,
    signed: Signed,
    here: Block | undefined,
  ): Promise<Result<undefined, InspectRefusal>> {
    // A vector is a file; under another codec the same bytes would have a second name, and the record would not be one.
    if (codecOf(vector) !== (signed.bytes > BLOCK_BYTES_MAX ? DAG_PB : RAW)) return refuse('wrong-shape', 'not a file')
    if (here) return judge(here.bytes.length, sha256(here.bytes), signed)
    const name = `${vector} ${signed.sha256.join()}`
    const known = this.#refused.get(name)
    if (known) return known
    const found = await this.#read(store, vector, signed)
    // What is not there may come yet; what is there stays what it is.
    if (!found.ok && (found.refusal === 'not-as-signed' || found.refusal === 'wrong-length'))
      this.#refused.set(name, found)
    return found
  }

  async #read(store: BlobStore, vector: Cid, signed: Signed): Promise<Result<undefined, InspectRefusal>> {
    try {
      const hash = createSha256()
      let bytes = 0
      for await (const piece of store.get(vector, { limitBytes: signed.bytes })) {
        hash.update(piece)
        bytes += piece.length
      }
      return judge(bytes, hash.digest(), signed)
    } catch (cause) {
      if (cause instanceof BlobMissing) return refuse('no-such-blob', vector)
      if (cause instanceof BlobTooLarge) return refuse('wrong-length')
      if (cause instanceof BlobCorrupt) return refuse('corrupt-blob')
      throw cause
    }
  }
}

function judge(bytes: number, hash: Bytes, signed: Signed): Result<undefined, InspectRefusal> {
  if (bytes !== signed.bytes) return refuse('wrong-length', `${bytes} bytes of ${signed.bytes}`)
  return equalBytes(hash, signed.sha256) ? accept(undefined) : refuse('not-as-signed', 'other bytes than were signed')
}
