import type { Millis } from '#protocol/ids.ts'
import type { Abandonment, Aborted, Aggregation, Collecting, Keys, Seated, Selection } from './round.ts'

/**
 * The round came to nothing, for a named reason; its part of the budget is released and the next round starts clean. A
 * session is remembered where an input may have gone into it: not before its keys were shared.
 */
export function abort(
  round: Selection | Keys | Collecting | Aggregation | Abandonment,
  reason: string,
  at: Millis,
): Aborted {
  const { round: number, purpose, plan, cohortSeed, rule, timing, secure, openedAt } = round
  const { cohort, seats, session } = round.phase === 'selection' ? ({} as Partial<Seated>) : round
  const taken = round.phase === 'keys' ? null : (session ?? null)
  const seated = cohort && seats ? { cohort, seats, session: taken } : {}
  return {
    ...{ round: number, purpose, plan, cohortSeed, rule, timing, secure, openedAt },
    ...seated,
    phase: 'aborted',
    reason,
    endedAt: at,
  }
}
