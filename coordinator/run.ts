import { type Tranche, tranchesOf } from '#payments/allocate.ts'
import { assert } from '#protocol/assert.ts'
import type { Attendance } from '#protocol/attendance.ts'
import type { Amount, Bytes, Cid, Millis, Round as RoundNumber } from '#protocol/ids.ts'
import type { EndedIn, Evaluation } from '#protocol/manifest.ts'
import type { Purpose, Timing } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { cohortSeed } from '#protocol/seeds.ts'
import { NOTHING_SHOWN, type Shown } from '#protocol/stop-rule.ts'
import { conclude, goOn } from './concluding.ts'
import { extend, pause, resume, stop } from './decisions.ts'
import { owes } from './obligations.ts'
import { isTrained } from './outcome.ts'
import type { RoundEvent } from './round/events.ts'
import {
  type Aborted,
  deadlineOf,
  type Opened,
  type Round,
  type RoundRefusal,
  seatOf,
  stepRound,
} from './round/round.ts'
import { openSelection } from './round/selection.ts'
import type { Ending } from './round/session.ts'
import type { Extended, RunEvent } from './run-events.ts'
import type { RunSpec } from './run-spec.ts'
import { type Learned, timingOf } from './timing.ts'

/**
 * A run: its rounds one after another, each starting from the last model. One log stream holds it. A round that came to
 * nothing is tried again under the next number, by another draw, until so many in a row did that the run is paused for its
 * owner, or over. After the planned training rounds have closed, one evaluate round closes, and then comes the run's
 * record; a question's comes after the first round that closes.
 */
export type Run = {
  readonly spec: RunSpec
  readonly at: Millis
  readonly phase: 'funding' | 'running' | 'paused' | 'finishing' | 'ended'
  /** Rounds that are over; round n is at n - 1. */
  readonly past: readonly Past[]
  /** Those of them with a settlement still to come. */
  readonly owing: readonly RoundNumber[]
  /** The last of them, while the record of what became of it is still to come. The next round waits for that. */
  readonly unrecorded: Aborted | null
  readonly round: Round | undefined
  /** Training rounds that have closed. */
  readonly trained: number
  /** Rounds that came to nothing since one closed, or since the run was resumed. */
  readonly failures: number
  /** What was added to the order, the earliest first, and how many of these budgets are reserved. */
  readonly extensions: readonly Extended[]
  readonly held: number
  /** What its stop rule has been shown; null where it has none. */
  readonly shown: Shown | null
  /** Why its owner pauses it: as soon as no round is open. Null while nobody does. */
  readonly pausing: string | null
  /** Why its owner ends it; null while nobody does. */
  readonly stopping: string | null
  /** What the next draw goes by: of all who were in one. A question's draws go by nothing, so that the sets behind answers are alike. */
  readonly attendance: readonly Attendance[]
  readonly learned: Learned
  readonly model: Cid
  readonly memory: Cid
  /** The sealed manifest of the last closed round. */
  readonly parent: Cid | null
  /** Sessions over the present model that inputs may have gone into, the latest last. */
  readonly endings: readonly Ending[]
  /** Of the present model, where an evaluate round has closed since it was made. */
  readonly evaluation: Evaluation | null
  readonly manifest: Cid | null
  readonly createdAt: Millis
  /** When its record was sealed; null before. */
  readonly endedAt: Millis | null
  /** The last round whose vectors are kept no longer, and the last whose are deleted; 0 before. */
  readonly expired: RoundNumber
  readonly cleared: RoundNumber
  /** Of the budget, once the run has ended; both are zero before. */
  readonly paid: Amount
  readonly released: Amount
}

/** What is kept of a round that is over. */
export type Past = {
  readonly round: RoundNumber
  readonly purpose: Purpose
  /** The sealed manifest of a closed round. */
  readonly manifest: Cid | null
  /** The sealed record of an aborted one, once it is made. */
  readonly aborted: Cid | null
  readonly receipts: Cid | null | 'overdue'
  /** Why it came to nothing, and in which phase. */
  readonly reason: string | null
  readonly endedIn: EndedIn | null
  /** Seats, and how many of them reported. */
  readonly cohort: number
  readonly reports: number
  readonly openedAt: Millis
  readonly endedAt: Millis
}

