import type { Bytes } from '../ids.ts'

/** ML-KEM-768 (FIPS 203) of the machine's own, where it has one: many times as fast as ours. Encapsulation with given coins is not offered. */
export type NativeKem = {
  /** @param seed 64 bytes, d ‖ z @returns the secret key in a form of this backend's own */
  keys(seed: Bytes): { readonly publicKey: Bytes; readonly secretKey: Bytes }
  /** A ciphertext that was not made for this key gives a secret that nobody else has (implicit rejection). */
  decapsulate(secretKey: Bytes, ciphertext: Bytes): Bytes
}
