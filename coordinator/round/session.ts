import type { SecureRule } from '#aggregation/secagg/parameters.ts'
import { leastSurvivors } from '#aggregation/secagg/session.ts'
import { isEnough } from '#aggregation/secagg/spending.ts'
import { assert } from '#protocol/assert.ts'
import type { Cid, Millis, NodeId, Round as RoundNumber } from '#protocol/ids.ts'
import type { Endings } from '#protocol/manifest.ts'

/**
 * What is known of a masked round's one session of secure aggregation, by seat: member u of the roster is seat u − 1. What
 * was said is kept as blobs; here are their names. The arithmetic over them is the effects'; the round counts.
 */
export type Session = {
  readonly rule: SecureRule
  /** When ShareKeys, MaskedInput, Confirm and Unmask are due, as the roster says. */
  readonly deadlines: Deadlines
  readonly adverts: readonly Cid[]
  /** The signed roster; null until it is made. */
  readonly roster: Cid | null
  readonly dealt: readonly (Dealt | null)[]
  /** U2 in force. */
  readonly shared: SharedKeys | null
  /** What a member of U2 said of its boxes. */
  readonly answers: readonly (Answer | null)[]
  readonly survivors: Cid | null
  readonly confirms: readonly (Cid | null)[]
  readonly certificate: Cid | null
  readonly unmasks: readonly (Cid | null)[]
  /** Why it is not there any more after its input was in: its own reason, or that its link was lost. */
  readonly away: readonly (string | null)[]
  readonly abandons: readonly (Abandoned | null)[]
}

export type Deadlines = readonly [keys: Millis, input: Millis, confirm: Millis, unmask: Millis]
/** Signed ShareKeys, and the boxes for all others, which nobody but the coordinator may read. */
export type Dealt = { readonly keys: Cid; readonly parcel: Cid }
export type SharedKeys = {
  /** Signed U2. */
  readonly cid: Cid
  readonly version: 1 | 2
  /** The list, by seat, of what each member got from all others. */
  readonly parcels: Cid
  /** By seat: whether it is in U2. */
  readonly members: readonly boolean[]
}
export type Answer = 'agreed' | { readonly complaints: Cid }
export type Abandoned = { readonly abandon: Cid; readonly confirmed: boolean }

export function openSession(rule: SecureRule, deadlines: Deadlines, adverts: readonly Cid[]): Session {
  const none = adverts.map(() => null)
  return {
    ...{ rule, deadlines, adverts, roster: null, dealt: none, shared: null, answers: none, survivors: null },
    ...{ confirms: none, certificate: null, unmasks: none, away: none, abandons: none },
  }
}

/** Fewest members of U2 and of U3. */
export function leastMembers({ rule }: Session): number {
  return leastSurvivors(rule)
}

/** How many seats have said it. */
export function countOf(list: readonly unknown[]): number {
  return list.reduce<number>((sum, item) => sum + (item ? 1 : 0), 0)
}

/** How a session over the present model ended, for the next plan to tell. */
export type Ending = {
  readonly round: RoundNumber
  readonly cohort: readonly NodeId[]
  readonly session: Session
}

/** Whether so many abandoned the session that no sum of it can be opened any more. */
export function isAbandoned({ rule, abandons }: Session): boolean {
  const all = countOf(abandons)
  const unconfirmed = countOf(abandons.map((one) => one && !one.confirmed))
  return isEnough(abandons.length, rule, { all, unconfirmed })
}

/** As a plan tells of it. */
export function endingOf({ round, session }: Ending): Endings[number] {
  const { roster, shared, survivors, certificate, abandons } = session
  assert(roster && shared, 'an input can have gone only into a session with a U2')
  const certified = survivors && certificate ? { shared: shared.cid, survivors, certificate } : null
  return { round, roster, certified, abandons: abandons.flatMap((one) => (one ? [one.abandon] : [])) }
}
