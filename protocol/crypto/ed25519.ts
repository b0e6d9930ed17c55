import { ed25519 } from '@noble/curves/ed25519.js'
import { equalBytes, fromHex, toHex } from '../bytes.ts'
import type { Bytes } from '../ids.ts'

/** 2^255 - 19 and the group order L, RFC 8032 section 5.1, little-endian. */
const P = fromHex('edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f')
const L = fromHex('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010')

/** The eight points of small order, canonically encoded (the test computes them again). */
export const SMALL_ORDER: ReadonlySet<string> = new Set([
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
])

/**
 * The part of a signature check that the curve equation leaves open, so that every backend gives one verdict: R is
 * canonical and not of small order, S < L. With {@link isSoundKey} and the cofactorless equation it is the whole rule.
 */
export function isSoundSignature(signature: Bytes): boolean {
  if (signature.length !== 64) return false
  const r = signature.subarray(0, 32)
  return isCanonical(r) && !SMALL_ORDER.has(toHex(r)) && isLess(signature.subarray(32), L)
}

const sound = new Map<string, boolean>()
const SOUND_KEYS_MAX = 16_384

/** A public key is canonical, on the curve, and free of torsion (hence not of small order). Remembered per key. */
export function isSoundKey(publicKey: Bytes): boolean {
  if (publicKey.length !== 32) return false
  const key = toHex(publicKey)
  const known = sound.get(key)
  if (known !== undefined) return known
  const verdict = checkKey(publicKey, key)
  if (sound.size >= SOUND_KEYS_MAX) sound.clear()
  sound.set(key, verdict)
  return verdict
}

/**
 * The same verdict by X25519, for whoever has that natively: thirty times as fast. On Curve25519 a point is known by u alone,
 * up to its sign, and so is its product with 5·L - 1: that is a multiple of 8, so it kills the torsion, and -1 modulo L, so
 * it negates what is left. Exactly a point without torsion comes back as it was. One that is not on the curve is on its
 * twist, of order 4·q with q a prime that divides neither 5·L nor 5·L - 2: it does not come back.
 */
export function isSoundBy(x25519: (scalar: Bytes, u: Bytes) => Bytes | undefined, publicKey: Bytes): boolean {
  if (publicKey.length !== 32 || !isCanonical(publicKey) || SMALL_ORDER.has(toHex(publicKey))) return false
  const { Fp } = ed25519.Point
  const y = Fp.fromBytes(withoutSign(publicKey))
  // It has one x, which is 0 and has no sign.
  if (y === Fp.ONE) return false
  const u = Fp.toBytes(Fp.div(Fp.ONE + y, Fp.ONE - y))
  const back = x25519(NEGATION, u)
  return back !== undefined && equalBytes(back, u)
}

/** 5·L - 1, little-endian: as X25519 clamps it, it stays as it is. */
const NEGATION = fromHex('a023cdd083ef5bb82f10d62e59e15a6800000000000000000000000000000050')

function checkKey(publicKey: Bytes, key: string): boolean {
  if (!isCanonical(publicKey) || SMALL_ORDER.has(key)) return false
  try {
    return ed25519.Point.fromBytes(publicKey).isTorsionFree()
  } catch {
    return false
  }
}

function isCanonical(point: Bytes): boolean {
  return isLess(withoutSign(point), P)
}

/** The encoding's y: its highest bit is the sign of x. */
function withoutSign(point: Bytes): Bytes {
  return point.with(31, (point[31] as number) & 0x7f)
}

/** Public values only: this comparison is not constant-time and need not be. */
function isLess(a: Bytes, b: Bytes): boolean {
  for (let i = 31; i >= 0; i--) {
    const [x, y] = [a[i] as number, b[i] as number]
    if (x !== y) return x < y
  }
  return false
}
