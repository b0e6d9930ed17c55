import type { Millis } from '#protocol/ids.ts'

/** So short a rest costs more than it is worth: it is owed, and taken with the next ones. */
const REST_LEAST_MILLIS: Millis = 5

/**
 * How long to rest between two pieces of work, so that of all time only a share is worked. What a rest took too long comes
 * off the next ones, but no more than that: who was idle for an hour has not earned an hour without rest.
 */
export class DutyCycle {
  readonly #share: number
  #owedMillis: Millis = 0

  /** @param share of the time, above 0 and at most 1 */
  constructor(share: number) {
    this.#share = share
  }

  /** @returns how long to rest now */
  worked(millis: Millis): Millis {
    this.#owedMillis += (millis * (1 - this.#share)) / this.#share
    return this.#owedMillis < REST_LEAST_MILLIS ? 0 : this.#owedMillis
  }

  rested(millis: Millis): void {
    this.#owedMillis = Math.max(this.#owedMillis - millis, -REST_LEAST_MILLIS)
  }
}
