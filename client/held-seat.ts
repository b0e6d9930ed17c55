import type { RunId } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'
import { isBusy, type Place, type Seat } from './seat.ts'

/** The one seat that a node holds, if any: a newer one takes its place. */
export class HeldSeat {
  readonly #clock: Clock
  seat: Seat | undefined

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  /** If that is the round it is of. */
  of({ run, round }: Place): Seat | undefined {
    return this.seat?.run === run && this.seat.round === round ? this.seat : undefined
  }

  isBusyElsewhere(run: RunId): boolean {
    return this.seat !== undefined && this.seat.run !== run && isBusy(this.seat, this.#clock.now())
  }

  /** Stops whatever is being trained, and forgets whatever is held. */
  async drop(seat: Seat | undefined, reason: string, how: 'closed' | 'abandoned' = 'abandoned'): Promise<void> {
    if (seat === undefined) return
    if (this.seat === seat) this.seat = undefined
    seat.stop.abort(new Error(reason))
    await seat.membership?.close(how)
  }

  /** The process ends: nothing is held any more, and nothing more is said. */
  stop(): void {
    this.seat?.membership?.erase()
    this.seat?.stop.abort(new Error('node-stops'))
    this.seat = undefined
  }
}
