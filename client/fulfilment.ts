import { type RemoteStore, TrainingRefused } from '#protocol/ports.ts'
import type { Refused } from '#protocol/result.ts'
import { reasonOf, type Told } from './progress.ts'
import { reportOf } from './report.ts'
import type { Place, Seat } from './seat.ts'
import type { Sessions } from './sessions.ts'
import type { SiteTerms } from './site.ts'
import type { Trained } from './submission.ts'
import type { Voice } from './voice.ts'
import { type WorkDoors, work } from './work.ts'

type FulfilmentDoors = Omit<WorkDoors, 'withholdsEvaluation'> & {
  readonly site: SiteTerms
  readonly blobs: RemoteStore
  readonly sessions: Sessions
  readonly voice: Voice
  readonly tell: (place: Place, made: Told) => void
  /** Gives the seat up. */
  readonly leave: (place: Place, reason: string) => Promise<void>
  /** Does so since something was asked of this node that it never does. */
  readonly withdraw: (place: Place, refused: Refused) => Promise<void>
}

/** What a node does for a seat that it was given: it trains, and reports what came of it, or gives the seat up. */
export class Fulfilment {
  readonly #doors: FulfilmentDoors

  constructor(doors: FulfilmentDoors) {
    this.#doors = doors
  }

  /** Trains and reports. Never throws: what goes wrong gives the seat up, with the reason. */
  async fulfil(seat: Seat, number: number): Promise<void> {
    const { membership } = seat
    // Nothing that depends on a model leaves a masked round before it is known, not even why training failed.
    const known = membership ? this.#recompute(seat) : Promise.resolve(true)
    try {
      const doors = { ...this.#doors, withholdsEvaluation: this.#doors.site.withholdsEvaluation }
      const made = await work(doors, seat, (at) => this.#doors.tell(seat, { kind: 'training', ...at }))
      if (!made.ok) return (await known) ? await this.#doors.leave(seat, made.refusal) : undefined
      if (!membership) return await this.#report(seat, number, made.value)
      const given = await membership.submit(made.value, known)
      if (!given.ok) await this.#doors.withdraw(seat, given)
    } catch (cause) {
      if (await known) await this.#giveUp(seat, cause)
    }
  }

  /** R8. Never throws: where the model is another one, or that cannot be found out, it gives the seat up. */
  async #recompute(seat: Seat): Promise<boolean> {
    try {
      const known = await this.#doors.sessions.recompute(seat, seat.assignment.plan, seat.stop.signal)
      if (!known.ok) await this.#doors.withdraw(seat, known)
      return known.ok
    } catch (cause) {
      await this.#giveUp(seat, cause)
      return false
    }
  }

  /** Something went wrong, unless it was stopped. */
  async #giveUp(seat: Seat, cause: unknown): Promise<void> {
    if (seat.stop.signal.aborted) return
    const reason = cause instanceof TrainingRefused ? cause.reason : 'fault'
    this.#doors.tell(seat, { kind: 'failed', reason: reasonOf(cause) })
    await this.#doors
      .leave(seat, reason)
      .catch((fault: unknown) => this.#doors.tell(seat, { kind: 'failed', reason: reasonOf(fault) }))
  }

  /** A plain round's report: never of a seat that has a membership. */
  async #report(seat: Seat, number: number, trained: Trained): Promise<void> {
    const { run, round, stop, plan } = seat
    const { model } = seat.assignment.plan
    const place = { run, round, seat: number, plan, model }
    const { message, attached } = await reportOf(place, trained, this.#doors.blobs, stop.signal)
    if (stop.signal.aborted) return
    seat.frame = this.#doors.voice.frame(message, attached)
    seat.stage = 'reported'
    await this.#doors.voice.send(seat.frame)
    this.#doors.tell(seat, { kind: 'reported', bytes: message.sizeBytes, trainMillis: message.trainMillis })
  }
}
