import type { Millis } from './ids.ts'

/** A token bucket: `burst` at once after a pause, `perSecond` in the long run. The time is told. */
export class Allowance {
  readonly #rate: Rate
  #left: number
  #at: Millis

  constructor(rate: Rate, now: Millis) {
    this.#rate = rate
    this.#left = rate.burst
    this.#at = now
  }

  /** Whether there was enough; what is refused costs nothing. */
  take(now: Millis, amount = 1): boolean {
    this.#refill(now)
    if (this.#left < amount) return false
    this.#left -= amount
    return true
  }

  /** Takes it even where that makes a debt, for what has come already. @returns how long to take nothing more */
  spend(now: Millis, amount = 1): Millis {
    this.#refill(now)
    this.#left -= amount
    return Math.max(0, Math.ceil((-this.#left * 1000) / this.#rate.perSecond))
  }

  /** What could be taken now. */
  left(now: Millis): number {
    this.#refill(now)
    return this.#left
  }

  #refill(now: Millis): void {
    // A clock that was set back costs nobody what it has.
    const earned = (Math.max(0, now - this.#at) * this.#rate.perSecond) / 1000
    this.#left = Math.min(this.#rate.burst, this.#left + earned)
    this.#at = now
  }
}

export type Rate = { readonly perSecond: number; readonly burst: number }
