import { inspectVector } from '#aggregation/inspect.ts'
import { type Payload, vectorBytesOf, widthOf } from '#aggregation/vector.ts'
import { once } from '#protocol/bytes.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { COHORT_MAX } from '#protocol/limits.ts'
import type { Quantiser } from '#protocol/plan.ts'
import { BlobCorrupt, BlobMissing, type BlobStore, BlobTooLarge } from '#protocol/ports.ts'
import { type Result, refuse } from '#protocol/result.ts'
import { Recent } from './recent.ts'

/** As many as a full cohort can upload in a round. */
const REMEMBERED_MAX = 2 * COHORT_MAX

/**
 * A run's plain vectors are read before they count: a broken one costs its sender the seat's report, not the round its
 * sum. What was refused is remembered and not read again, or a frame of 300 bytes, said over and over, would have a
 * gigabyte hashed each time.
 */
export class Inspection {
  readonly #blobs: BlobStore
  readonly #quantiser: Quantiser
  readonly #refused = new Recent<string, Result<unknown>>(REMEMBERED_MAX)

  constructor(blobs: BlobStore, quantiser: Quantiser) {
    this.#blobs = blobs
    this.#quantiser = quantiser
  }

  /** @param here the vector itself, where it came along: it is small, and not kept before it is sound */
  async inspect(vector: Cid, payload: Payload, here: Block | undefined): Promise<Result<unknown>> {
    if (here) return inspectVector(once(here.bytes), payload, this.#quantiser)
    const name = `${vector} ${widthOf(payload)}`
    const known = this.#refused.get(name)
    if (known) return known
    try {
      const source = this.#blobs.get(vector, { limitBytes: vectorBytesOf(widthOf(payload)) })
      const inspected = await inspectVector(source, payload, this.#quantiser)
      if (!inspected.ok) this.#refused.set(name, inspected)
      return inspected
    } catch (cause) {
      if (cause instanceof BlobMissing) return refuse('no-such-blob', vector)
      if (cause instanceof BlobTooLarge) return refuse('wrong-length')
      if (cause instanceof BlobCorrupt) return refuse('corrupt-blob')
      throw cause
    }
  }
}
