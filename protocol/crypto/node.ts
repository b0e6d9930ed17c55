import nodeCrypto, {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  randomBytes as nodeRandomBytes,
  sign as nodeSign,
  verify as nodeVerify,
} from 'node:crypto'
import { copyOf } from '../bytes.ts'
import type { Bytes } from '../ids.ts'
import { isSoundBy, isSoundSignature } from './ed25519.ts'
import type { Hash } from './hash.ts'
import type { NativeKem } from './kem.ts'

export function sha256(bytes: Bytes): Bytes {
  return plain(createHash('sha256').update(bytes).digest())
}

export function createSha256(): Hash {
  const hash = createHash('sha256')
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => plain(hash.digest()),
  }
}

export function hmacSha256(key: Bytes, message: Bytes): Bytes {
  return plain(
    untraced(() => createHmac('sha256', key))
      .update(message)
      .digest(),
  )
}

export function hkdfSha256(secret: Bytes, salt: Bytes, info: Bytes, lengthBytes: number): Bytes {
  return new Uint8Array(untraced(() => hkdfSync('sha256', secret, salt, info, lengthBytes)))
}

export function randomBytes(length: number): Bytes {
  return plain(nodeRandomBytes(length))
}

/** @param secretKey the 32-byte seed of RFC 8032 @returns 32 bytes */
export function publicKey(secretKey: Bytes): Bytes {
  const made = untraced(() => createPublicKey(privateKeyOf(secretKey)))
  const key = plain(Buffer.from(made.export({ format: 'jwk' }).x as string, 'base64url'))
  // A clamped scalar times the base point is sound by construction: the check would find nothing.
  rememberSound(nameOf(key), made)
  return key
}

export function sign(secretKey: Bytes, message: Bytes): Bytes {
  return plain(nodeSign(null, message, privateKeyOf(secretKey)))
}

/** OpenSSL's check is cofactorless; the two predicates close what it leaves open (small order, torsion, encodings). */
export function verify(key: Bytes, message: Bytes, signature: Bytes): boolean {
  if (!isSoundSignature(signature)) return false
  const sound = soundKeyOf(key)
  return sound !== undefined && nodeVerify(null, message, sound, signature)
}

/** The AES-256-CTR keystream from counter block `iv` on, a piece a call. */
export function keystream(key: Bytes, iv: Bytes): (lengthBytes: number) => Bytes {
  const cipher = untraced(() => createCipheriv('aes-256-ctr', key, iv))
  return (lengthBytes) => plain(cipher.update(zeros(lengthBytes)))
}

/** @param secretKey 32 bytes, clamped at use (RFC 7748 section 5) @returns 32 bytes */
export function x25519PublicKey(secretKey: Bytes): Bytes {
  const { x } = untraced(() => createPublicKey(x25519PrivateKey(secretKey))).export({ format: 'jwk' })
  return plain(Buffer.from(x as string, 'base64url'))
}

/** The shared secret, 32 bytes; undefined for a peer's key of small order, whose output would be all zero. */
export function x25519(secretKey: Bytes, peerKey: Bytes): Bytes | undefined {
  if (peerKey.length !== 32) return undefined
  const x = Buffer.from(peerKey).toString('base64url')
  const publicKey = untraced(() => createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' }))
  try {
    return plain(diffieHellman({ privateKey: x25519PrivateKey(secretKey), publicKey }))
  } catch {
    return undefined
  }
}

const GCM_TAG_BYTES = 16

/** AES-256-GCM (SP 800-38D). @param nonce 12 bytes, once per key @returns ciphertext ‖ tag of 16 bytes */
export function gcmSeal(key: Bytes, nonce: Bytes, aad: Bytes, plaintext: Bytes): Bytes {
  const cipher = untraced(() => createCipheriv('aes-256-gcm', key, nonce))
  cipher.setAAD(aad)
  return plain(Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]))
}

/** @returns undefined unless every byte is as it was sealed */
export function gcmOpen(key: Bytes, nonce: Bytes, aad: Bytes, sealed: Bytes): Bytes | undefined {
  if (sealed.length < GCM_TAG_BYTES) return undefined
  const cipher = untraced(() => createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: GCM_TAG_BYTES }))
  cipher.setAAD(aad)
  cipher.setAuthTag(sealed.subarray(-GCM_TAG_BYTES))
  const opened = cipher.update(sealed.subarray(0, -GCM_TAG_BYTES))
  try {
    return plain(Buffer.concat([opened, cipher.final()]))
  } catch {
    return undefined
  }
}

