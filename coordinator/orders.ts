import type { RunId } from '#protocol/ids.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { Recent } from './recent.ts'
import { type Ordered, orderOf } from './record.ts'
import type { Run } from './run.ts'

/** Runs of which it is remembered: a task may be a few hundred kilobytes, and runs are never forgotten. */
const KEPT_MAX = 512

/** What runs are about, each read once as long as it is remembered, since it never changes. */
export class Orders {
  readonly #blobs: BlobStore
  readonly #known = new Recent<RunId, Promise<Ordered>>(KEPT_MAX)

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  of({ spec }: Run): Promise<Ordered> {
    // A disk that fails once must not hide the run, and every list with it, until the next start.
    return Recent.once(this.#known, spec.run, () => orderOf(this.#blobs, spec))
  }
}
