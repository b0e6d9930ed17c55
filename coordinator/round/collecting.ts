import type { Millis, NodeId } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { abort } from './aborted.ts'
import { aggregate } from './aggregation.ts'
import type { RoundEvent } from './events.ts'
import type { Collecting, Opened, Round, RoundRefusal, SeatState } from './round.ts'
import { seatOf } from './round.ts'

/**
 * The two phases in which the cohort works: `reporting`, where every seat owes one update, and `evaluation`, the run's
 * last round, where it owes the final model's figures on its held-out rows and no delta. A seat is filled once or goes
 * once; the phase ends when nobody is awaited, when the quorum can no longer be met, or at its deadline.
 */
export function collect(opened: Opened, cohort: readonly NodeId[], at: Millis): Collecting {
  const { round, purpose, plan, cohortSeed, rule, timing, openedAt } = opened
  return {
    ...{ round, purpose, plan, cohortSeed, rule, timing, openedAt },
    phase: purpose === 'train' ? 'reporting' : 'evaluation',
    cohort,
    seats: cohort.map((): SeatState => 'waiting'),
    waiting: cohort.length,
    reported: 0,
    startedAt: at,
    endsAt: at + timing.reportingMillis,
  }
}

export function stepCollecting(round: Collecting, event: RoundEvent): Result<Round, RoundRefusal> {
  switch (event.kind) {
    case 'reported': {
      const { update, trainMillis, at } = event
      return fill(round, event.node, { update, trainMillis, at }, at)
    }
    case 'left':
      return fill(round, event.node, { gone: event.reason }, event.at)
    case 'ticked':
      return event.at < round.endsAt ? refuse('not-due') : accept(conclude(round, event.at))
    case 'joined':
    case 'declined':
    case 'aggregated':
    case 'spoiled':
    case 'settled':
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
  const hopeless = round.reported + round.waiting < round.rule.quorum
  if (!due && !hopeless && round.waiting > 0) return round
  const seats = round.seats.map((state) => (state === 'waiting' ? { gone: due ? 'late' : 'round-ended' } : state))
  const ended = { ...round, seats, waiting: 0 }
  return round.reported < round.rule.quorum ? abort(ended, 'too-few-reports', at) : aggregate(ended, at)
}
