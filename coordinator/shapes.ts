import type { Payload } from '#aggregation/vector.ts'
import type { RunId } from '#protocol/ids.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { Inspection } from './inspection.ts'
import { orderOf } from './record.ts'
import type { Run } from './run.ts'

/** What a run's vectors look like. */
export type Shape = { readonly payload: Payload; readonly vectors: Inspection }

/** The shapes of the runs that are open: read once, since what a run is about never changes. */
export class Shapes {
  readonly #blobs: BlobStore
  readonly #known = new Map<RunId, Promise<Shape>>()

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  of(run: Run): Promise<Shape> {
    const id = run.spec.run
    const known = this.#known.get(id)
    if (known) return known
    const made = this.#read(run)
    this.#known.set(id, made)
    made.catch(() => this.#known.delete(id))
    return made
  }

  forget(run: RunId): void {
    this.#known.delete(run)
  }

  async #read(run: Run): Promise<Shape> {
    const { payload, quantiser } = await orderOf(this.#blobs, run.spec)
    return { payload, vectors: new Inspection(this.#blobs, quantiser) }
  }
}
