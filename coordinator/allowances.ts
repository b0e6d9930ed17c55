import { Allowance, type Rate } from '#protocol/allowance.ts'
import type { Millis } from '#protocol/ids.ts'

/** Holders that are remembered: some hundred bytes each. */
const HOLDERS_MAX = 10_000

/**
 * A token bucket for each holder, of a bounded number of holders: whoever was seen longest ago is forgotten and starts full
 * when he comes back, which costs him nothing and the others no memory.
 */
export class Allowances {
  readonly rate: Rate
  /** Seen longest ago first. */
  readonly #held = new Map<string, Allowance>()

  constructor(rate: Rate) {
    this.rate = rate
  }

  take(holder: string, now: Millis): Taken {
    const allowance = this.#held.get(holder) ?? new Allowance(this.rate, now)
    this.#held.delete(holder)
    this.#held.set(holder, allowance)
    if (this.#held.size > HOLDERS_MAX) this.#held.delete(this.#held.keys().next().value as string)
    const ok = allowance.take(now)
    const left = allowance.left(now)
    const { perSecond, burst } = this.rate
    return {
      ...{ ok, left: Math.floor(left) },
      fullInSeconds: Math.ceil((burst - left) / perSecond),
      nextInSeconds: left >= 1 ? 0 : Math.max(1, Math.ceil((1 - left) / perSecond)),
    }
  }
}

export type Taken = {
  readonly ok: boolean
  readonly left: number
  readonly fullInSeconds: number
  readonly nextInSeconds: number
}
