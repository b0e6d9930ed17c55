import type { Millis, NodeId } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { abandon } from './abandonment.ts'
import { abort } from './aborted.ts'
import { aggregate } from './aggregation.ts'
import { survey } from './consistency.ts'
import type { RoundEvent } from './events.ts'
import type { Collecting, Keys, Opened, Round, RoundRefusal, Seated, SeatState } from './round.ts'
import { seatOf } from './round.ts'
import { leastMembers } from './session.ts'

/**
 * The two phases in which the cohort works: `reporting`, where every seat owes one update or answer, and `evaluation`, the run's
 * last round, where it owes the final model's figures on its held-out rows and no delta. A seat is filled once or goes
 * once; the phase ends when nobody is awaited, when the quorum can no longer be met, or at its deadline.
 */
export function collect(opened: Opened, cohort: readonly NodeId[], at: Millis): Collecting {
  const seats = cohort.map((): SeatState => 'waiting')
  return collecting(
    opened,
    { cohort, seats, session: null },
    { startedAt: at, endsAt: at + opened.timing.reportingMillis },
  )
}

/** The same for a masked round, of those in U2 who are still there: training has been going on since they had the roster. */
export function collectMasked(round: Keys, at: Millis): Round {
  const { cohort, seats, session, startedAt } = round
  return conclude(collecting(round, { cohort, seats, session }, { startedAt, endsAt: session.deadlines[1] }), at)
}

function collecting(opened: Opened, seated: Seated, times: Pick<Collecting, 'startedAt' | 'endsAt'>): Collecting {
  const { round, purpose, plan, cohortSeed, rule, timing, secure, openedAt } = opened
  return {
    ...{ round, purpose, plan, cohortSeed, rule, timing, secure, openedAt },
    phase: purpose === 'evaluate' ? 'evaluation' : 'reporting',
    ...seated,
    waiting: seated.seats.filter((state) => state === 'waiting').length,
    reported: 0,
    ...times,
  }
}

export function stepCollecting(round: Collecting, event: RoundEvent): Result<Round, RoundRefusal> {
  switch (event.kind) {
    case 'reported': {
      const { update, vector, trainMillis, at } = event
      return fill(round, event.node, { update, vector, trainMillis, at }, at)
    }
    case 'left':
      return fill(round, event.node, { gone: event.reason }, event.at)
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
  const due = at >= round.endsAt
  const hopeless = round.reported + round.waiting < quorumOf(round)
  if (!due && !hopeless && round.waiting > 0) return round
  const seats = round.seats.map((state) => (state === 'waiting' ? { gone: due ? 'late' : 'round-ended' } : state))
  const ended = { ...round, seats, waiting: 0 }
  const enough = round.reported >= quorumOf(round)
  if (round.session === null) return enough ? aggregate(ended, at) : abort(ended, 'too-few-reports', at)
  const masked = { ...ended, session: round.session }
  return enough ? survey(masked, at) : abandon(masked, 'too-few-reports', at)
}

/** Fewest reports that become a sum. */
export function quorumOf({ rule, session }: Pick<Collecting, 'rule' | 'session'>): number {
  return session ? Math.max(rule.quorum, leastMembers(session)) : rule.quorum
}
