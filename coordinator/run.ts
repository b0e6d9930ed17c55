import { assert } from '#protocol/assert.ts'
import type { Attendance } from '#protocol/attendance.ts'
import type { Amount, Bytes, Cid, Millis, Round as RoundNumber } from '#protocol/ids.ts'
import { ENDINGS_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import type { EndedIn, Evaluation } from '#protocol/manifest.ts'
import type { Purpose, Timing } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { cohortSeed } from '#protocol/seeds.ts'
import { attendanceAfter } from './attendance.ts'
import { owes } from './obligations.ts'
import { hasFailed, isDone } from './outcome.ts'
import type { RoundEvent } from './round/events.ts'
import {
  type Aborted,
  type Closed,
  deadlineOf,
  hasReported,
  type Opened,
  type Round,
  type RoundRefusal,
  seatOf,
  stepRound,
} from './round/round.ts'
import { openSelection } from './round/selection.ts'
import type { Ending } from './round/session.ts'
import { cutShort } from './round/stopped.ts'
import type { RunEvent } from './run-events.ts'
import type { RunSpec } from './run-spec.ts'
import { type Learned, learn, timingOf } from './timing.ts'

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
  /** Of the model after the evaluate round. */
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
  | 'expired-already'

/** The same law as a round's: total, synchronous, refusals change nothing. */
export function stepRun(run: Run | undefined, event: RunEvent): Result<Run, RunRefusal> {
  if (event.kind === 'created') return run ? refuse('run-exists') : accept(create(event.spec, event.at))
  if (!run) return refuse('no-round')
  const at = event.at
  assert(at >= run.at, 'time never goes back in a log')
  switch (event.kind) {
    case 'held':
      return run.phase === 'funding' ? accept(goOn({ ...run, at })) : refuse('not-owed')
    case 'opened': {
      if (!owes(run, { kind: 'open', round: event.round })) return refuse('not-owed')
      const opened = openedBy(run, event.round, event.plan, at)
      return accept({ ...run, at, round: openSelection(opened, event.invited, run.attendance) })
    }
    case 'recounted': {
      if (!owes(run, { kind: 'recount', round: event.round })) return refuse('not-owed')
      return accept(goOn({ ...amend(run, event.round, { aborted: event.record }), at, unrecorded: null }))
    }
    case 'resumed':
      return run.phase === 'paused' ? accept(goOn({ ...run, at, failures: 0 })) : refuse('not-paused')
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

/** What is owed to others is done first: a sum that is being made, a budget that is being reserved, a record. */
function stop(run: Run, reason: string): Result<Run, RunRefusal> {
  if (run.phase === 'ended' || run.phase === 'finishing') return refuse('run-ended')
  if (run.stopping !== null) return refuse('run-stopped', run.stopping)
  const stopping = { ...run, stopping: reason }
  if (run.round) return accept(conclude({ ...stopping, round: cutShort(run.round, 'run-stopped', run.at) }))
  return accept(run.phase === 'funding' || run.unrecorded ? stopping : goOn(stopping))
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

/** The one place that ends a round's hold on the run. */
function conclude(run: Run): Run {
  const { round } = run
  if (round?.phase !== 'aborted' && round?.phase !== 'closed') return run
  const past = [...run.past, pastOf(round)]
  const attendance = run.spec.purpose === 'ask' ? run.attendance : attendanceAfter(run.attendance, round)
  const next = { ...run, round: undefined, past, attendance, endings: withEnding(run.endings, round) }
  if (round.phase === 'aborted') return { ...next, unrecorded: round, failures: run.failures + 1, learned: [] }
  const { manifest: parent, model, memory, evaluation, purpose, took } = round
  return goOn({
    ...{ ...next, parent, model, memory, failures: 0, learned: learn(run.learned, took) },
    owing: round.receipts === 'overdue' ? [...run.owing, round.round] : run.owing,
    // Inputs are spent by the model they were made from: as long as that stays, so does what became of them.
    endings: model === run.model ? next.endings : [],
    trained: run.trained + (purpose === 'train' ? 1 : 0),
    evaluation: purpose === 'evaluate' ? evaluation : run.evaluation,
  })
}

function withEnding(endings: readonly Ending[], { round, cohort, session }: Closed | Aborted): readonly Ending[] {
  return cohort && session ? [...endings, { round, cohort, session }].slice(-ENDINGS_MAX) : endings
}

function pastOf(round: Closed | Aborted): Past {
  const { round: number, purpose, openedAt, endedAt, seats = [] } = round
  const seated = { cohort: seats.length, reports: seats.filter(hasReported).length }
  const common = { round: number, purpose, aborted: null, ...seated, openedAt, endedAt }
  return round.phase === 'closed'
    ? { ...common, manifest: round.manifest, receipts: round.receipts, reason: null, endedIn: null }
    : { ...common, manifest: null, receipts: null, reason: round.reason, endedIn: round.endedIn }
}

/** The one place that says what a run does next, when nothing is open. */
function goOn(run: Run): Run {
  if (isDone(run) || run.stopping !== null || run.past.length >= ROUNDS_MAX) return { ...run, phase: 'finishing' }
  if (!hasFailed(run)) return { ...run, phase: 'running' }
  return { ...run, phase: run.spec.onFailures === 'pause' ? 'paused' : 'finishing' }
}

/** When the run next moves by itself. */
export function nextDeadline(run: Run): Millis | undefined {
  return run.round && deadlineOf(run.round)
}

/** Of the next round, or of the one that is open. */
export function purposeOf({ spec, trained }: Pick<Run, 'spec' | 'trained'>): Purpose {
  if (spec.purpose === 'ask') return 'ask'
  return trained < spec.planned ? 'train' : 'evaluate'
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
    ...{ trained: 0, failures: 0, stopping: null, model, memory, parent: null, endings: [], evaluation: null },
    ...{ manifest: null, createdAt: at, endedAt: null, expired: 0, cleared: 0, paid: 0n, released: 0n },
  }
}

function openedBy(run: Run, round: RoundNumber, plan: Cid, at: Millis): Opened {
  const { cohort: rule, secure } = run.spec
  const terms = { cohortSeed: seedOf(run, round), rule, timing: timingFor(run), secure }
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
