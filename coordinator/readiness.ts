import type { Millis } from '#protocol/ids.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { within } from './pause.ts'

/** A log that says nothing for this long is away. */
const AWAY_MILLIS: Millis = 1000

/** Any stream's length does: that it is answered is the answer. */
const PROBE = 'readiness'

/** Whether this process may be given work; a load balancer asks often, and the log is asked once at a time. */
export class Readiness {
  readonly #doors: { readonly log: EventLog; readonly clock: Clock }
  #stage: 'recovering' | 'serving' | 'draining' = 'recovering'
  #probe: Promise<boolean> | undefined

  constructor(doors: { readonly log: EventLog; readonly clock: Clock }) {
    this.#doors = doors
  }

  get stage(): 'recovering' | 'serving' | 'draining' {
    return this.#stage
  }

  serve(): void {
    this.#stage = 'serving'
  }

  drain(): void {
    this.#stage = 'draining'
  }

  /** Why not, or undefined. */
  async obstacle(): Promise<'recovering' | 'draining' | 'log-away' | undefined> {
    if (this.#stage !== 'serving') return this.#stage
    const { log, clock } = this.#doors
    // One that still waits for its answer is not asked beside: they would pile up while the log is away.
    this.#probe ??= log.head(PROBE).then(
      () => true,
      () => false,
    )
    const probe = this.#probe
    void probe.then(() => {
      if (this.#probe === probe) this.#probe = undefined
    })
    return (await within(clock, AWAY_MILLIS, probe)) ? undefined : 'log-away'
  }
}