export type RunRefusal =
  | RoundRefusal
  | 'no-round'
  | 'run-ended'
  | 'run-exists'
  | 'run-stopped'
  | 'not-owed'
  | 'not-paused'
  | 'paused-already'
  | 'extended-already'
  | 'stop-rule-met'
  | 'too-many-extensions'
  | 'too-many-rounds'
  | 'expired-already'

/** The same law as a round's: total, synchronous, refusals change nothing. */
export function stepRun(run: Run | undefined, event: RunEvent): Result<Run, RunRefusal> {
  if (event.kind === 'created') return run ? refuse('run-exists') : accept(create(event.spec, event.at))
  if (!run) return refuse('no-round')
  const at = event.at
  assert(at >= run.at, 'time never goes back in a log')
  switch (event.kind) {
    case 'held':
      return hold({ ...run, at }, event.extension)
    case 'opened': {
      if (!owes(run, { kind: 'open', round: event.round })) return refuse('not-owed')
      if (event.purpose !== undefined && event.purpose !== purposeOf(run))
        return refuse('not-owed', `a plan to ${event.purpose}: the run was extended meanwhile`)
      const opened = openedBy(run, event.round, event.plan, at)
      return accept({ ...run, at, round: openSelection(opened, event.invited, run.attendance) })
    }
    case 'recounted': {
      if (!owes(run, { kind: 'recount', round: event.round })) return refuse('not-owed')
      return accept(goOn({ ...amend(run, event.round, { aborted: event.record }), at, unrecorded: null }))
    }
    case 'paused':
      return pause({ ...run, at }, event.reason)
    case 'resumed':
      return resume({ ...run, at })
    case 'extended':
      return extend({ ...run, at }, event)
    case 'stopped':
      return stop({ ...run, at }, event.reason)
    case 'finished': {
      if (!owes(run, { kind: 'finish' })) return refuse('not-owed')
      const { manifest, paid, released } = event
      return accept({ ...run, at, phase: 'ended', endedAt: at, manifest, paid, released })
    }
    case 'expired':
      return expire({ ...run, at }, event.through)
    case 'cleared':
      return owes(run, { kind: 'clear', round: event.through })
        ? accept({ ...run, at, cleared: event.through })
        : refuse('not-owed')
    default:
      return stepOpen(run, event)
  }
}

/** A budget is reserved: the order's, with which the run begins, or an extension's. */
function hold(run: Run, extension: number | undefined): Result<Run, RunRefusal> {
  if (!owes(run, extension === undefined ? { kind: 'hold' } : { kind: 'hold', extension })) return refuse('not-owed')
  return accept(extension === undefined ? goOn(run) : { ...run, held: extension })
}

/** How long vectors are kept is for whoever says so to know; but nobody can do without those of a run that goes on. */
function expire(run: Run, through: RoundNumber): Result<Run, RunRefusal> {
  if (run.phase !== 'ended') return refuse('not-due', 'the run goes on')
  if (through > run.past.length) return refuse('no-round', `the run had ${run.past.length}`)
  return through > run.expired ? accept({ ...run, expired: through }) : refuse('expired-already')
}

/** Nothing comes any more: the run has ended, and what was kept of it for a time is deleted. */
export function isOver({ phase, past, cleared }: Run): boolean {
  return phase === 'ended' && cleared === past.length
}

function stepOpen(run: Run, event: RoundEvent): Result<Run, RunRefusal> {
  if (run.phase === 'ended') return refuse('run-ended')
  if (event.kind === 'settled' && owes(run, { kind: 'settle', round: event.round }) && run.round?.round !== event.round)
    return accept({ ...amend(run, event.round, { receipts: event.receipts }), at: event.at })
  if (event.kind === 'abandoned' && run.round?.round !== event.round) return stepEnding(run, event)
  if (!run.round) return refuse('no-round')
  const round = stepRound(run.round, event)
  return round.ok ? accept(conclude({ ...run, at: event.at, round: round.value })) : round
}

