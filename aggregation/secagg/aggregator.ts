import { sha256 } from '#crypto'
import { equalBytes } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { memberOf, promiseTo } from './agreement.ts'
import { boxHash } from './channel.ts'
import { maskKeys, type SessionId, selfCommitment, shareHash } from './derive.ts'
import type { Body, Parcel, Said } from './messages.ts'
import { type Member, type Session, type Sharing, type SpeechRefusal, type Survival, speaker } from './session.ts'
import { combine, type Share } from './shamir.ts'

/**
 * The coordinator's side as functions of what was said: it lists who shared and who survived, gathers signatures and
 * shares, and takes the masks off. It never holds a member's input, and whatever it makes of the messages is checked again
 * by every member and every verifier, so that nothing here needs trust.
 */

/** U2, version 1: everybody whose shares are in. @param keys checked by `checkShareKeys` */
export function sharedOf(session: Session, keys: readonly Said<'ShareKeys'>[]): Body<'Shared'> {
  return { sid: session.sid, ver: 1, list: listOf(keys) }
}

/** U3: everybody whose input is in. @param inputs checked by `checkMaskedInput` */
export function survivorsOf(sharing: Sharing, inputs: readonly Said<'MaskedInput'>[]): Body<'Survivors'> {
  return { sid: sharing.session.sid, u2Hash: sharing.hash, list: listOf(inputs) }
}

function listOf(said: readonly { readonly cid: Said<'Advert'>['cid']; readonly body: { readonly u: number } }[]) {
  return said.map(({ body, cid }) => ({ u: body.u, cid })).toSorted((a, b) => a.u - b.u)
}

export type CarryRefusal = 'not-its-own' | 'box-missing' | 'box-not-as-signed' | 'ciphertext-not-as-signed'

/** Before a parcel is carried on: it is exactly what its sender signed, so that no receiver can say it was spoiled. */
export function checkParcel(keys: Said<'ShareKeys'>, parcel: Parcel): Result<void, CarryRefusal> {
  const { sid, u, to } = keys.body
  const own = (one: { readonly sid: SessionId; readonly u: number }) => one.u === u && equalBytes(one.sid, sid)
  if (![...parcel.boxes, ...parcel.maskCts].every(own)) return refuse('not-its-own')
  const ciphertexts = to.filter(({ hM }) => hM)
  if (parcel.boxes.length !== to.length || parcel.maskCts.length !== ciphertexts.length) return refuse('box-missing')
  for (const [index, { v, hBox }] of to.entries()) {
    const box = parcel.boxes[index]
    if (box?.v !== v || !equalBytes(boxHash(box), hBox)) return refuse('box-not-as-signed', `to member ${v}`)
  }
  for (const [index, { v, hM }] of ciphertexts.entries()) {
    const sent = parcel.maskCts[index]
    if (sent?.v !== v || !hM || !equalBytes(sha256(sent.ct), hM))
      return refuse('ciphertext-not-as-signed', `to member ${v}`)
  }
  return accept(undefined)
}

/** What members sent to `v`, for it alone (R16). */
export function parcelFor(v: number, parcels: readonly Parcel[]): Parcel {
  return {
    boxes: parcels.flatMap(({ boxes }) => boxes.filter((box) => box.v === v)),
    maskCts: parcels.flatMap(({ maskCts }) => maskCts.filter((ct) => ct.v === v)),
  }
}

/**
 * U2, version 2 (R11): who is accused by more than C members is left out, since one of those is honest; of every other
 * accusation the accuser is.
 *
 * @param complaints about this very sharing; others are passed over
 */
export function judged(sharing: Sharing, complaints: readonly Said<'Complaint'>[]): Body<'Shared'> {
  const accusers = new Map<number, Set<number>>()
  for (const said of complaints) {
    const { u, v, cid } = said.body
    const about = sharing.keys.get(v)
    if (!speaker(sharing.session, said).ok || !sharing.keys.has(u) || u === v || about?.cid !== cid) continue
    accusers.set(v, (accusers.get(v) ?? new Set()).add(u))
  }
  const out = new Set<number>()
  for (const [accused, by] of accusers) for (const u of by.size > sharing.session.params.C ? [accused] : by) out.add(u)
  const list = listOf([...sharing.keys.values()].filter(({ body }) => !out.has(body.u)))
  return { sid: sharing.session.sid, ver: 2, list }
}

/** A certificate out of the confirmations at hand. Those of another set, or said by another, are passed over. */
export function certificateOf(
  survival: Survival,
  confirms: readonly Said<'Confirm'>[],
): Result<Body<'QuorumCert'>, 'too-few-signatures'> {
  const { session } = survival.sharing
  const found = new Map<number, Bytes>()
  for (const said of confirms) {
    const { u, u3Hash } = said.body
    if (speaker(session, said).ok && survival.inputs.has(u) && equalBytes(u3Hash, survival.hash))
      found.set(u, said.signed.signature)
  }
  if (found.size < session.params.q) return refuse('too-few-signatures', `${found.size}, at least ${session.params.q}`)
  const sigs = [...found].map(([u, sig]) => ({ u, sig })).toSorted((a, b) => a.u - b.u)
  return accept({ sid: session.sid, u3Hash: survival.hash, sigs })
}

export type UnmaskingRefusal = SpeechRefusal | 'another-set' | 'not-a-survivor' | 'wrong-shares' | 'share-not-as-dealt'

