import { ctr, gcm } from '@noble/ciphers/aes.js'
import { ed25519, x25519 as montgomery } from '@noble/curves/ed25519.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 as nobleSha256, sha512 } from '@noble/hashes/sha2.js'
import { randomBytes as nobleRandomBytes } from '@noble/hashes/utils.js'
import { concat } from '../bytes.ts'
import type { Bytes } from '../ids.ts'
import { isSoundKey, isSoundSignature } from './ed25519.ts'
import type { Hash } from './hash.ts'
import type { NativeKem } from './kem.ts'

export function sha256(bytes: Bytes): Bytes {
  return nobleSha256(bytes)
}

export function createSha256(): Hash {
  const hash = nobleSha256.create()
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => hash.digest(),
  }
}

export function hmacSha256(key: Bytes, message: Bytes): Bytes {
  return hmac(nobleSha256, key, message)
}

export function hkdfSha256(secret: Bytes, salt: Bytes, info: Bytes, lengthBytes: number): Bytes {
  return hkdf(nobleSha256, secret, salt, info, lengthBytes)
}

export function randomBytes(length: number): Bytes {
  return nobleRandomBytes(length)
}

export function publicKey(secretKey: Bytes): Bytes {
  return ed25519.getPublicKey(secretKey)
}

export function sign(secretKey: Bytes, message: Bytes): Bytes {
  return ed25519.sign(message, secretKey)
}

/** Cofactorless: encode([S]B - [k]A) = R. noble's own `verify` is cofactored and would accept more. */
export function verify(key: Bytes, message: Bytes, signature: Bytes): boolean {
  if (!isSoundSignature(signature) || !isSoundKey(key)) return false
  const r = signature.subarray(0, 32)
  const order = ed25519.Point.Fn.ORDER
  const k = littleEndian(sha512(concat(r, key, message))) % order
  const s = littleEndian(signature.subarray(32))
  const a = ed25519.Point.fromBytes(key)
  const left = ed25519.Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k))
  return left.toBytes().every((byte, index) => byte === r[index])
}

/** @param secretKey 32 bytes, clamped at use (RFC 7748 section 5) @returns 32 bytes */
export function x25519PublicKey(secretKey: Bytes): Bytes {
  return montgomery.getPublicKey(secretKey)
}

/** The shared secret, 32 bytes; undefined for a peer's key of small order, whose output would be all zero. */
export function x25519(secretKey: Bytes, peerKey: Bytes): Bytes | undefined {
  if (peerKey.length !== 32) return undefined
  try {
    return montgomery.getSharedSecret(secretKey, peerKey)
  } catch {
    return undefined
  }
}

/** AES-256-GCM (SP 800-38D). @param nonce 12 bytes, once per key @returns ciphertext ‖ tag of 16 bytes */
export function gcmSeal(key: Bytes, nonce: Bytes, aad: Bytes, plaintext: Bytes): Bytes {
  return gcm(key, nonce, aad).encrypt(plaintext)
}

/** @returns undefined unless every byte is as it was sealed */
export function gcmOpen(key: Bytes, nonce: Bytes, aad: Bytes, sealed: Bytes): Bytes | undefined {
  const cipher = gcm(key, nonce, aad)
  try {
    return cipher.decrypt(sealed)
  } catch {
    return undefined
  }
}

/** The AES-256-CTR keystream from counter block `iv` on, a piece a call. The counter is all 128 bits of the block. */
export function keystream(key: Bytes, iv: Bytes): (lengthBytes: number) => Bytes {
  const start = littleEndian(iv.toReversed())
  let offset = 0
  return (lengthBytes) => {
    const skip = offset % 16
    const block = BigInt.asUintN(128, start + BigInt((offset - skip) / 16))
    const counter = new Uint8Array(16)
    const view = new DataView(counter.buffer)
    view.setBigUint64(0, block >> 64n)
    view.setBigUint64(8, BigInt.asUintN(64, block))
    offset += lengthBytes
    return ctr(key, counter)
      .encrypt(new Uint8Array(skip + lengthBytes))
      .subarray(skip)
  }
}

function littleEndian(bytes: Bytes): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
}

/** None here. */
export const nativeKem: NativeKem | undefined = undefined
