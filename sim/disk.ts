import type { Millis } from '#protocol/ids.ts'
import { StorageFull } from '#protocol/ports.ts'

/** What a process keeps things in. */
export type Store = 'log' | 'blobs' | 'vault' | 'withheld' | 'snapshots' | 'journal' | 'outbox'

/** A disk that is full for a while, all of it or the part that one store may take, or slow. */
export class Disk {
  readonly #full = new Map<Store, number>()
  #slowest: Millis = 0

  /** Until the answer is called. */
  fill(stores: readonly Store[]): () => void {
    for (const store of stores) this.#full.set(store, (this.#full.get(store) ?? 0) + 1)
    return () => {
      for (const store of stores) this.#full.set(store, (this.#full.get(store) ?? 0) - 1)
    }
  }

  /** Every call takes up to so long. */
  slow(millis: Millis): () => void {
    this.#slowest += millis
    return () => {
      this.#slowest -= millis
    }
  }

  get slowestMillis(): Millis {
    return this.#slowest
  }

  isFull(store: Store): boolean {
    return (this.#full.get(store) ?? 0) > 0
  }

  /** Throws as a store does that has no room for what is written. */
  checkRoom(store: Store): void {
    if (this.isFull(store)) throw new StorageFull(`the disk under the ${store} is full`)
  }
}
