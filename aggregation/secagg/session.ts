import { equalBytes } from '#protocol/bytes.ts'
import { isGenuine } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis, NodeId } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { vectorBytesOf } from '../vector.ts'
import { isSound } from './channel.ts'
import { type SessionId, sessionId } from './derive.ts'
import { type Body, bodyBytes, type Kind, type Params, type Said, SUITE_HYBRID, type Suite } from './messages.ts'
import { checkParameters, type ParameterRefusal } from './parameters.ts'

/**
 * What a roster opens, and what everybody checks of it: member, aggregator and public verifier use these same functions.
 * Members' indices are 1 … n in the order of their keys.
 */
export type Session = {
  readonly sid: SessionId
  readonly roster: Said<'Roster'>
  readonly suite: Suite
  readonly params: Params
  readonly coordinator: NodeId
  readonly members: readonly Member[]
}

export type Member = {
  readonly u: number
  readonly id: NodeId
  readonly cid: Cid
  readonly advert: Body<'Advert'>
  /** Public; 1 unless the advert has another. */
  readonly weight: number
}

export type AdvertRefusal =
  | 'wrong-advert'
  | 'advert-of-another-suite'
  | 'advert-of-another-round'
  | 'advert-expired'
  | 'wrong-weight'
  | 'bad-key'
export type SessionRefusal =
  | ParameterRefusal
  | AdvertRefusal
  | 'not-the-coordinator'
  | 'members-not-sorted'
  | 'deadlines-not-sorted'

/** @param adverts in the order of the roster's members */
export function openSession(
  roster: Said<'Roster'>,
  adverts: readonly Said<'Advert'>[],
  coordinator: NodeId,
): Result<Session, SessionRefusal> {
  if (roster.from !== coordinator) return refuse('not-the-coordinator', `signed by ${roster.from}`)
  const { suite, task, round, params, members: named, deadlines } = roster.body
  if (!ascending(named.map(({ id }) => id))) return refuse('members-not-sorted')
  if (!ascending(deadlines)) return refuse('deadlines-not-sorted')
  const rule = checkParameters(params, named.length)
  if (!rule.ok) return rule
  const terms = { suite, task, round, keysDue: deadlines[0], weightMax: params.quantiser.weightMax }
  const members: Member[] = []
  for (const [index, { id, advert: cid }] of named.entries()) {
    const advert = adverts[index]
    if (advert?.cid !== cid || advert.from !== id)
      return refuse('wrong-advert', `member ${index + 1} needs the advert ${cid}, by itself`)
    const checked = checkAdvert(advert, terms)
    if (!checked.ok) return checked
    members.push({ u: index + 1, id, cid, advert: advert.body, weight: advert.body.w ?? 1 })
  }
  return accept({ sid: sessionId(roster.hash), roster, suite, params, coordinator, members })
}

/** What a roster asks of every advert in it; the coordinator asks it before it makes one. */
export type AdvertTerms = Pick<Body<'Roster'>, 'suite' | 'task' | 'round'> & {
  readonly keysDue: Millis
  readonly weightMax: number
}

export function checkAdvert({ from, body }: Said<'Advert'>, terms: AdvertTerms): Result<void, AdvertRefusal> {
  const hybrid = terms.suite === SUITE_HYBRID
  if (body.id !== from) return refuse('wrong-advert', `${from} speaks for ${body.id}`)
  if (body.suite !== terms.suite || !body.cKemPk !== !hybrid || !body.sKemPk !== !hybrid)
    return refuse('advert-of-another-suite', from)
  if (body.task !== terms.task || body.round !== terms.round) return refuse('advert-of-another-round', from)
  if (body.exp < terms.keysDue) return refuse('advert-expired', from)
  if ((body.w ?? 1) > terms.weightMax) return refuse('wrong-weight', from)
  const keys = [
    { x25519: body.cPk, kem: body.cKemPk },
    { x25519: body.sPk, kem: body.sKemPk },
  ]
  return keys.every(isSound) ? accept(undefined) : refuse('bad-key', `of ${from}`)
}