/** A member of a session that is over comes back, and erases what it holds: the next round may have its input again. */
function stepEnding(run: Run, event: Extract<RoundEvent, { kind: 'abandoned' }>): Result<Run, RunRefusal> {
  const index = run.endings.findIndex(({ round }) => round === event.round)
  const ending = run.endings[index]
  if (!ending) return refuse('past-round', 'no session of that round over this model')
  const seat = seatOf(ending.cohort, event.node)
  if (seat < 0) return refuse('not-in-cohort')
  const { session } = ending
  if (session.abandons[seat]) return refuse('said-already')
  const { abandon, confirmed } = event
  const abandons = session.abandons.with(seat, { abandon, confirmed })
  const endings = run.endings.with(index, { ...ending, session: { ...session, abandons } })
  return accept({ ...run, at: event.at, endings })
}

/** When the run next moves by itself. */
export function nextDeadline(run: Run): Millis | undefined {
  return run.round && deadlineOf(run.round)
}

/** Of the next round. One that is open keeps its own, also where the run is extended meanwhile. */
export function purposeOf(run: Run): Purpose {
  if (run.spec.purpose === 'ask') return 'ask'
  return isTrained(run) ? 'evaluate' : 'train'
}

/** What its training rounds are paid from. */
export function tranchesOfRun({ spec, extensions }: Pick<Run, 'spec' | 'extensions'>): readonly Tranche[] {
  return tranchesOf({ ...spec, extensions })
}

/** Which part of the budget a training round has, over or open: the first that closes has the first. */
export function partOf({ past }: Pick<Run, 'past'>, round: RoundNumber): number {
  const before = past.slice(0, round - 1)
  return before.filter(({ purpose, manifest }) => purpose === 'train' && manifest !== null).length + 1
}

/** Of the round's draw. */
export function seedOf({ spec, model }: Pick<Run, 'spec' | 'model'>, round: RoundNumber): Bytes {
  return spec.purpose === 'ask' ? spec.taskSeed : cohortSeed(spec.taskSeed, model, round)
}

function create(spec: RunSpec, at: Millis): Run {
  assert((spec.masking === 'none') === (spec.secure === null), 'a masked run says how it is masked')
  assert(spec.purpose === 'train' || (spec.secure && spec.budget === 0n), 'a question is asked under masks, for no pay')
  const { genesis: model, memory } = spec
  return {
    ...{ spec, at, phase: 'funding', past: [], owing: [], unrecorded: null, round: undefined },
    ...{ attendance: [], learned: [] },
    ...{ extensions: [], held: 0, shown: spec.stopWhen ? NOTHING_SHOWN : null, pausing: null },
    ...{ trained: 0, failures: 0, stopping: null, model, memory, parent: null, endings: [], evaluation: null },
    ...{ manifest: null, createdAt: at, endedAt: null, expired: 0, cleared: 0, paid: 0n, released: 0n },
  }
}

function openedBy(run: Run, round: RoundNumber, plan: Cid, at: Millis): Opened {
  const { cohort: rule, secure, heedsRefusals = false } = run.spec
  const terms = { cohortSeed: seedOf(run, round), rule, timing: timingFor(run), secure, heedsRefusals }
  return { round, purpose: purposeOf(run), plan, ...terms, openedAt: at, took: {} }
}

/** The time limits of the next round. */
export function timingFor({ spec, learned }: Run): Timing {
  return timingOf(spec.timing, learned)
}

function amend(run: Run, round: RoundNumber, change: Partial<Past>): Run {
  const past = { ...(run.past[round - 1] as Past), ...change }
  const owing = past.receipts === 'overdue' ? run.owing : run.owing.filter((other) => other !== round)
  return { ...run, past: run.past.with(round - 1, past), owing }
}
