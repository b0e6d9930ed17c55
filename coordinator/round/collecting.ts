import { leavingWith } from '#protocol/attendance.ts'
import type { Millis, NodeId } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { abandon } from './abandonment.ts'
import { abort } from './aborted.ts'
import { aggregate } from './aggregation.ts'
import { survey } from './consistency.ts'
import type { RoundEvent } from './events.ts'
import {
  type Collecting,
  type Keys,
  type Opened,
  openedOf,
  type Round,
  type RoundRefusal,
  type Seated,
  type SeatState,
  seatOf,
  withAnswer,
} from './round.ts'
import { leastMembers } from './session.ts'

/**
 * The two phases in which the cohort works: `reporting`, where every seat owes one update or answer, and `evaluation`, the run's
 * last round, where it owes the final model's figures on its held-out rows and no delta. A seat is filled once or goes
 * once; the phase ends when nobody is awaited, when the quorum can no longer be met, or at its deadline, which the quorum
 * brings nearer: over-selection is more seats than reports are wanted.
 */
export function collect(
  opened: Opened,
  { selection, cohort }: Pick<Seated, 'selection' | 'cohort'>,
  at: Millis,
): Collecting {
  const seats = cohort.map((): SeatState => 'waiting')
  return collecting(
    opened,
    { selection, cohort, seats, session: null },
    { startedAt: at, endsAt: at + opened.timing.reportingMillis },
  )
}

/** The same for a masked round, of those in U2 who are still there: training has been going on since they had the roster. */
export function collectMasked(round: Keys, at: Millis): Round {
  const { selection, cohort, seats, session, startedAt } = round
  const seated = { selection, cohort, seats, session }
  return conclude(collecting(round, seated, { startedAt, endsAt: session.deadlines[1] }), at)
}

function collecting(opened: Opened, seated: Seated, times: Pick<Collecting, 'startedAt' | 'endsAt'>): Collecting {
  return {
    ...openedOf(opened),
    phase: opened.purpose === 'evaluate' ? 'evaluation' : 'reporting',
    ...seated,
    waiting: seated.seats.filter((state) => state === 'waiting').length,
    reported: 0,
    ...times,
    closing: false,
  }
}

export function stepCollecting(round: Collecting, event: RoundEvent): Result<Round, RoundRefusal> {
  switch (event.kind) {
    case 'reported': {
      const { update, vector, trainMillis, at } = event
      return fill(round, event.node, { update, vector, trainMillis, at }, at)
    }
    case 'left':
      return fill(round, event.node, { gone: leavingWith(event.reason) }, event.at)
    case 'ticked':
      return event.at < round.endsAt ? refuse('not-due') : accept(conclude(round, event.at))
    default:
      return refuse('wrong-phase', `${round.phase} is open`)
  }
}

/** A seat is filled once: what came first stands, and leaving after a report takes nothing back. */
function fill(
  round: Collecting,
  node: NodeId,
  state: Exclude<SeatState, 'waiting'>,
  at: Millis,
): Result<Round, RoundRefusal> {
  const seat = seatOf(round.cohort, node)
  if (seat < 0) return refuse('not-in-cohort')
  const before = round.seats[seat] as SeatState
  if (before !== 'waiting') return refuse('update' in before ? 'already-reported' : 'seat-gone')
  const seats = round.seats.with(seat, state)
  const reported = round.reported + ('update' in state ? 1 : 0)
  return accept(conclude({ ...round, seats, waiting: round.waiting - 1, reported }, at))
}

/** The one place that ends the phase. */
function conclude(round: Collecting, at: Millis): Round {
  const enough = round.reported >= quorumOf(round)
  if (enough && !round.closing && round.waiting > 0) return conclude(hurried(round, at), at)
  const due = at >= round.endsAt
  const hopeless = round.reported + round.waiting < quorumOf(round)
  if (!due && !hopeless && round.waiting > 0) return round
  const late = round.closing && round.endsAt < deadlineFor(round) ? 'straggler' : 'late'
  const seats = round.seats.map((state) => (state === 'waiting' ? { gone: due ? late : 'round-ended' } : state))
  const tookMillis = due && round.waiting > 0 ? 'all' : at - round.startedAt
  const ended = { ...withAnswer(round, 'reportingMillis', tookMillis), seats, waiting: 0 }
  if (round.session === null) return enough ? aggregate(ended, at) : abort(ended, 'too-few-reports', at)
  const masked = { ...ended, session: round.session }
  return enough ? survey(masked, at) : abandon(masked, 'too-few-reports', at)
}

/** The quorum is in: whoever is still at it has the grace time, and never more than the phase. */
function hurried(round: Collecting, at: Millis): Collecting {
  const { stragglerMillis } = round.timing
  const endsAt = stragglerMillis === null ? round.endsAt : Math.min(round.endsAt, at + stragglerMillis)
  return { ...round, endsAt, closing: true }
}

/** When the phase ends if no quorum brings it nearer. */
function deadlineFor({ session, startedAt, timing }: Collecting): Millis {
  return session ? session.deadlines[1] : startedAt + timing.reportingMillis
}

/** Fewest reports that become a sum. */
export function quorumOf({ rule, session }: Pick<Collecting, 'rule' | 'session'>): number {
  return session ? Math.max(rule.quorum, leastMembers(session)) : rule.quorum
}
