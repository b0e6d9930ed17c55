import { gcmOpen, gcmSeal, sha256, x25519 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { concat, copyOf } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { boxContext, channelKey, type KeyPair, kemCoins, pairSecret, type SessionId } from './derive.ts'
import { decapsulate, encapsulate, isKemKey } from './kem.ts'

/** What two members agree on: a channel for shares, one each way, and a common mask. */

/** A public key pair as an advert has it. */
export type PublicKeys = { readonly x25519: Bytes; readonly kem: Bytes | undefined }
/** Who says it to whom, by index. */
export type Way = { readonly sid: SessionId; readonly from: number; readonly to: number }
/** A dealer's two shares for one holder. */
export type SharePair = { readonly root: Bytes; readonly self: Bytes }
export type SealedPair = { readonly box: Bytes; readonly cKemCt?: Bytes }

const BOX_VERSION = 1
const NONCE_BYTES = 12
const NOTHING: Bytes = new Uint8Array(0)

/** Any secret: a key of small order gives zero with all of them. */
const ANY_SECRET: Bytes = new Uint8Array(32).fill(1)

/** Whether a key can be agreed with: not of small order (RFC 7748 section 6.1), and an ML-KEM key where there is one. */
export function isSound({ x25519: key, kem }: PublicKeys): boolean {
  return x25519(ANY_SECRET, key) !== undefined && (kem === undefined || isKemKey(kem))
}

/** @param draw chance: a nonce of 12 bytes, and in suite 2 coins of 32 */
export function sealShares(
  own: KeyPair,
  peer: PublicKeys,
  way: Way,
  shares: SharePair,
  draw: (lengthBytes: number) => Bytes,
): SealedPair {
  const classic = agreed(own.secretKey, peer.x25519)
  const kem = peer.kem ? encapsulate(peer.kem, draw(32)) : undefined
  const key = keyOf(classic, kem, way)
  const nonce = draw(NONCE_BYTES)
  const plaintext = concat(Uint8Array.of(BOX_VERSION, way.to), shares.root, shares.self)
  const box = concat(nonce, gcmSeal(key, nonce, boxContext(way.sid, way.from, way.to), plaintext))
  for (const secret of [classic, key, plaintext]) secret.fill(0)
  return kem ? { box, cKemCt: kem.ciphertext } : { box }
}

/** @returns `box` when it does not open, `plaintext` when what is in it is not two shares at this holder's place */
export function openShares(
  own: KeyPair,
  peer: PublicKeys,
  way: Way,
  sealed: SealedPair,
): Result<SharePair, 'box' | 'plaintext'> {
  const classic = agreed(own.secretKey, peer.x25519)
  const kem =
    own.kem && sealed.cKemCt
      ? { ciphertext: sealed.cKemCt, shared: decapsulate(own.kem.secretKey, sealed.cKemCt) }
      : undefined
  const key = keyOf(classic, kem, way)
  const nonce = sealed.box.subarray(0, NONCE_BYTES)
  const opened = gcmOpen(key, nonce, boxContext(way.sid, way.from, way.to), sealed.box.subarray(NONCE_BYTES))
  for (const secret of [classic, key]) secret.fill(0)
  if (!opened) return refuse('box')
  const pair = { root: copyOf(opened.subarray(2, 34)), self: copyOf(opened.subarray(34, 66)) }
  const sound = opened.length === 66 && opened[0] === BOX_VERSION && opened[1] === way.to
  opened.fill(0)
  return sound ? accept(pair) : refuse('plaintext')
}

/** The hash that a dealer signs of what it sends. */
export function boxHash({ box, cKemCt }: SealedPair): Bytes {
  return sha256(concat(cKemCt ?? NOTHING, box))
}

function keyOf(classic: Bytes, kem: Kem | undefined, { sid, from, to }: Way): Bytes {
  return kem
    ? channelKey(concat(kem.shared, classic), sid, from, to, sha256(kem.ciphertext))
    : channelKey(classic, sid, from, to, NOTHING)
}

/** A ciphertext and the secret in it. */
export type Kem = { readonly ciphertext: Bytes; readonly shared: Bytes }

/** The lower member's ciphertext to the higher, by its mask root: the same bytes whoever makes it (R13). */
export function maskCiphertext(maskRootOfLower: Bytes, higherKem: Bytes, sid: SessionId, higher: number): Kem {
  return encapsulate(higherKem, kemCoins(maskRootOfLower, sid, higher))
}

/**
 * The secret of two members' common mask, from either one's key pair.
 *
 * @param kem suite 2: the lower one's ciphertext and what it holds
 */
export function pairOf(own: KeyPair, peerKey: Bytes, { sid, from, to }: Way, kem: Kem | undefined): Bytes {
  const classic = agreed(own.secretKey, peerKey)
  const pair = kem
    ? pairSecret(concat(kem.shared, classic), sid, from, to, sha256(kem.ciphertext))
    : pairSecret(classic, sid, from, to, NOTHING)
  classic.fill(0)
  return pair
}

function agreed(secretKey: Bytes, peerKey: Bytes): Bytes {
  const shared = x25519(secretKey, peerKey)
  assert(shared, 'a session holds no key of small order')
  return shared
}
