import { keystream } from '#crypto'
import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'

/**
 * Shamir's sharing of 32 bytes over GF(2^8), polynomial x^8 + x^4 + x^3 + x + 1 (0x11b), every byte by itself. Coordinates
 * are public; secrets and coefficients meet only shifts, masks and xors, four bytes a word, so that no table is indexed
 * and no branch is taken by them.
 */
const WORDS = 8

/** What one holder keeps: the polynomial at its coordinate. */
export type Share = { readonly x: number; readonly share: Bytes }

/**
 * The shares of holders 1 … n; any `t` of them give the secret back, fewer say nothing.
 *
 * @param coefficients a key: 32-byte block k (from 1) of its AES-256-CTR keystream from counter 0 on is that of x^k
 */
export function split(secret: Bytes, t: number, n: number, coefficients: Bytes): readonly Bytes[] {
  assert(secret.length === 32 && t >= 1 && t <= n && n <= 255, 'a secret of 32 bytes, t of at most 255')
  const next = keystream(coefficients, new Uint8Array(16))
  const polynomial = [words(secret)]
  for (let k = 1; k < t; k++) polynomial.push(words(next(32)))
  const shares = Array.from({ length: n }, (_, holder) => bytes(evaluate(polynomial, holder + 1)))
  for (const coefficient of polynomial) coefficient.fill(0)
  return shares
}

/** The secret, of exactly as many shares as its threshold; of other shares it is noise, which the caller finds out. */
export function combine(shares: readonly Share[]): Bytes {
  const secret = new Uint32Array(WORDS)
  for (const [weight, { share }] of weigh(shares)) {
    const value = words(share)
    addTimes(secret, value, weight)
    value.fill(0)
  }
  return bytes(secret)
}

/** Lagrange weights at 0: Π x_j ÷ Π (x_j − x_i), where minus is plus. Public, for their coordinates are. */
function weigh(shares: readonly Share[]): readonly (readonly [number, Share])[] {
  const places = new Set(shares.map(({ x }) => x))
  assert(places.size === shares.length && !places.has(0), 'shares at different places, none of them 0')
  return shares.map((own) => {
    let [above, below] = [1, 1]
    for (const { x } of shares) {
      if (x === own.x) continue
      above = times(above, x)
      below = times(below, x ^ own.x)
    }
    return [times(above, inverse(below)), own]
  })
}

/** Horner's rule, from the highest coefficient down. */
function evaluate(polynomial: readonly Uint32Array[], x: number): Uint32Array {
  let value = new Uint32Array(WORDS)
  for (const coefficient of polynomial.toReversed()) {
    const next = Uint32Array.from(coefficient)
    addTimes(next, value, x)
    value = next
  }
  return value
}

/** sum += value · factor in every byte. @param factor public */
function addTimes(sum: Uint32Array, value: Uint32Array, factor: number): void {
  for (let word = 0; word < WORDS; word++) {
    let power = value[word] as number
    for (let rest = factor; rest > 0; rest >>= 1) {
      if (rest & 1) sum[word] = (sum[word] as number) ^ power
      power = double(power)
    }
  }
}

/** Times x in each of a word's four bytes: shift, and where a top bit fell out, take 0x1b. */
function double(word: number): number {
  return ((word << 1) & 0xfefefefe) ^ (((word >>> 7) & 0x01010101) * 0x1b)
}

/** The product of two field elements. */
function times(a: number, b: number): number {
  let product = 0
  for (let power = a, rest = b; rest > 0; rest >>= 1, power = double(power) & 0xff) product ^= power & -(rest & 1)
  return product
}

/** a^254, since a^255 = 1. */
function inverse(a: number): number {
  let [power, result] = [times(a, a), 1]
  for (let bit = 1; bit < 8; bit++) {
    result = times(result, power)
    power = times(power, power)
  }
  return result
}

/** A byte's place in its word does not matter, as long as it comes back to it. */
function words(from: Bytes): Uint32Array {
  const out = new Uint32Array(WORDS)
  new Uint8Array(out.buffer).set(from.subarray(0, 32))
  return out
}

function bytes(from: Uint32Array): Bytes {
  return new Uint8Array(from.buffer)
}
