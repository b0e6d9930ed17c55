import { z } from 'zod'
import { assert } from '#protocol/assert.ts'
import {
  amountField,
  bytesField,
  cidField,
  count,
  decode,
  encode,
  millisField,
  reasonField,
  runIdField,
} from '#protocol/codec.ts'
import type { Amount, Bytes, Cid, Millis, Round as RoundNumber } from '#protocol/ids.ts'
import { COHORT_MAX, ENDINGS_MAX, EVENT_BYTES_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import type { Evaluation } from '#protocol/manifest.ts'
import {
  cohortSchema,
  maskingField,
  type Purpose,
  populationField,
  secureSchema,
  timingSchema,
} from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { cohortSeed } from '#protocol/seeds.ts'
import { isConfirmed } from './round/consistency.ts'
import { type RoundEvent, roundEvents } from './round/events.ts'
import { deadlineOf, type Opened, type Round, type RoundRefusal, seatOf, stepRound } from './round/round.ts'
import { openSelection } from './round/selection.ts'
import type { Ending } from './round/session.ts'

/**
 * A run: its rounds one after another, each starting from the last model. One log stream holds it; its events are those
 * of its rounds and the six here. After the planned training rounds comes one evaluate round, then the run's record; a
 * question's record comes after the first round that closes.
 */
export const runSpecSchema = z.strictObject({
  run: runIdField,
  /** To train the planned rounds, or to ask one question until a round answers it. */
  purpose: z.enum(['train', 'ask']),
  /** The task or the question; a question also stands where the genesis does, since there is no model. */
  task: cidField,
  /** Copied from the task, so that replay needs no blob; for questions, theirs. */
  taskSeed: bytesField(32),
  genesis: cidField,
  /** The empty memory that the strategy starts from. */
  memory: cidField,
  planned: count(ROUNDS_MAX - 1, 1),
  budget: amountField,
  population: populationField,
  masking: maskingField,
  /** Null where nothing is masked. */
  secure: secureSchema.nullable(),
  cohort: cohortSchema,
  timing: timingSchema,
  /** Aborted rounds in a row after which the run ends as failed. */
  failuresMax: count(1000, 1),
  /** The API request that made it: a repeat of the key answers this run again. */
  idempotency: z.strictObject({ key: z.string().max(255), body: bytesField(32) }).nullable(),
})
export type RunSpec = z.output<typeof runSpecSchema>

const runEvents = [
  z.strictObject({ kind: z.literal('created'), at: millisField, spec: runSpecSchema }),
  /** The budget is reserved. */
  z.strictObject({ kind: z.literal('held'), at: millisField }),
  /** A round opened under a stored, sealed plan, with so many nodes invited. */
  z.strictObject({
    kind: z.literal('opened'),
    at: millisField,
    round: count(ROUNDS_MAX, 1),
    plan: cidField,
    invited: count(COHORT_MAX),
  }),
  /** An aborted round's part went back. */
  z.strictObject({ kind: z.literal('released'), at: millisField, round: count(ROUNDS_MAX, 1) }),
  /** The run's record is sealed and whole. */
  z.strictObject({
    kind: z.literal('finished'),
    at: millisField,
    manifest: cidField,
    paid: amountField,
    released: amountField,
    reason: reasonField.nullable(),
  }),
] as const

const runEventSchema = z.discriminatedUnion('kind', [...runEvents, ...roundEvents])
export type RunEvent = z.output<typeof runEventSchema>

export function encodeEvent(event: RunEvent): Bytes {
  const bytes = encode(runEventSchema, event)
  assert(bytes.length <= EVENT_BYTES_MAX, 'an event is at most 4 KiB')
  return bytes
}

/** Throws on an entry that this version cannot read: the log is ours, and guessing would invent history. */
export function decodeEvent(entry: Bytes): RunEvent {
  const event = decode(runEventSchema, entry, EVENT_BYTES_MAX)
  if (!event.ok) throw new Error(`the log holds an entry that cannot be read: ${event.refusal} ${event.detail ?? ''}`)
  return event.value
}

/** What is kept of a round that is over. */
export type Past = {
  readonly round: RoundNumber
  readonly purpose: Purpose
  readonly manifest: Cid | null
  readonly receipts: Cid | null | 'overdue'
  readonly reason: string | null
  readonly released: boolean
}

export type Run = {
  readonly spec: RunSpec
  readonly at: Millis
  readonly phase: 'funding' | 'running' | 'finishing' | 'ended'
  /** Rounds that are over; round n is at n - 1. */
  readonly past: readonly Past[]
  /** Those of them with a settlement or a release still to come. */
  readonly owing: readonly RoundNumber[]
  readonly round: Round | undefined
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
  /** Of the budget, once the run has ended; both are zero before. */
  readonly paid: Amount
  readonly released: Amount
}

export type RunRefusal = RoundRefusal | 'no-round' | 'run-ended' | 'run-exists' | 'not-owed'

/** The same law as a round's: total, synchronous, refusals change nothing. */
export function stepRun(run: Run | undefined, event: RunEvent): Result<Run, RunRefusal> {
  if (event.kind === 'created') return run ? refuse('run-exists') : accept(create(event.spec, event.at))
  if (!run) return refuse('no-round')
  const at = event.at
  assert(at >= run.at, 'time never goes back in a log')
  switch (event.kind) {
    case 'held':
      return run.phase === 'funding' ? accept({ ...run, at, phase: 'running' }) : refuse('not-owed')
    case 'opened': {
      if (!owes(run, { kind: 'open', round: event.round })) return refuse('not-owed')
      return accept({ ...run, at, round: openSelection(openedBy(run, event.round, event.plan, at), event.invited) })
    }
    case 'released': {
      if (!owes(run, { kind: 'release', round: event.round })) return refuse('not-owed')
      return accept({ ...amend(run, event.round, { released: true }), at })
    }
    case 'finished':
      if (!owes(run, { kind: 'finish' })) return refuse('not-owed')
      return accept({
        ...run,
        at,
        phase: 'ended',
        manifest: event.manifest,
        paid: event.paid,
        released: event.released,
      })
    default:
      return stepOpen(run, event)
  }
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

/** The one place that ends a round's hold on the run, and the training. */
function conclude(run: Run): Run {
  const round = run.round
  if (round?.phase !== 'aborted' && round?.phase !== 'closed') return run
  const past = pastOf(round)
  const owing = isOwing(past) ? [...run.owing, past.round] : run.owing
  const next = { ...run, round: undefined, past: [...run.past, past], owing, endings: withEnding(run.endings, round) }
  if (round.phase === 'aborted') return rest(next)
  const { manifest, model, memory, evaluation } = round
  // Inputs are spent by the model they were made from: as long as that stays, so does what became of them.
  const endings = model === run.model ? next.endings : []
  const closed = { ...next, parent: manifest, model, memory, endings }
  return rest(round.purpose === 'evaluate' ? { ...closed, evaluation } : closed)
}

function withEnding(
  endings: readonly Ending[],
  { round, cohort, session }: Extract<Round, { phase: 'closed' | 'aborted' }>,
): readonly Ending[] {
  return cohort && session ? [...endings, { round, cohort, session }].slice(-ENDINGS_MAX) : endings
}

function isOwing(past: Past): boolean {
  return past.receipts === 'overdue' || (past.manifest === null && past.purpose === 'train' && !past.released)
}

function rest(run: Run): Run {
  const done = run.spec.purpose === 'ask' ? run.parent !== null : run.past.length > run.spec.planned
  const over = done || failure(run) !== null
  return over ? { ...run, phase: 'finishing' } : run
}

function pastOf(round: Extract<Round, { phase: 'closed' | 'aborted' }>): Past {
  const { round: number, purpose } = round
  return round.phase === 'closed'
    ? { round: number, purpose, manifest: round.manifest, receipts: round.receipts, reason: null, released: false }
    : { round: number, purpose, manifest: null, receipts: null, reason: round.reason, released: false }
}

/** Why the run is a failure, or null. */
export function failure(run: Run): string | null {
  const last = run.past.slice(-run.spec.failuresMax)
  if (last.length === run.spec.failuresMax && last.every((past) => past.manifest === null))
    return `${last.length} rounds in a row were aborted, the last one: ${last.at(-1)?.reason}`
  if (run.spec.purpose === 'ask') return null
  const trained = run.past.some((past) => past.purpose === 'train' && past.manifest !== null)
  return run.past.length > run.spec.planned && !trained ? 'no training round closed' : null
}

/** What the world still has to do. Each is answered by an event and owed until that event is in the log. */
export type Obligation =
  | { readonly kind: 'hold' | 'finish' }
  | { readonly kind: 'open' | 'aggregate' | 'settle' | 'release' | SessionWork; readonly round: RoundNumber }

/** What the coordinator itself says in a session: the roster, U2, the second U2, U3, the certificate. */
export type SessionWork = 'enrol' | 'share' | 'judge' | 'survey' | 'certify'

/**
 * Read off the state, so that a step and a replay owe the same: a step's effects are what is owed after it and was not
 * before, and `recover` pushes again whatever is owed still.
 */
export function obligations(run: Run): readonly Obligation[] {
  const owed: Obligation[] = run.owing.map((round) => {
    const kind = run.past[round - 1]?.receipts === 'overdue' ? 'settle' : 'release'
    return { kind, round }
  })
  switch (run.phase) {
    case 'funding':
      return [...owed, { kind: 'hold' }]
    case 'running':
      return [...owed, ...roundObligations(run)]
    case 'finishing':
      return owed.length > 0 ? owed : [{ kind: 'finish' }]
    case 'ended':
      return owed
  }
}

function roundObligations({ round, past }: Run): readonly Obligation[] {
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

/** When the run next moves by itself. */
export function nextDeadline(run: Run): Millis | undefined {
  return run.round && deadlineOf(run.round)
}

export function purposeOf(spec: RunSpec, round: RoundNumber): Purpose {
  if (spec.purpose === 'ask') return 'ask'
  return round > spec.planned ? 'evaluate' : 'train'
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
    spec,
    at,
    phase: 'funding',
    past: [],
    owing: [],
    round: undefined,
    model,
    memory,
    parent: null,
    endings: [],
    evaluation: null,
    manifest: null,
    createdAt: at,
    paid: 0n,
    released: 0n,
  }
}

function openedBy({ spec, model }: Run, round: RoundNumber, plan: Cid, at: Millis): Opened {
  const { cohort: rule, timing, secure } = spec
  const seed = seedOf({ spec, model }, round)
  return { round, purpose: purposeOf(spec, round), plan, cohortSeed: seed, rule, timing, secure, openedAt: at }
}

function amend(run: Run, round: RoundNumber, change: Partial<Past>): Run {
  const past = { ...(run.past[round - 1] as Past), ...change }
  const owing = isOwing(past) ? run.owing : run.owing.filter((other) => other !== round)
  return { ...run, past: run.past.with(round - 1, past), owing }
}
