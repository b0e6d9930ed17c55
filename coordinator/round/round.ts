import type { Attendance } from '#protocol/attendance.ts'
import type { Cid, Millis, NodeId, Round as RoundNumber } from '#protocol/ids.ts'
import type { EndedIn, Evaluation } from '#protocol/manifest.ts'
import type { CohortRule, Purpose, Secure, Timing } from '#protocol/plan.ts'
import { type Result, refuse } from '#protocol/result.ts'
import type { Absence, Selection as Selected } from '#protocol/selection.ts'
import { stepAbandonment } from './abandonment.ts'
import { stepAggregation } from './aggregation.ts'
import { stepClosed } from './closed.ts'
import { stepCollecting } from './collecting.ts'
import { stepConsistency } from './consistency.ts'
import type { RoundEvent } from './events.ts'
import { checkRound } from './invariants.ts'
import { stepKeys } from './keys.ts'
import { stepSelection } from './selection.ts'
import type { Session } from './session.ts'
import { stepSettlement } from './settlement.ts'
import { stepUnmasking } from './unmasking.ts'

/**
 * One round as arithmetic: `step(round, event)` is total and synchronous. Time and chance arrive inside events. A refused
 * event changes nothing and is not logged; an accepted one is appended, and the log is the state. What the world is to
 * do next is not returned here but read off the state (../obligations.ts), so replay cannot owe other things.
 */
export function stepRound(round: Round, event: RoundEvent): Result<Round, RoundRefusal> {
  if (event.round !== round.round)
    return refuse(event.round < round.round ? 'past-round' : 'future-round', `round ${round.round} is open`)
  const next = stepPhase(round, event)
  if (next.ok) checkRound(round, next.value, event.at)
  return next
}

function stepPhase(round: Round, event: RoundEvent): Result<Round, RoundRefusal> {
  switch (round.phase) {
    case 'selection':
      return stepSelection(round, event)
    case 'keys':
      return stepKeys(round, event)
    case 'reporting':
    case 'evaluation':
      return stepCollecting(round, event)
    case 'consistency':
      return stepConsistency(round, event)
    case 'unmasking':
      return stepUnmasking(round, event)
    case 'abandonment':
      return stepAbandonment(round, event)
    case 'aggregation':
      return stepAggregation(round, event)
    case 'settlement':
      return stepSettlement(round, event)
    case 'closed':
      return stepClosed(round, event)
    case 'aborted':
      return refuse('round-over')
  }
}

export type RoundRefusal =
  | 'past-round'
  | 'future-round'
  | 'wrong-phase'
  | 'round-over'
  | 'already-joined'
  | 'already-reported'
  | 'not-in-cohort'
  | 'seat-gone'
  | 'selection-full'
  | 'returned-too-often'
  | 'advert-missing'
  | 'not-a-member'
  | 'not-a-survivor'
  | 'said-already'
  | 'not-due'

/** What every phase knows. */
export type Opened = {
  readonly round: RoundNumber
  readonly purpose: Purpose
  /** The sealed plan. */
  readonly plan: Cid
  readonly cohortSeed: Uint8Array
  readonly rule: CohortRule
  readonly timing: Timing
  /** How the round is masked; null where it is not. */
  readonly secure: Secure | null
  /** Whether it ends as soon as too many have declined for good. */
  readonly heedsRefusals: boolean
  readonly openedAt: Millis
  /** How long its nodes took for each kind of answer, as far as it got. */
  readonly took: Took
}

/** In the phase's own words; what is not over yet is not there. */
export type Took = Partial<Pick<Timing, LearnedPhase>>
export type LearnedPhase =
  | 'selectionMillis'
  | 'keysMillis'
  | 'reportingMillis'
  | 'consistencyMillis'
  | 'unmaskingMillis'

/** Who wants a seat. */
export type Joined = {
  readonly node: NodeId
  readonly operator: string | null
  /** Of who joined a masked round. */
  readonly advert: Cid | null
}

export type Selection = Opened & {
  readonly phase: 'selection'
  /** Linked when the round opened: when all of them have answered, nobody is waited for. */
  readonly invited: number
  /** What the draw goes by, of the rounds before. */
  readonly attendance: readonly Attendance[]
  /** Ascending by node, and so are those who declined or left. */
  readonly joined: readonly Joined[]
  readonly declined: readonly Absence[]
  /** How often a node joined again after it had declined or left. */
  readonly returns: Readonly<Record<NodeId, number>>
  readonly endsAt: Millis
}

export type SeatState =
  | 'waiting'
  | { readonly gone: string }
  | { readonly update: Cid; readonly vector: Cid; readonly trainMillis: Millis; readonly at: Millis }

/** The cohort ascending by key: a node's seat is its place. A masked round has a session besides. */
export type Seated = {
  /** How it was drawn. */
  readonly selection: Selected
  readonly cohort: readonly NodeId[]
  readonly seats: readonly SeatState[]
  readonly session: Session | null
}
export type MaskedSeated = Seated & { readonly session: Session }