/** RFC 8410: the PKCS#8 wrapper of a raw X25519 key. */
const X25519_PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** RFC 8410: the PKCS#8 and SPKI wrappers of a raw Ed25519 key. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')

const privateKeys = new WeakMap<Bytes, KeyObject>()

/** Remembered per array object, so that no secret is kept longer than its owner keeps it. */
function privateKeyOf(secretKey: Bytes): KeyObject {
  return remembered(privateKeys, PKCS8, secretKey)
}

const x25519Keys = new WeakMap<Bytes, KeyObject>()

function x25519PrivateKey(secretKey: Bytes): KeyObject {
  return remembered(x25519Keys, X25519_PKCS8, secretKey)
}

function remembered(keys: WeakMap<Bytes, KeyObject>, wrapper: Buffer, secretKey: Bytes): KeyObject {
  const known = keys.get(secretKey)
  if (known) return known
  const key = Buffer.concat([wrapper, secretKey])
  const made = untraced(() => createPrivateKey({ key, format: 'der', type: 'pkcs8' }))
  keys.set(secretKey, made)
  return made
}

/** Public keys that passed, by their bytes, the oldest first: to read a key costs as much as to check a signature with it. */
const soundKeys = new Map<string, KeyObject>()
/** As many as may be linked, and more; about 8 MiB. */
const SOUND_KEYS_MAX = 16_384

/** Undefined for a key under which no signature is valid. */
function soundKeyOf(key: Bytes): KeyObject | undefined {
  const name = nameOf(key)
  const known = soundKeys.get(name)
  if (known) return known
  if (!isSoundBy(x25519, key)) return undefined
  const made = untraced(() => createPublicKey({ key: Buffer.concat([SPKI, key]), format: 'der', type: 'spki' }))
  rememberSound(name, made)
  return made
}

function nameOf(key: Bytes): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}

function rememberSound(name: string, key: KeyObject): void {
  if (soundKeys.size >= SOUND_KEYS_MAX)
    for (const oldest of soundKeys.keys()) {
      soundKeys.delete(oldest)
      break
    }
  soundKeys.set(name, key)
}

/**
 * Node 24 asks whether a key is an object of its own by an error that it throws and catches. The trace of it, which nobody
 * ever sees, takes several times as long as what is done with the key: no trace is taken meanwhile.
 */
function untraced<T>(act: () => T): T {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return act()
  } finally {
    Error.stackTraceLimit = limit
  }
}

/** Buffers carry methods that change meaning (`slice` aliases): what leaves this file is a plain array of bytes. */
function plain(buffer: Buffer): Bytes {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

let zeroPage = new Uint8Array(65_536)
function zeros(lengthBytes: number): Bytes {
  if (zeroPage.length < lengthBytes) zeroPage = new Uint8Array(lengthBytes)
  return zeroPage.subarray(0, lengthBytes)
}

/** The PKCS#8 wrapper of an ML-KEM-768 seed, and the SPKI one of its public key. */
const KEM_PKCS8 = Buffer.from('3054020100300b060960864801650304040204428040', 'hex')
const KEM_SPKI_BYTES = 22

/** Its secret key is the seed itself. OpenSSL has ML-KEM from 3.5 on and Node its use from 24.7 on: an older one has none. */
export const nativeKem: NativeKem | undefined = hasKem() ? { keys: kemKeys, decapsulate: kemDecapsulate } : undefined

function kemKeys(seed: Bytes): ReturnType<NativeKem['keys']> {
  const spki = untraced(() => createPublicKey(kemPrivateKey(seed))).export({ format: 'der', type: 'spki' })
  return { publicKey: plain(spki.subarray(KEM_SPKI_BYTES)), secretKey: copyOf(seed) }
}

function kemDecapsulate(seed: Bytes, ciphertext: Bytes): Bytes {
  return plain(nodeCrypto.decapsulate(kemPrivateKey(seed), ciphertext))
}

function kemPrivateKey(seed: Bytes): KeyObject {
  const der = Buffer.concat([KEM_PKCS8, seed])
  try {
    return untraced(() => createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
  } finally {
    der.fill(0)
  }
}

function hasKem(): boolean {
  try {
    return kemPrivateKey(zeros(64)).asymmetricKeyType === 'ml-kem-768' && typeof nodeCrypto.decapsulate === 'function'
  } catch {
    return false
  }
}
