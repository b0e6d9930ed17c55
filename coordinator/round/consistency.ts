import { leavingWith } from '#protocol/attendance.ts'
import type { Millis } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { abandon } from './abandonment.ts'
import { seatedOf } from './aggregation.ts'
import type { RoundEvent } from './events.ts'
import {
  type Collecting,
  type Consistency,
  hasReported,
  type MaskedSeated,
  type Round,
  type RoundRefusal,
  seatOf,
} from './round.ts'
import { countOf } from './session.ts'
import { unmask } from './unmasking.ts'

/**
 * Everybody whose input is in signs that this is the set: no honest member signs two, so no coordinator can have two. The
 * phase ends with a certificate; without q signatures nothing is ever opened.
 */
export function survey(round: Collecting & MaskedSeated, at: Millis): Round {
  const { session, startedAt, timing } = round
  const endsAt = Math.min(session.deadlines[2], at + timing.consistencyMillis)
  return conclude({ ...seatedOf(round), session, phase: 'consistency', startedAt, endsAt }, at)
}

export function stepConsistency(round: Consistency, event: RoundEvent): Result<Round, RoundRefusal> {
  const { session } = round
  switch (event.kind) {
    case 'surveyed':
      if (session.survivors) return refuse('said-already')
      return accept(conclude({ ...round, session: { ...session, survivors: event.survivors } }, event.at))
    case 'confirmed':
      return confirm(round, event)
    case 'certified':
      if (!isConfirmed(round)) return refuse('wrong-phase', 'too few have confirmed')
      // Nobody has seen it yet: a certificate that comes too late for its shares would only bind the members' inputs.
      if (event.at >= round.endsAt) return accept(conclude(round, event.at))
      return accept(unmask({ ...round, session: { ...session, certificate: event.certificate } }, event.at))
    case 'left':
      return leave(round, event)
    case 'ticked':
      return event.at < round.endsAt ? refuse('not-due') : accept(conclude(round, event.at))
    default:
      return refuse('wrong-phase', 'the survivors are being confirmed')
  }
}

function confirm(round: Consistency, event: Extract<RoundEvent, { kind: 'confirmed' }>): Result<Round, RoundRefusal> {
  const { session, cohort, seats } = round
  const seat = seatOf(cohort, event.node)
  if (seat < 0) return refuse('not-in-cohort')
  if (!hasReported(seats[seat])) return refuse('not-a-survivor')
  if (!session.survivors) return refuse('wrong-phase', 'nobody was asked yet')
  if (session.confirms[seat]) return refuse('said-already')
  const confirms = session.confirms.with(seat, event.confirm)
  // Whoever speaks is back.
  const away = session.away.with(seat, null)
  return accept(conclude({ ...round, session: { ...session, confirms, away } }, event.at))
}

function leave(
  round: Consistency,
  { node, reason, at }: Extract<RoundEvent, { kind: 'left' }>,
): Result<Round, RoundRefusal> {
  const { session, cohort, seats } = round
  const seat = seatOf(cohort, node)
  if (seat < 0) return refuse('not-in-cohort')
  if (!hasReported(seats[seat]) || session.away[seat]) return refuse('seat-gone')
  return accept(conclude({ ...round, session: { ...session, away: session.away.with(seat, leavingWith(reason)) } }, at))
}

/** Enough signatures for a certificate. */
export function isConfirmed({ session }: Consistency): boolean {
  return countOf(session.confirms) >= session.rule.q
}

/** The one place that ends the phase without a certificate. */
function conclude(round: Consistency, at: Millis): Round {
  if (isConfirmed(round)) {
    // What is left is the coordinator's own signature.
    return at < round.endsAt ? round : abandon(round, 'certificate-late', at)
  }
  const { session, seats } = round
  const possible = seats.filter((state, seat) => hasReported(state) && (session.confirms[seat] || !session.away[seat]))
  const hopeless = possible.length < session.rule.q
  return at < round.endsAt && !hopeless ? round : abandon(round, 'too-few-confirmations', at)
}
