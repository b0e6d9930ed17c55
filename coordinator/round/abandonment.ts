import type { Millis } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { abort, lapsesOf, seatsAtEnd } from './aborted.ts'
import { seatedOf } from './aggregation.ts'
import type { RoundEvent } from './events.ts'
import {
  type Abandonment,
  type Collecting,
  type Consistency,
  type MaskedSeated,
  type Round,
  type RoundRefusal,
  seatOf,
  type Unmasking,
} from './round.ts'
import { isAbandoned } from './session.ts'

/**
 * A session that members may have given an input to, and that opens no sum. They are told to erase what they hold and to
 * sign that they did: with enough such signatures nobody can open a sum of it any more, and the next round over the same
 * model may have their inputs again. After a certificate there is nothing to abandon: the certificate itself is shown.
 */
export function abandon(
  round: (Collecting | Consistency | Unmasking) & MaskedSeated,
  reason: string,
  at: Millis,
): Round {
  const { phase: endedIn, session, timing } = round
  const seats = seatsAtEnd(round, at)
  const failed = { reason, endedIn, lapses: lapsesOf(round, at) }
  const endsAt = at + timing.unmaskingMillis
  return conclude({ ...seatedOf(round), ...failed, seats, session, phase: 'abandonment', endsAt }, at)
}

export function stepAbandonment(round: Abandonment, event: RoundEvent): Result<Round, RoundRefusal> {
  const { session, cohort } = round
  switch (event.kind) {
    case 'abandoned': {
      const seat = seatOf(cohort, event.node)
      if (seat < 0) return refuse('not-in-cohort')
      if (session.abandons[seat]) return refuse('said-already')
      const { abandon, confirmed } = event
      const abandons = session.abandons.with(seat, { abandon, confirmed })
      return accept(conclude({ ...round, session: { ...session, abandons } }, event.at))
    }
    case 'ticked':
      return event.at < round.endsAt ? refuse('not-due') : accept(conclude(round, event.at))
    default:
      return refuse('wrong-phase', round.reason)
  }
}

/** The one place that ends the phase. Who is not in U2 holds nothing: it is not waited for. */
function conclude(round: Abandonment, at: Millis): Round {
  const { session, reason, endsAt } = round
  const waiting = session.shared?.members.some((member, seat) => member && !session.abandons[seat])
  const over = session.certificate !== null || isAbandoned(session) || !waiting
  return over || at >= endsAt ? abort(round, reason, at) : round
}
