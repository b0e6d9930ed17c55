import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { nativeKem } from '#crypto'
import type { Bytes } from '#protocol/ids.ts'
import { KEM_KEY_BYTES } from './messages.ts'

/** ML-KEM-768 (FIPS 203) with its randomness as an argument, so that a revealed secret can make the same bytes again. */
export type KemKeys = { readonly publicKey: Bytes; readonly secretKey: Bytes }

/** @param seed 64 bytes, d ‖ z */
export function kemKeys(seed: Bytes): KemKeys {
  if (nativeKem) return nativeKem.keys(seed)
  const { publicKey, secretKey } = ml_kem768.keygen(seed)
  return { publicKey, secretKey }
}

/** @param publicKey a sound one @param coins 32 bytes, the m of Encaps_internal */
export function encapsulate(publicKey: Bytes, coins: Bytes): { readonly ciphertext: Bytes; readonly shared: Bytes } {
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, coins)
  return { ciphertext: cipherText, shared: sharedSecret }
}

/** A ciphertext that was not made for this key gives a secret that nobody else has (implicit rejection). */
export function decapsulate(secretKey: Bytes, ciphertext: Bytes): Bytes {
  return nativeKem ? nativeKem.decapsulate(secretKey, ciphertext) : ml_kem768.decapsulate(ciphertext, secretKey)
}

const Q = 3329
/** Three polynomials of 256 coefficients of 12 bits, before the 32 bytes of the matrix's seed. */
const COEFFICIENT_BYTES = 1152

/** FIPS 203 section 7.2: the right length, and every coefficient reduced. */
export function isKemKey(key: Bytes): boolean {
  if (key.length !== KEM_KEY_BYTES) return false
  for (let at = 0; at < COEFFICIENT_BYTES; at += 3) {
    const [a, b, c] = key.subarray(at, at + 3) as unknown as readonly [number, number, number]
    if ((a | ((b & 0xf) << 8)) >= Q || ((b >> 4) | (c << 4)) >= Q) return false
  }
  return true
}
