import { hkdfSha256, sha256, x25519PublicKey } from '#crypto'
import { concat, utf8 } from '#protocol/bytes.ts'
import { type Bytes, type NodeId, publicKeyOf } from '#protocol/ids.ts'
import type { Kem } from './channel.ts'
import { type KemKeys, kemKeys } from './kem.ts'
import { SUITE_HYBRID, type Suite } from './messages.ts'

/**
 * Every label of `secagg/1` and what is derived under it: HKDF-SHA256(secret, salt, "secagg/1 " ‖ label ‖ context). In
 * derivations u16 is big-endian. R2 and R13 are in: coefficients are bound to the session, hybrid keys to the ciphertext.
 */
const PREFIX = 'secagg/1 '

export type SessionId = Bytes

/** All that one advert is made of. Everything here is secret but the public keys' halves. */
export type Secrets = {
  readonly root: Bytes
  /** The secret that is shared so that a dropout's pairwise masks can be taken off. */
  readonly maskRoot: Bytes
  /** b: the secret of a survivor's own mask. */
  readonly self: Bytes
  readonly channel: KeyPair
  readonly mask: KeyPair
  /** Suite 2, once keys are dealt: what is in the ciphertexts to higher members. */
  readonly toHigher?: ReadonlyMap<number, Kem>
}

export type KeyPair = {
  readonly secretKey: Bytes
  readonly publicKey: Bytes
  /** Suite 2 only. */
  readonly kem?: KemKeys
}

/** @param root 32 random bytes, one per advert (R1) */
export function secretsOf(root: Bytes, suite: Suite): Secrets {
  const maskRoot = derive(root, NO_SALT, 'mask-root', 32)
  return {
    root,
    maskRoot,
    self: derive(root, NO_SALT, 'self-mask', 32),
    channel: keyPair(root, 'channel', suite),
    mask: maskKeys(maskRoot, suite),
  }
}

/** The key pair that a mask root makes: what a dropout's revealed root is checked by. */
export function maskKeys(maskRoot: Bytes, suite: Suite): KeyPair {
  return keyPair(maskRoot, 'mask', suite)
}

function keyPair(secret: Bytes, name: 'channel' | 'mask', suite: Suite): KeyPair {
  const secretKey = derive(secret, NO_SALT, `${name}-x25519`, 32)
  const pair = { secretKey, publicKey: x25519PublicKey(secretKey) }
  return suite === SUITE_HYBRID ? { ...pair, kem: kemKeys(derive(secret, NO_SALT, `${name}-mlkem768`, 64)) } : pair
}

/** What binds a member to its self seed before the session. */
export function selfCommitment(id: NodeId, self: Bytes): Bytes {
  return sha256(concat(label('self-mask-commit\0'), publicKeyOf(id), self))
}

/** @param rosterHash SHA-256 of the roster's body */
export function sessionId(rosterHash: Bytes): SessionId {
  return sha256(concat(label('sid\0'), rosterHash))
}

/** The key of the polynomial's coefficients. Fresh per session, so that shares of two sessions never combine (R2). */
export function coefficientKey(root: Bytes, sid: SessionId, of: 'root' | 'self'): Bytes {
  return derive(root, sid, `shamir-coeffs-${of}`, 32)
}

/** Directional: u's box to v has another key than v's to u. @param binding empty, or SHA-256(cKemCt) in suite 2 */
export function channelKey(shared: Bytes, sid: SessionId, u: number, v: number, binding: Bytes): Bytes {
  return derive(shared, sid, 'channel\0', 32, u16(u), u16(v), binding)
}

/** The secret of two members' common mask. @param binding empty, or SHA-256(mKemCt) in suite 2 */
export function pairSecret(shared: Bytes, sid: SessionId, u: number, v: number, binding: Bytes): Bytes {
  return derive(shared, sid, 'pairwise-mask\0', 32, u16(Math.min(u, v)), u16(Math.max(u, v)), binding)
}

/** The coins of the lower member's encapsulation to the higher: its mask root alone makes the ciphertext again. */
export function kemCoins(maskRootOfLower: Bytes, sid: SessionId, higher: number): Bytes {
  return derive(maskRootOfLower, sid, 'mask-kem-coins\0', 32, u16(higher))
}

/** Key (32 bytes) and nonce (8) of a mask's keystream. */
export function selfMaskSeed(self: Bytes, sid: SessionId, u: number): Bytes {
  return derive(self, sid, 'prg\0', 40, Uint8Array.of(1), u16(u))
}

export function pairMaskSeed(pair: Bytes, sid: SessionId, u: number, v: number): Bytes {
  return derive(pair, sid, 'prg\0', 40, Uint8Array.of(2), u16(Math.min(u, v)), u16(Math.max(u, v)))
}

/** What a box is sealed with besides its key. */
export function boxContext(sid: SessionId, u: number, v: number): Bytes {
  return concat(label('share\0'), sid, u16(u), u16(v))
}

/** What a dealer commits a holder's share by (R11). */
export function shareHash(of: 'root' | 'self', sid: SessionId, dealer: number, holder: number, share: Bytes): Bytes {
  return sha256(concat(label(`share-${of}\0`), sid, u16(dealer), u16(holder), share))
}

/** Order of the population in its groups (R17). */
export function groupRank(beacon: Bytes, id: NodeId): Bytes {
  return sha256(concat(label('group\0'), beacon, publicKeyOf(id)))
}

/** Overwrites every secret. What a crypto library copied meanwhile is beyond reach. */
export function erase(secrets: Secrets): void {
  const { root, maskRoot, self, channel, mask } = secrets
  for (const secret of [root, maskRoot, self, channel.secretKey, mask.secretKey]) secret.fill(0)
  for (const { kem } of [channel, mask]) kem?.secretKey.fill(0)
  for (const { shared } of secrets.toHigher?.values() ?? []) shared.fill(0)
}

const NO_SALT: Bytes = new Uint8Array(0)

function derive(secret: Bytes, salt: Bytes, name: string, lengthBytes: number, ...context: readonly Bytes[]): Bytes {
  return hkdfSha256(secret, salt, concat(label(name), ...context), lengthBytes)
}

function label(name: string): Bytes {
  return utf8(PREFIX + name)
}

function u16(value: number): Bytes {
  return Uint8Array.of(value >> 8, value & 0xff)
}
