import { sha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { equalBytes } from '#protocol/bytes.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import {
  boxHash,
  type Kem,
  maskCiphertext,
  openShares,
  type PublicKeys,
  pairOf,
  type SealedPair,
  type SharePair,
  sealShares,
} from './channel.ts'
import { coefficientKey, pairMaskSeed, type Secrets, selfMaskSeed, shareHash } from './derive.ts'
import { decapsulate } from './kem.ts'
import type { Mask } from './mask.ts'
import type { Body, Box, MaskCt, Parcel } from './messages.ts'
import type { Member, Session, Sharing } from './session.ts'
import { split } from './shamir.ts'

/** What a member works out with every other one: shares to give and to keep, and a common mask. */

type ShareKeysTo = Body<'ShareKeys'>['to']

/** Deals both secrets to all others (R2, R11), and in suite 2 makes the mask ciphertexts for the higher ones (R13). */
export function sealAll(
  session: Session,
  u: number,
  secrets: Secrets,
  draw: (lengthBytes: number) => Bytes,
): { readonly to: ShareKeysTo; readonly parcel: Parcel; readonly toHigher: ReadonlyMap<number, Kem> } {
  const { sid, params, members } = session
  const dealt = {
    root: split(secrets.maskRoot, params.t, members.length, coefficientKey(secrets.root, sid, 'root')),
    self: split(secrets.self, params.t, members.length, coefficientKey(secrets.root, sid, 'self')),
  }
  const [to, boxes, maskCts]: [ShareKeysTo[number][], Box[], MaskCt[]] = [[], [], []]
  const toHigher = new Map<number, Kem>()
  for (const peer of members) {
    const v = peer.u
    if (v === u) continue
    const shares = { root: dealt.root[v - 1] as Bytes, self: dealt.self[v - 1] as Bytes }
    const sealed = sealShares(secrets.channel, channelKeys(peer), { sid, from: u, to: v }, shares, draw)
    const ct = u < v && peer.advert.sKemPk ? maskCiphertext(secrets.maskRoot, peer.advert.sKemPk, sid, v) : undefined
    boxes.push({ sid, u, v, ...sealed })
    if (ct) {
      maskCts.push({ sid, u, v, ct: ct.ciphertext })
      toHigher.set(v, ct)
    }
    to.push({
      v,
      hBox: boxHash(sealed),
      hR: shareHash('root', sid, u, v, shares.root),
      hS: shareHash('self', sid, u, v, shares.self),
      ...(ct ? { hM: sha256(ct.ciphertext) } : {}),
    })
  }
  for (const share of [...dealt.root, ...dealt.self]) share.fill(0)
  return { to, parcel: { boxes, maskCts }, toHigher }
}

/** A dealer whose box does not hold what it promised. */
export type Fault = { readonly v: number; readonly cid: Cid; readonly code: Body<'Complaint'>['code'] }
export type ParcelRefusal = 'box-missing' | 'box-not-as-signed' | 'ciphertext-missing' | 'ciphertext-not-as-signed'

/**
 * Opens what all of U2 sent to `u`. A box that is missing or not the one its dealer signed is the carrier's fault and
 * refused; one that is, and does not hold what the dealer promised, is the dealer's and complained of.
 */
export function openParcel(
  sharing: Sharing,
  u: number,
  secrets: Secrets,
  parcel: Parcel,
): Result<{ readonly shares: ReadonlyMap<number, SharePair>; readonly faults: readonly Fault[] }, ParcelRefusal> {
  const { session } = sharing
  const shares = new Map<number, SharePair>()
  const faults: Fault[] = []
  for (const [v, keys] of sharing.keys) {
    if (v === u) continue
    const promised = promiseTo(keys.body, u)
    const box = parcel.boxes.find((one) => one.u === v && one.v === u)
    if (!box) return refuse('box-missing', `from member ${v}`)
    if (!equalBytes(boxHash(box), promised.hBox)) return refuse('box-not-as-signed', `from member ${v}`)
    const opened = openBox(session, u, secrets, v, box)
    if (!opened.ok) faults.push({ v, cid: keys.cid, code: opened.refusal })
    else if (isPromised(session, v, u, opened.value, promised)) shares.set(v, opened.value)
    else faults.push({ v, cid: keys.cid, code: 'share-hash' })
  }
  return accept({ shares, faults })
}

