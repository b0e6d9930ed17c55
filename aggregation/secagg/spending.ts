import { equalBytes } from '#protocol/bytes.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Params, Said } from './messages.ts'
import {
  type CertificateRefusal,
  checkCertificate,
  type Session,
  type Sharing,
  type Survival,
  speaker,
} from './session.ts'

/**
 * R5: an input is spent when its masked vector leaves, and a sum of it may be opened without the member's own doing. A
 * member keeps one record per session that an input went into, written before masking, and goes into another session with
 * the same key only when it is shown how each of those ended.
 *
 * The key is the model that the update was trained on, or the dataset's version for statistics; never anything that the
 * coordinator can vary.
 */
export type Spending = { readonly inputKey: string; readonly sid: Bytes }

/** How one recorded session ended. */
export type Ending =
  | { readonly kind: 'abandoned'; readonly session: Session; readonly abandons: readonly Said<'Abandon'>[] }
  | { readonly kind: 'certified'; readonly survival: Survival; readonly certificate: Said<'QuorumCert'> }
  /** By a certificate that the member itself checked then, and kept the set of. */
  | { readonly kind: 'witnessed'; readonly sid: Bytes; readonly members: ReadonlySet<NodeId> }

/** What R5 allows this time: the sets in which an input of this key was summed before. */
export type Freshness = {
  readonly certified: readonly ReadonlySet<NodeId>[]
  /** The member was in a certified sum: its next input of this key is trained afresh, or goes into that very set again. */
  readonly mustBeFresh: boolean
  /** The input would be the very same again: only a set that was summed before may have it. */
  readonly isRepeat: boolean
}
/** For an input that no session has seen. */
export const UNSPENT: Freshness = { certified: [], mustBeFresh: false, isRepeat: false }

export type SpendingRefusal = 'input-spent' | 'too-few-abandoned' | 'too-many-sums' | 'sums-too-alike'

/** Whether an input may go into another session, and under which conditions. */
export function maySpend(
  own: NodeId,
  records: readonly Spending[],
  endings: readonly Ending[],
): Result<Freshness, SpendingRefusal | CertificateRefusal> {
  const certified = new Map<string, ReadonlySet<NodeId>>()
  for (const { sid } of records) {
    const ending = endings.find((one) => equalBytes(sidOf(one), sid))
    if (!ending) return refuse('input-spent', 'nothing shows how a session with this input ended')
    if (ending.kind === 'abandoned') {
      if (!isAbandoned(ending.session, ending.abandons)) return refuse('too-few-abandoned')
      continue
    }
    if (ending.kind === 'certified') {
      const checked = checkCertificate(ending.survival, ending.certificate)
      if (!checked.ok) return checked
    }
    const ids = ending.kind === 'certified' ? namesOf(ending.survival) : ending.members
    certified.set([...ids].sort().join(), ids)
  }
  if (certified.size > 2) return refuse('too-many-sums', 'an input is in at most two sums')
  const sets = [...certified.values()]
  return accept({ certified: sets, mustBeFresh: sets.some((ids) => ids.has(own)), isRepeat: false })
}

/**
 * A set that was summed before, or one that differs from the only such set by more than the corrupt could fill. The very same
 * input in the same set again tells nothing that the first sum did not; in another set it would take itself out of a
 * difference that a fresh one stays in.
 */
export function mayConfirm(freshness: Freshness, survival: Survival): Result<void, SpendingRefusal> {
  return maySum(freshness, survival.sharing, namesOf(survival))
}

/** The same of U2, before an input is spent on it: where all of it survives, its members could not confirm that. */
export function mayMask(freshness: Freshness, sharing: Sharing): Result<void, SpendingRefusal> {
  return maySum(freshness, sharing, namesIn(sharing, sharing.keys))
}

function maySum(
  { certified, isRepeat }: Freshness,
  { session }: Sharing,
  ids: ReadonlySet<NodeId>,
): Result<void, SpendingRefusal> {
  const differences = certified.map((before) => ids.symmetricDifference(before).size)
  if (differences.length === 0 || differences.includes(0)) return accept(undefined)
  if (differences.length > 1) return refuse('too-many-sums', 'an input is in at most two sums')
  if (isRepeat) return refuse('sums-too-alike', 'the same input again, with others than before')
  const { C } = session.params
  const [difference = 0] = differences
  if (difference >= C + 2) return accept(undefined)
  return refuse('sums-too-alike', `the sums differ by ${difference} members, at least ${C + 2} would hide one`)
}

/**
 * An abandonment certificate: so many have erased what they held that no sum of the session can be opened any more.
 * n + C − q + 1 that never confirmed leave fewer than q to sign, C liars among them included; n − t + C + 1 of any kind
 * leave too few shares.
 */
export function isAbandoned(session: Session, abandons: readonly Said<'Abandon'>[]): boolean {
  const all = new Set<number>()
  const unconfirmed = new Set<number>()
  for (const said of abandons) {
    if (!speaker(session, said).ok) continue
    all.add(said.body.u)
    if (!said.body.confirmed) unconfirmed.add(said.body.u)
  }
  return isEnough(session.members.length, session.params, { all: all.size, unconfirmed: unconfirmed.size })
}

/** The same by numbers. @param n members of the roster */
export function isEnough(
  n: number,
  { q, t, C }: Pick<Params, 'q' | 't' | 'C'>,
  abandoned: { readonly all: number; readonly unconfirmed: number },
): boolean {
  return abandoned.unconfirmed >= n + C - q + 1 || abandoned.all >= n - t + C + 1
}

function sidOf(ending: Ending): Bytes {
  switch (ending.kind) {
    case 'abandoned':
      return ending.session.sid
    case 'certified':
      return ending.survival.sharing.session.sid
    case 'witnessed':
      return ending.sid
  }
}

/** The members behind a sum. */
export function namesOf({ sharing, inputs }: Survival): ReadonlySet<NodeId> {
  return namesIn(sharing, inputs)
}

function namesIn({ session }: Sharing, of: ReadonlyMap<number, unknown>): ReadonlySet<NodeId> {
  return new Set(session.members.filter(({ u }) => of.has(u)).map(({ id }) => id))
}
