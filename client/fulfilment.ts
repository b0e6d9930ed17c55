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

export type FulfilmentDoors = Omit<WorkDoors, 'withholdsEvaluation'> & {
  readonly site: SiteTerms
  readonly blobs: RemoteStore
  readonly sessions: Sessions
  readonly voice: Voice
  readonly holder: Holder
}

/** Whose seat it is. */
type Holder = {
  tell(place: Place, made: Told): void
  /** Gives the seat up. */
  leave(place: Place, reason: string): Promise<void>
  /** Does so since something was asked of this node that it never does. */
  withdraw(place: Place, refused: Refused): Promise<void>
}

/**
 * What a node does for a seat that it was given: it trains, and reports what came of it. Never throws: what goes wrong gives
 * the seat up, with the reason.
 */
export async function fulfil(seat: Seat, number: number, doors: FulfilmentDoors): Promise<void> {
  const { membership } = seat
  const { holder, site } = doors
  // Nothing that depends on a model leaves a masked round before it is known, not even why training failed.
  const known = membership ? recompute(seat, doors) : Promise.resolve(true)
  try {
    const working = { ...doors, withholdsEvaluation: site.withholdsEvaluation }
    const made = await work(working, seat, (at) => holder.tell(seat, { kind: 'training', ...at }))
    if (!made.ok) return (await known) ? await holder.leave(seat, made.refusal) : undefined
    if (!membership) return await report(seat, number, made.value, doors)
    const given = await membership.submit(made.value, known)
    if (!given.ok) await holder.withdraw(seat, given)
  } catch (cause) {
    if (await known) await giveUp(seat, cause, holder)
  }
}

/** R8. Never throws: where the model is another one, or that cannot be found out, it gives the seat up. */
async function recompute(seat: Seat, { sessions, holder }: FulfilmentDoors): Promise<boolean> {
  try {
    const known = await sessions.recompute(seat, seat.assignment.plan, seat.stop.signal)
    if (!known.ok) await holder.withdraw(seat, known)
    return known.ok
  } catch (cause) {
    await giveUp(seat, cause, holder)
    return false
  }
}

/** Something went wrong, unless it was stopped. */
async function giveUp(seat: Seat, cause: unknown, holder: Holder): Promise<void> {
  if (seat.stop.signal.aborted) return
  const reason = cause instanceof TrainingRefused ? cause.reason : 'fault'
  const failed = (why: unknown) => holder.tell(seat, { kind: 'failed', reason: reasonOf(why) })
  failed(cause)
  await holder.leave(seat, reason).catch(failed)
}

/** A plain round's report: never of a seat that has a membership. */
async function report(
  seat: Seat,
  number: number,
  trained: Trained,
  { blobs, voice, holder }: FulfilmentDoors,
): Promise<void> {
  const { run, round, stop, plan } = seat
  const { model } = seat.assignment.plan
  const place = { run, round, seat: number, plan, model }
  const { message, attached } = await reportOf(place, trained, blobs, stop.signal)
  if (stop.signal.aborted) return
  seat.frame = voice.frame(message, attached)
  seat.stage = 'reported'
  await voice.send(seat.frame)
  holder.tell(seat, { kind: 'reported', bytes: message.sizeBytes, trainMillis: message.trainMillis })
}
