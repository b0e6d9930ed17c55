import { leavingWith } from '#protocol/attendance.ts'
import type { Millis } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { abandon } from './abandonment.ts'
import { aggregate, seatedOf } from './aggregation.ts'
import type { RoundEvent } from './events.ts'
import {
  type Consistency,
  hasReported,
  type Round,
  type RoundRefusal,
  seatOf,
  type Unmasking,
  withAnswer,
} from './round.ts'
import { countOf } from './session.ts'

/**
 * The survivors answer the certificate with their own seeds and one share of every other member's secret. Ends with at
 * least t answers, which give every secret that is missing, when nobody is awaited or at its deadline; with fewer it goes
 * on to its deadline, because a certified session that is not opened costs its members' next inputs.
 */
export function unmask(round: Consistency, at: Millis): Round {
  const { session, startedAt, timing } = round
  const endsAt = Math.min(session.deadlines[3], at + timing.unmaskingMillis)
  const over = withAnswer(round, 'consistencyMillis', at - (round.endsAt - timing.consistencyMillis))
  return conclude({ ...seatedOf(over), session, phase: 'unmasking', startedAt, endsAt }, at)
}

export function stepUnmasking(round: Unmasking, event: RoundEvent): Result<Round, RoundRefusal> {
  switch (event.kind) {
    case 'unmasked':
      return answer(round, event)
    case 'left':
      return leave(round, event)
    case 'ticked':
      return event.at < round.endsAt ? refuse('not-due') : accept(conclude(round, event.at))
    default:
      return refuse('wrong-phase', 'the masks are being taken off')
  }
}

function answer(round: Unmasking, event: Extract<RoundEvent, { kind: 'unmasked' }>): Result<Round, RoundRefusal> {
  const { session, cohort, seats } = round
  const seat = seatOf(cohort, event.node)
  if (seat < 0) return refuse('not-in-cohort')
  if (!hasReported(seats[seat])) return refuse('not-a-survivor')
  if (session.unmasks[seat]) return refuse('said-already')
  const unmasks = session.unmasks.with(seat, event.unmask)
  return accept(conclude({ ...round, session: { ...session, unmasks } }, event.at))
}

/** Who left may come back with an answer, but is not waited for. */
function leave(
  round: Unmasking,
  { node, reason, at }: Extract<RoundEvent, { kind: 'left' }>,
): Result<Round, RoundRefusal> {
  const { session, cohort, seats } = round
  const seat = seatOf(cohort, node)
  if (seat < 0) return refuse('not-in-cohort')
  if (!hasReported(seats[seat]) || session.away[seat] || session.unmasks[seat]) return refuse('seat-gone')
  return accept(conclude({ ...round, session: { ...session, away: session.away.with(seat, leavingWith(reason)) } }, at))
}

/** The one place that ends the phase. Who has not even confirmed may be gone since long: it is not waited for either. */
function conclude(round: Unmasking, at: Millis): Round {
  const { confirms, unmasks, away, rule } = round.session
  const waiting = confirms.some((confirm, seat) => confirm && !unmasks[seat] && !away[seat])
  const enough = countOf(unmasks) >= rule.t
  if (at < round.endsAt && (waiting || !enough)) return round
  if (!enough) return abandon(round, 'too-few-shares', at)
  const begun = round.endsAt - round.timing.unmaskingMillis
  return aggregate(withAnswer(round, 'unmaskingMillis', waiting ? 'all' : at - begun), at)
}
