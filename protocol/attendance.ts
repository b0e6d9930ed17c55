import { count } from './codec.ts'
import type { Millis, NodeId, Round } from './ids.ts'
import { ATTENDANCES_MAX, PHASE_MILLIS_MAX } from './limits.ts'
import type { SeatRecord } from './manifest.ts'

/** What a run remembers of a node that asked for a seat: how it kept its seats, and how long it has gone without one. */
export type Attendance = {
  readonly node: NodeId
  /** Of its last seats, the latest last: whether it gave what it owed. */
  readonly kept: readonly boolean[]
  /** Draws in a row that it was in and came away from without a seat. */
  readonly passed: number
  /** From its seat to its report, of the last reports. */
  readonly paces: readonly Millis[]
  /** The last round that it was a candidate of. */
  readonly round: Round
}

/** Long enough to tell a node that fails from one that failed once; short enough that a node that was mended gets over it. */
const SEATS_REMEMBERED = 8
/** A middle one of so few is not moved by one slow day. */
const PACES_REMEMBERED = 5
/** More patience than this changes nothing: `ticketsOf`. */
const PASSED_MAX = 3

/** The same in numbers, as a draw goes by it and its record tells it. */
export const attendanceFields = {
  /** Of its last seats in this run, at most eight: all, and those that it gave what it owed for. */
  taken: count(SEATS_REMEMBERED),
  delivered: count(SEATS_REMEMBERED),
  passed: count(PASSED_MAX),
  /** The middle one of its last paces; null where the draw is not paced, or it has given no report yet. */
  paceMillis: count(PHASE_MILLIS_MAX).nullable(),
} as const

export type Attended = {
  readonly taken: number
  readonly delivered: number
  readonly passed: number
  readonly paceMillis: Millis | null
}

export const NEWCOMER: Attended = { taken: 0, delivered: 0, passed: 0, paceMillis: null }

export function attended({ kept, passed, paces }: Attendance, paced: boolean): Attended {
  const middle = paces.toSorted((a, b) => a - b)[(paces.length - 1) >> 1]
  const delivered = kept.filter(Boolean).length
  return { taken: kept.length, delivered, passed, paceMillis: paced ? (middle ?? null) : null }
}

/** What became of one seat. */
export type Kept = {
  /** Null where it was not for the node to decide. */
  readonly kept: boolean | null
  readonly paceMillis: Millis | null
}

/** Reasons that are the coordinator's alone to give, and that say nothing against the node. */
const BLAMELESS: ReadonlySet<string> = new Set([
  // The others failed first.
  'round-ended',
  // Either the dealer lied or whoever complained of it: a member could else take another's good name.
  'keys-in-dispute',
])

/** Whether a seat was kept, as a manifest tells of it: whoever reported did, unless something is said against it. */
export function isKept({ update, reason }: Pick<SeatRecord, 'update' | 'reason'>): boolean | null {
  if (reason === null) return update !== null
  return BLAMELESS.has(reason) ? null : false
}

/** A node's own reason for leaving: with the coordinator's words it would clear itself. */
export function leavingWith(reason: string): string {
  return BLAMELESS.has(reason) ? 'left' : reason
}

/** A round's draw and what came of it. */
export type Sitting = {
  readonly round: Round
  /** Ascending. */
  readonly candidates: readonly NodeId[]
  readonly seats: ReadonlyMap<NodeId, Kept>
}

/**
 * What is remembered after a round: a pure function of the draws so far, so that anyone with their records comes to the
 * same. Ascending by node.
 */
export function attend(before: readonly Attendance[], { round, candidates, seats }: Sitting): readonly Attendance[] {
  const known = new Map(before.map((one) => [one.node, one]))
  for (const node of candidates) {
    const one = known.get(node) ?? { node, kept: [], passed: 0, paces: [], round }
    known.set(node, { ...one, ...after(one, seats.get(node)), round })
  }
  const all = [...known.values()].sort((a, b) => (a.node < b.node ? -1 : 1))
  const excess = all.length - ATTENDANCES_MAX
  if (excess <= 0) return all
  const forgotten = new Set(all.toSorted((a, b) => a.round - b.round).slice(0, excess))
  return all.filter((one) => !forgotten.has(one))
}

function after({ kept, passed, paces }: Attendance, seat: Kept | undefined) {
  if (!seat) return { passed: Math.min(passed + 1, PASSED_MAX) }
  if (seat.kept === null) return {}
  return {
    kept: [...kept, seat.kept].slice(-SEATS_REMEMBERED),
    passed: 0,
    paces: seat.paceMillis === null ? paces : [...paces, seat.paceMillis].slice(-PACES_REMEMBERED),
  }
}
