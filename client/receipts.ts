import type { Cid } from '#protocol/ids.ts'

/** So many are remembered; the coordinator tells far fewer again. */
const KNOWN_MAX = 4096

/** The receipts that a node has heard: each counts once, however often it is told. */
export class Receipts {
  readonly #known = new Set<Cid>()

  /** Remembers it. @returns whether it was not known */
  isNew(receipt: Cid): boolean {
    if (this.#known.has(receipt)) return false
    const [oldest] = this.#known
    if (this.#known.size >= KNOWN_MAX && oldest) this.#known.delete(oldest)
    this.#known.add(receipt)
    return true
  }
}
