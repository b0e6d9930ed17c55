import { totalOf } from '#payments/allocate.ts'
import type { Round as RoundNumber } from '#protocol/ids.ts'
import { isTrained } from './outcome.ts'
import { isConfirmed } from './round/consistency.ts'
import type { Run } from './run.ts'

/** What the world still has to do. Each is answered by an event and owed until that event is in the log. */
export type Obligation =
  | { readonly kind: 'finish' }
  /** To reserve the order's budget, or that of the extension with this number. */
  | { readonly kind: 'hold'; readonly extension?: number }
  | { readonly kind: 'open' | 'aggregate' | 'settle' | 'recount' | SessionWork; readonly round: RoundNumber }
  /** To delete the vectors of the rounds up to this one. */
  | { readonly kind: 'clear'; readonly round: RoundNumber }

/** What the coordinator itself says in a session: the roster, U2, the second U2, U3, the certificate. */
export type SessionWork = 'enrol' | 'share' | 'judge' | 'survey' | 'certify'

/**
 * Read off the state, so that a step and a replay owe the same: a step's effects are what is owed after it and was not
 * before, and `recover` pushes again whatever is owed still. A paused run owes nothing but what it owes to others: the pay
 * of a round that is overdue, and a budget that was added.
 */
export function obligations(run: Run): readonly Obligation[] {
  const owed: Obligation[] = run.owing.map((round) => ({ kind: 'settle', round }))
  switch (run.phase) {
    case 'funding':
      return [...owed, { kind: 'hold' }]
    case 'running':
      return [...owed, ...roundObligations(run), ...holds(run)]
    case 'finishing': {
      const first = [...owed, ...holds(run)]
      return first.length > 0 ? first : [{ kind: 'finish' }]
    }
    case 'paused':
      return [...owed, ...holds(run)]
    case 'ended':
      return run.cleared < run.expired ? [...owed, { kind: 'clear', round: run.expired }] : owed
  }
}

/** One after another, in their order. */
function holds({ extensions, held }: Run): readonly Obligation[] {
  return held < extensions.length ? [{ kind: 'hold', extension: held + 1 }] : []
}

/** No round opens that could not be paid: an extension's rounds wait for its budget. */
function isFunded(run: Run): boolean {
  const { spec, extensions, held, trained } = run
  return isTrained(run) || trained < totalOf({ ...spec, extensions: extensions.slice(0, held) }).rounds
}

function roundObligations(run: Run): readonly Obligation[] {
  const { round, past, unrecorded } = run
  // One after another, so that there is never more than one round to be kept for its record.
  if (unrecorded) return [{ kind: 'recount', round: unrecorded.round }]
  if (!round) return isFunded(run) ? [{ kind: 'open', round: past.length + 1 }] : []
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
  return a.kind === b.kind && numberOf(a) === numberOf(b)
}

function numberOf(owed: Obligation): number {
  if (owed.kind === 'hold') return owed.extension ?? 0
  return owed.kind === 'finish' ? 0 : owed.round
}
