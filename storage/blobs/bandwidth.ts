import { Allowance } from '#protocol/allowance.ts'
import type { Clock } from '#protocol/ports.ts'

/**
 * No more than so many bytes a second, over all that share it. They pass in the order in which they ask, and each asks for
 * one small step at a time, so that none of them keeps the others waiting.
 */
export class Bandwidth {
  readonly #clock: Clock
  readonly #allowance: Allowance

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#allowance = new Allowance({ perSecond: bytesPerSecond, burst: bytesPerSecond * BURST_SECONDS }, clock.now())
  }

  /** Resolves when so many bytes may pass. */
  async pass(bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#clock.now()
    const wait = this.#allowance.spend(now, bytes)
    if (wait > 0) await this.#clock.wakeAt(now + wait, signal)
  }
}

/** What may pass at once after a pause: a line that is shared with others should not feel it. */
const BURST_SECONDS = 0.1
