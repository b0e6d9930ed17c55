import type { Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'

/**
 * The clock of one machine, which is wrong: it began so far off, runs so much too fast, and jumps when it is set. Its
 * timers are those of the hardware: they run as long as they were told to, wherever the clock jumps meanwhile.
 */
export class MachineClock implements Clock {
  readonly #truth: Clock
  readonly #started: Millis
  readonly #drift: number
  #offMillis: Millis

  /** @param drift what it gains in a unit of time */
  constructor(
    truth: Clock,
    { offMillis = 0, drift = 0 }: { readonly offMillis?: Millis; readonly drift?: number } = {},
  ) {
    this.#truth = truth
    this.#started = truth.now()
    this.#offMillis = offMillis
    this.#drift = drift
  }

  now(): Millis {
    const truth = this.#truth.now()
    return Math.floor(truth + this.#offMillis + (truth - this.#started) * this.#drift)
  }

  jump(millis: Millis): void {
    this.#offMillis += millis
  }

  async wakeAt(at: Millis, signal: AbortSignal): Promise<void> {
    for (let left = at - this.now(); left > 0; left = at - this.now())
      await this.#truth.wakeAt(this.#truth.now() + Math.ceil(left / (1 + this.#drift)), signal)
    signal.throwIfAborted()
  }
}
