import type { Round as RoundNumber } from '#protocol/ids.ts'
import { isConfirmed } from './round/consistency.ts'
import type { Run } from './run.ts'

/** What the world still has to do. Each is answered by an event and owed until that event is in the log. */
export type Obligation =
  | { readonly kind: 'hold' | 'finish' }
  | { readonly kind: 'open' | 'aggregate' | 'settle' | 'recount' | SessionWork; readonly round: RoundNumber }
  /** To delete the vectors of the rounds up to this one. */
  | { readonly kind: 'clear'; readonly round: RoundNumber }

/** What the coordinator itself says in a session: the roster, U2, the second U2, U3, the certificate. */
export type SessionWork = 'enrol' | 'share' | 'judge' | 'survey' | 'certify'

/**
 * Read off the state, so that a step and a replay owe the same: a step's effects are what is owed after it and was not
 * before, and `recover` pushes again whatever is owed still. A paused run owes nothing but what it owes to others: the pay
 * of a round that is overdue.
 */
export function obligations(run: Run): readonly Obligation[] {
  const owed: Obligation[] = run.owing.map((round) => ({ kind: 'settle', round }))
  switch (run.phase) {
    case 'funding':
      return [...owed, { kind: 'hold' }]
    case 'running':
      return [...owed, ...roundObligations(run)]
    case 'finishing':
      return owed.length > 0 ? owed : [{ kind: 'finish' }]
    case 'paused':
      return owed
    case 'ended':
      return run.cleared < run.expired ? [...owed, { kind: 'clear', round: run.expired }] : owed
  }
}

function roundObligations({ round, past, unrecorded }: Run): readonly Obligation[] {
  // One after another, so that there is never more than one round to be kept for its record.
  if (unrecorded) return [{ kind: 'recount', round: unrecorded.round }]
  if (!round) return [{ kind: 'open', round: past.length + 1 }]
  switch (round.phase) {
    case 'keys': {
      const work = { enrolling: 'enrol', sharing: 'share', judging: 'judge', dealing: null, agreeing: null } as const
      const kind = work[round.step]
      return kind ? [{ kind, round: round.round }] : []
    }
    case 'consistency':
      if (!round.session.survivors) return [{ kind: 'survey', round: round.round }]
      return isConfirmed(round) ? [{ kind: 'certify', round: round.round }] : []
    case 'aggregation':
      return [{ kind: 'aggregate', round: round.round }]
    case 'settlement':
      return [{ kind: 'settle', round: round.round }]
    case 'selection':
    case 'reporting':
    case 'evaluation':
    case 'unmasking':
    case 'abandonment':
    case 'closed':
    case 'aborted':
      return []
  }
}

export function owes(run: Run, obligation: Obligation): boolean {
  return obligations(run).some((owed) => sameObligation(owed, obligation))
}

export function sameObligation(a: Obligation, b: Obligation): boolean {
  return a.kind === b.kind && ('round' in a ? a.round : 0) === ('round' in b ? b.round : 0)
}