export type SpeechRefusal = 'another-session' | 'not-a-member' | 'not-the-sender'

/** Who of the session says this: the message is of this session and its index is its sender's. */
export function speaker<K extends Kind>(
  session: Session,
  said: Said<K> & { readonly body: { readonly sid: Bytes; readonly u: number } },
): Result<Member, SpeechRefusal> {
  const { sid, u } = said.body
  if (!equalBytes(sid, session.sid)) return refuse('another-session')
  const member = session.members[u - 1]
  if (!member) return refuse('not-a-member', `${u} of ${session.members.length}`)
  return member.id === said.from ? accept(member) : refuse('not-the-sender', `member ${u} is ${member.id}`)
}

export type KeysRefusal = SpeechRefusal | 'wrong-recipients'

/** A dealer has committed to one share of each kind for every other member (R11). */
export function checkShareKeys(session: Session, said: Said<'ShareKeys'>): Result<Member, KeysRefusal> {
  const member = speaker(session, said)
  if (!member.ok) return member
  const others = session.members.filter(({ u }) => u !== member.value.u)
  const sound =
    others.length === said.body.to.length &&
    others.every(({ u }, index) => {
      const entry = said.body.to[index]
      return entry?.v === u && !entry.hM === !(session.suite === SUITE_HYBRID && member.value.u < u)
    })
  return sound ? member : refuse('wrong-recipients', `member ${member.value.u} names the others, ascending`)
}

/** U2: the members whose shares are out. */
export type Sharing = {
  readonly session: Session
  /** SHA-256 of the `Shared` body. */
  readonly hash: Bytes
  readonly said: Said<'Shared'>
  readonly keys: ReadonlyMap<number, Said<'ShareKeys'>>
}

type ListRefusal = 'not-the-coordinator' | 'another-session' | 'list-not-sorted' | 'too-few-members' | 'not-as-listed'
export type SharingRefusal = ListRefusal | KeysRefusal

/** @param keys of the listed members, in the list's order */
export function openSharing(
  session: Session,
  shared: Said<'Shared'>,
  keys: readonly Said<'ShareKeys'>[],
): Result<Sharing, SharingRefusal> {
  const refused = checkList(session, shared)
  if (refused) return refused
  const found = new Map<number, Said<'ShareKeys'>>()
  for (const [index, { u, cid }] of shared.body.list.entries()) {
    const said = keys[index]
    if (said?.cid !== cid || said.body.u !== u) return refuse('not-as-listed', `member ${u}'s shares are ${cid}`)
    const dealer = checkShareKeys(session, said)
    if (!dealer.ok) return dealer
    found.set(u, said)
  }
  return accept({ session, hash: shared.hash, said: shared, keys: found })
}

/** U3: the members whose inputs are in the sum. */
export type Survival = {
  readonly sharing: Sharing
  /** SHA-256 of the `Survivors` body: what is confirmed. */
  readonly hash: Bytes
  readonly inputs: ReadonlyMap<number, Said<'MaskedInput'>>
  /** U2 without U3, ascending. */
  readonly dropouts: readonly number[]
}

export type InputRefusal = SpeechRefusal | 'another-sharing' | 'not-sharing' | 'wrong-length' | 'wrong-publication'
export type SurvivalRefusal = ListRefusal | InputRefusal

/** A masked input is of this session and U2, by one of its members, and has the vector's length (R4). */
export function checkMaskedInput(sharing: Sharing, said: Said<'MaskedInput'>): Result<Member, InputRefusal> {
  const member = speaker(sharing.session, said)
  if (!member.ok) return member
  const { u, u2Hash, cid, bytes } = said.body
  if (!sharing.keys.has(u)) return refuse('not-sharing', `member ${u}`)
  if (!equalBytes(u2Hash, sharing.hash)) return refuse('another-sharing', `member ${u} masked for another U2`)
  if ((cid !== undefined) !== (sharing.session.roster.body.publish === 'full'))
    return refuse('wrong-publication', 'a vector is named by a link where all are public, and only there')
  const expected = vectorBytesOf(sharing.session.params.d)
  return bytes === expected ? member : refuse('wrong-length', `${bytes} bytes, not ${expected}`)
}