function openBox(session: Session, u: number, secrets: Secrets, v: number, box: Box) {
  const sealed: SealedPair = box.cKemCt ? { box: box.box, cKemCt: box.cKemCt } : { box: box.box }
  return openShares(secrets.channel, channelKeys(memberOf(session, v)), { sid: session.sid, from: v, to: u }, sealed)
}

function isPromised(
  { sid }: Session,
  dealer: number,
  holder: number,
  shares: SharePair,
  promised: ShareKeysTo[number],
) {
  return (
    equalBytes(shareHash('root', sid, dealer, holder, shares.root), promised.hR) &&
    equalBytes(shareHash('self', sid, dealer, holder, shares.self), promised.hS)
  )
}

/** The member's own mask, and the one it has with each other member of U2. */
export function openMasks(
  sharing: Sharing,
  u: number,
  secrets: Secrets,
  parcel: Parcel,
): Result<ReadonlyMap<number, Mask>, ParcelRefusal> {
  const { session } = sharing
  const { sid } = session
  const masks = new Map<number, Mask>([[u, { seed: selfMaskSeed(secrets.self, sid, u), sign: 1 }]])
  for (const v of sharing.keys.keys()) {
    if (v === u) continue
    const { advert } = memberOf(session, v)
    const kem = v < u ? lowerKem(sharing, v, u, secrets, parcel) : accept(higherKem(secrets, v))
    if (!kem.ok) return kem
    const pair = pairOf(secrets.mask, advert.sPk, { sid, from: u, to: v }, kem.value)
    masks.set(v, { seed: pairMaskSeed(pair, sid, u, v), sign: u < v ? 1 : -1 })
    pair.fill(0)
  }
  return accept(masks)
}

/** We are the higher one: v sent us a ciphertext. */
function lowerKem(
  sharing: Sharing,
  v: number,
  u: number,
  secrets: Secrets,
  parcel: Parcel,
): Result<Kem | undefined, ParcelRefusal> {
  if (!secrets.mask.kem) return accept(undefined)
  const sent = parcel.maskCts.find((one) => one.u === v && one.v === u)
  if (!sent) return refuse('ciphertext-missing', `from member ${v}`)
  const keys = sharing.keys.get(v)
  const promised = keys && promiseTo(keys.body, u).hM
  if (!promised || !equalBytes(sha256(sent.ct), promised)) return refuse('ciphertext-not-as-signed', `from member ${v}`)
  return accept({ ciphertext: sent.ct, shared: decapsulate(secrets.mask.kem.secretKey, sent.ct) })
}

/** We are the lower one: what we sent, kept since, for to make it again costs as much. */
function higherKem({ mask, toHigher }: Secrets, v: number): Kem | undefined {
  const kem = toHigher?.get(v)
  assert(kem || !mask.kem, 'the lower of two keeps what it sent')
  return kem
}

/** What a dealer committed to for one holder. */
export function promiseTo(keys: Body<'ShareKeys'>, holder: number): ShareKeysTo[number] {
  const entry = keys.to.find(({ v }) => v === holder)
  assert(entry, 'a checked ShareKeys names every other member')
  return entry
}

export function memberOf(session: Session, u: number): Member {
  const member = session.members[u - 1]
  assert(member, 'an index of the session')
  return member
}

function channelKeys({ advert }: Member): PublicKeys {
  return { x25519: advert.cPk, kem: advert.cKemPk }
}
