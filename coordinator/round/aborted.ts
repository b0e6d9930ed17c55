import type { Millis } from '#protocol/ids.ts'
import type { Aborted, Aggregation, Collecting, Selection } from './round.ts'

/** The round came to nothing, for a named reason; its part of the budget is released and the next round starts clean. */
export function abort(round: Selection | Collecting | Aggregation, reason: string, at: Millis): Aborted {
  const { round: number, purpose, plan, cohortSeed, rule, timing, openedAt } = round
  const seated = round.phase === 'selection' ? {} : { cohort: round.cohort, seats: round.seats }
  return {
    ...{ round: number, purpose, plan, cohortSeed, rule, timing, openedAt },
    ...seated,
    phase: 'aborted',
    reason,
    endedAt: at,
  }
}