/** @param inputs of the listed members, in the list's order */
export function openSurvival(
  sharing: Sharing,
  survivors: Said<'Survivors'>,
  inputs: readonly Said<'MaskedInput'>[],
): Result<Survival, SurvivalRefusal> {
  const refused = checkList(sharing.session, survivors)
  if (refused) return refused
  if (!equalBytes(survivors.body.u2Hash, sharing.hash)) return refuse('another-sharing')
  const found = new Map<number, Said<'MaskedInput'>>()
  for (const [index, { u, cid }] of survivors.body.list.entries()) {
    const said = inputs[index]
    if (said?.cid !== cid || said.body.u !== u) return refuse('not-as-listed', `member ${u}'s input is ${cid}`)
    const member = checkMaskedInput(sharing, said)
    if (!member.ok) return member
    found.set(u, said)
  }
  const dropouts = [...sharing.keys.keys()].filter((u) => !found.has(u))
  return accept({ sharing, hash: survivors.hash, inputs: found, dropouts })
}

/** What holds for U2 and U3 alike: by the coordinator, of this session, ascending, and enough. */
function checkList(session: Session, said: Said<'Shared'> | Said<'Survivors'>) {
  if (said.from !== session.coordinator) return refuse('not-the-coordinator', `signed by ${said.from}`)
  if (!equalBytes(said.body.sid, session.sid)) return refuse('another-session')
  if (!ascending(said.body.list.map(({ u }) => u))) return refuse('list-not-sorted')
  const least = leastSurvivors(session.params)
  if (said.body.list.length < least) return refuse('too-few-members', `${said.body.list.length}, at least ${least}`)
  return undefined
}

/** |U2| and |U3| at least: a quorum, and two honest members besides the corrupt ones and oneself. */
export function leastSurvivors({ q, C }: Pick<Params, 'q' | 'C'>): number {
  return Math.max(q, C + 2)
}

export type CertificateRefusal =
  | 'not-the-coordinator'
  | 'another-session'
  | 'another-set'
  | 'too-few-signatures'
  | 'not-a-survivor'
  | 'list-not-sorted'
  | 'bad-signature'

/** At least q survivors signed this very U3: no other set of this session can have such a certificate (L1). */
export function checkCertificate(survival: Survival, cert: Said<'QuorumCert'>): Result<void, CertificateRefusal> {
  const { session } = survival.sharing
  if (cert.from !== session.coordinator) return refuse('not-the-coordinator', `signed by ${cert.from}`)
  if (!equalBytes(cert.body.sid, session.sid)) return refuse('another-session')
  if (!equalBytes(cert.body.u3Hash, survival.hash)) return refuse('another-set')
  return checkConfirmations(survival, cert.body.sigs)
}

function checkConfirmations(
  survival: Survival,
  sigs: Body<'QuorumCert'>['sigs'],
): Result<void, 'too-few-signatures' | 'not-a-survivor' | 'list-not-sorted' | 'bad-signature'> {
  const { session } = survival.sharing
  if (!ascending(sigs.map(({ u }) => u))) return refuse('list-not-sorted')
  if (sigs.length < session.params.q)
    return refuse('too-few-signatures', `${sigs.length}, at least ${session.params.q}`)
  for (const { u, sig } of sigs) {
    const member = session.members[u - 1]
    if (!member || !survival.inputs.has(u)) return refuse('not-a-survivor', `member ${u}`)
    const body = bodyBytes('Confirm', { sid: session.sid, u, u3Hash: survival.hash })
    if (!isGenuine({ from: member.id, type: 'Confirm', body, signature: sig }))
      return refuse('bad-signature', `member ${u}`)
  }
  return accept(undefined)
}

/** Strictly: nothing comes twice. */
function ascending(values: readonly (number | string)[]): boolean {
  return values.every((value, index) => index === 0 || (values[index - 1] as number | string) < value)
}
