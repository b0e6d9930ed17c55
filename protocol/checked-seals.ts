import type { Cid } from './ids.ts'

/** The adverts, keys and inputs of three sessions of the largest cohort. */
const KEPT_MAX = 1152

/**
 * Seals whose signature was found good: the same CID is the same key, type, body and signature, so the verdict stands. A bad
 * one is not kept. At most so many, the first to come the first to go.
 */
export class CheckedSeals {
  readonly #kept = new Set<Cid>()

  has(seal: Cid): boolean {
    return this.#kept.has(seal)
  }

  keep(seal: Cid): void {
    this.#kept.add(seal)
    const [oldest] = this.#kept
    if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest)
  }
}