/** One member's answer: of this set, one share of each other member of U2 and of the right kind, each as it was dealt. */
export function checkUnmask(survival: Survival, said: Said<'Unmask'>): Result<Member, UnmaskingRefusal> {
  const { session, keys } = survival.sharing
  const member = speaker(session, said)
  if (!member.ok) return member
  const { u, u3Hash, bShares, rootShares } = said.body
  if (!equalBytes(u3Hash, survival.hash)) return refuse('another-set')
  if (!survival.inputs.has(u)) return refuse('not-a-survivor', `member ${u}`)
  const others = [...survival.inputs.keys()].filter((v) => v !== u)
  if (!sameIndices(bShares, others) || !sameIndices(rootShares, survival.dropouts))
    return refuse('wrong-shares', `member ${u} gives one share of every other`)
  for (const [of, shares] of [['self', bShares] as const, ['root', rootShares] as const])
    for (const { u: dealer, share } of shares) {
      const promised = promiseTo((keys.get(dealer) as Said<'ShareKeys'>).body, u)
      const expected = of === 'self' ? promised.hS : promised.hR
      if (!equalBytes(shareHash(of, session.sid, dealer, u, share), expected))
        return refuse('share-not-as-dealt', `member ${u} holds another share of member ${dealer}`)
    }
  return member
}

function sameIndices(entries: readonly { readonly u: number }[], indices: readonly number[]): boolean {
  return entries.length === indices.length && entries.every(({ u }, at) => u === indices[at])
}

/** What takes the masks off: a survivor's own seed, a dropout's root; each of exactly one kind. */
export type Revealed = {
  readonly selfSeeds: ReadonlyMap<number, Bytes>
  readonly roots: ReadonlyMap<number, Bytes>
}
/** A member that signed what cannot be true. */
export type Conviction = { readonly u: number; readonly of: 'self-seed' | 'dealing' | 'mask-ciphertext' }
export type RevealRefusal = 'too-few-shares' | 'dealer-convicted'

/**
 * Puts the seeds together. A survivor that answered gave its own; shares are only combined for who fell silent. Shares that
 * match what was dealt and still do not give what was committed convict the dealer (R11).
 *
 * @param unmasks checked by `checkUnmask`
 */
export function reveal(
  survival: Survival,
  unmasks: readonly Said<'Unmask'>[],
): { readonly revealed: Result<Revealed, RevealRefusal>; readonly convicted: readonly Conviction[] } {
  const { session } = survival.sharing
  const { t } = session.params
  const answers = new Map(unmasks.map((said) => [said.body.u, said.body]))
  const convicted: Conviction[] = []
  const [selfSeeds, roots] = [new Map<number, Bytes>(), new Map<number, Bytes>()]
  const combined = (dealer: number, of: 'bShares' | 'rootShares') => {
    const shares: Share[] = []
    for (const [x, answer] of answers) {
      const found = answer[of].find(({ u }) => u === dealer)
      if (found && shares.length < t) shares.push({ x, share: found.share })
    }
    return shares.length === t ? combine(shares) : undefined
  }
  let missing: Result<Revealed, RevealRefusal> | undefined
  for (const u of survival.inputs.keys()) {
    const own = answers.get(u)?.self
    if (own && !isSelfSeed(session, u, own)) convicted.push({ u, of: 'self-seed' })
    const seed = own && isSelfSeed(session, u, own) ? own : combined(u, 'bShares')
    if (!seed) missing ??= refuse('too-few-shares', `of member ${u}'s own seed, at least ${t}`)
    else if (isSelfSeed(session, u, seed)) selfSeeds.set(u, seed)
    else convicted.push({ u, of: 'dealing' })
  }
  for (const v of survival.dropouts) {
    const root = combined(v, 'rootShares')
    if (!root) missing ??= refuse('too-few-shares', `of member ${v}'s mask root, at least ${t}`)
    else if (isMaskRoot(session, v, root)) roots.set(v, root)
    else convicted.push({ u: v, of: 'dealing' })
  }
  const liar = convicted.find(({ of }) => of === 'dealing')
  const failed = liar ? refuse('dealer-convicted', `member ${liar.u} dealt shares of something else`) : missing
  return { revealed: failed ?? accept({ selfSeeds, roots }), convicted }
}

/** Whether a seed is the one that the member committed to in its advert. */
export function isSelfSeed(session: Session, u: number, seed: Bytes): boolean {
  const { id, advert } = memberOf(session, u)
  return equalBytes(selfCommitment(id, seed), advert.bCommit)
}

/** Whether a root makes the mask keys in the member's advert. */
export function isMaskRoot(session: Session, u: number, root: Bytes): boolean {
  const { advert } = memberOf(session, u)
  const { publicKey, kem } = maskKeys(root, session.suite)
  return (
    equalBytes(publicKey, advert.sPk) &&
    (!kem || (advert.sKemPk !== undefined && equalBytes(kem.publicKey, advert.sKemPk)))
  )
}

/** What the coordinator publishes of an unmasked session. */
export function resultOf(
  survival: Survival,
  revealed: Revealed,
  about: Pick<Body<'Result'>, 'sumCid' | 'sumSha256' | 'model' | 'verifier'>,
): Body<'Result'> {
  return {
    sid: survival.sharing.session.sid,
    u3Hash: survival.hash,
    selfSeeds: [...revealed.selfSeeds].map(([u, b]) => ({ u, b })).toSorted((a, b) => a.u - b.u),
    roots: [...revealed.roots].map(([u, maskRoot]) => ({ u, maskRoot })).toSorted((a, b) => a.u - b.u),
    ...about,
  }
}
