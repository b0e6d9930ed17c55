import type { RunId } from '#protocol/ids.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { type Ordered, orderOf } from '../record.ts'
import type { Run } from '../run.ts'

/** What runs are about, each read once, since it never changes. */
export class Orders {
  readonly #blobs: BlobStore
  readonly #known = new Map<RunId, Promise<Ordered>>()

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  of({ spec }: Run): Promise<Ordered> {
    const known = this.#known.get(spec.run)
    if (known) return known
    const order = orderOf(this.#blobs, spec)
    this.#known.set(spec.run, order)
    // A disk that fails once must not hide the run, and every list with it, until the next start.
    order.catch(() => this.#known.delete(spec.run))
    return order
  }
}
