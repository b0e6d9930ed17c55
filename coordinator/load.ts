import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Millis } from '#protocol/ids.ts'
import type { Bounds } from './bounds.ts'
import type { Gauges } from './counters.ts'

const LOOK_MILLIS = 1000
const RESOLUTION_MILLIS = 20

/**
 * Whether this process keeps up. It is overloaded when it was late at every one of the last looks, or when too many jobs
 * wait: one long computation is not overload, and what is under way goes on either way.
 */
export class Load implements Disposable {
  readonly #bounds: Pick<Bounds, 'lateness' | 'jobs'>
  readonly #jobs: () => number
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MILLIS })
  readonly #timer: NodeJS.Timeout
  #lateLooks = 0
  #latenessMillis: Millis = 0

  constructor(bounds: Pick<Bounds, 'lateness' | 'jobs'>, jobs: () => number) {
    this.#bounds = bounds
    this.#jobs = jobs
    this.#delay.enable()
    this.#timer = setInterval(() => {
      // Its own period is in what it measures.
      const { mean } = this.#delay
      this.look(Number.isFinite(mean) ? Math.max(0, mean / 1e6 - RESOLUTION_MILLIS) : 0)
      this.#delay.reset()
    }, LOOK_MILLIS)
    this.#timer.unref()
  }

  /** @param latenessMillis how late the process was since the last look, on average */
  look(latenessMillis: Millis): void {
    this.#latenessMillis = latenessMillis
    this.#lateLooks = latenessMillis > this.#bounds.lateness.millis ? this.#lateLooks + 1 : 0
  }

  get isOver(): boolean {
    return this.#lateLooks >= this.#bounds.lateness.looks || this.#jobs() > this.#bounds.jobs
  }

  gauges(): Gauges {
    return {
      event_loop_lag_seconds: Math.round(this.#latenessMillis) / 1000,
      jobs: this.#jobs(),
      overload: Number(this.isOver),
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#delay.disable()
  }
}