/** Roster and U2 are being signed (`enrolling`, `sharing`, `judging`), or the cohort deals its keys and agrees on them. */
export type Keys = Opened &
  MaskedSeated & {
    readonly phase: 'keys'
    readonly step: 'enrolling' | 'dealing' | 'sharing' | 'agreeing' | 'judging'
    readonly startedAt: Millis
    readonly endsAt: Millis
  }

export type Collecting = Opened &
  Seated & {
    readonly phase: 'reporting' | 'evaluation'
    readonly waiting: number
    readonly reported: number
    readonly startedAt: Millis
    readonly endsAt: Millis
    /** The quorum is in, and `endsAt` is how long the others still have. */
    readonly closing: boolean
  }

/** U3 is signed, and then confirmed by a quorum of it. */
export type Consistency = Opened &
  MaskedSeated & { readonly phase: 'consistency'; readonly startedAt: Millis; readonly endsAt: Millis }

/** The certificate is out: the survivors give the shares that take the masks off their sum. */
export type Unmasking = Opened &
  MaskedSeated & { readonly phase: 'unmasking'; readonly startedAt: Millis; readonly endsAt: Millis }

/** The round came to nothing after inputs may have left: members erase what they hold, so that the next can use theirs. */
export type Abandonment = Opened & MaskedSeated & Failed & { readonly phase: 'abandonment'; readonly endsAt: Millis }

/** Why a round comes to nothing. */
export type Failed = {
  readonly reason: string
  /** The phase in which that was certain. */
  readonly endedIn: EndedIn
  /** By seat, what one that reported did not do afterwards; none where nothing more was asked. */
  readonly lapses: readonly (string | null)[]
}

export type Aggregation = Opened &
  Seated & { readonly phase: 'aggregation'; readonly startedAt: Millis; readonly endsAt: Millis }

export type Aggregated = {
  /** The sealed round manifest. */
  readonly manifest: Cid
  readonly model: Cid
  readonly memory: Cid
  readonly evaluation: Evaluation
}

export type Settlement = Opened &
  Seated &
  Aggregated & { readonly phase: 'settlement'; readonly startedAt: Millis; readonly endsAt: Millis }

export type Closed = Opened &
  Seated &
  Aggregated & {
    readonly phase: 'closed'
    /** When the cohort was seated. */
    readonly startedAt: Millis
    /** The list of sealed receipts; null where nobody is paid; overdue while settlement still tries. */
    readonly receipts: Cid | null | 'overdue'
    readonly endedAt: Millis
  }

export type Aborted = Opened &
  Partial<Seated> &
  Failed & {
    readonly phase: 'aborted'
    /** Of the draw; where there was none, of those who had come. */
    readonly selection: Selected
    /** Of a masked round, also where its session is forgotten. */
    readonly roster: Cid | null
    readonly endedAt: Millis
  }

export type Round =
  | Selection
  | Keys
  | Collecting
  | Consistency
  | Unmasking
  | Abandonment
  | Aggregation
  | Settlement
  | Closed
  | Aborted

/** When the open phase ends by itself; undefined once the round is over. */
export function deadlineOf(round: Round): Millis | undefined {
  return round.phase === 'closed' || round.phase === 'aborted' ? undefined : round.endsAt
}

/** What every phase keeps of the one before. */
export function openedOf(of: Opened): Opened {
  const { round, purpose, plan, cohortSeed, rule, timing, secure, heedsRefusals, openedAt, took } = of
  return { round, purpose, plan, cohortSeed, rule, timing, secure, heedsRefusals, openedAt, took }
}

/** How long an answer took whose phase ends now: all that it was given, where some are still awaited. */
export function withAnswer<R extends Opened>(round: R, phase: LearnedPhase, tookMillis: Millis | 'all'): R {
  const longest = Math.max(round.took[phase] ?? 0, tookMillis === 'all' ? round.timing[phase] : tookMillis)
  return { ...round, took: { ...round.took, [phase]: longest } }
}

/** The seat of a node, or -1. */
export function seatOf(cohort: readonly NodeId[], node: NodeId): number {
  const place = placeOf(cohort, node, (other) => other)
  return cohort[place] === node ? place : -1
}

export function isAmong(list: readonly { readonly node: NodeId }[], node: NodeId): boolean {
  return list[placeOf(list, node, (other) => other.node)]?.node === node
}

/** Where a node is in an ascending list, or would be. */
export function placeOf<T>(list: readonly T[], node: NodeId, nodeOf: (item: T) => NodeId): number {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (nodeOf(list[middle] as T) < node) low = middle + 1
    else high = middle
  }
  return low
}

/** The seats whose updates count, in seat order. */
export function reportedSeats(
  seated: Pick<Seated, 'cohort' | 'seats'>,
): readonly { seat: number; node: NodeId; update: Cid; vector: Cid }[] {
  return seated.seats.flatMap((state, seat) => {
    if (!hasReported(state)) return []
    const { update, vector } = state
    return [{ seat, node: seated.cohort[seat] as NodeId, update, vector }]
  })
}

export function hasReported(state: SeatState | undefined): state is Exclude<SeatState, 'waiting' | { gone: string }> {
  return state !== undefined && state !== 'waiting' && 'update' in state
}
