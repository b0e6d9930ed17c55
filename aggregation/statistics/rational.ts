import { assert } from '#protocol/assert.ts'

/** Bits of a quotient before it is rounded: 53 stay, the others and whether anything follows them say which way. */
const BITS = 55

/** The float64 nearest to a fraction, ties to even: the same bits for everybody. Of neither a very large nor a tiny one. */
export function nearest(numerator: bigint, denominator: bigint): number {
  assert(denominator > 0n, 'a fraction has a denominator above zero')
  if (numerator < 0n) return -nearest(-numerator, denominator)
  const shift = Math.max(0, BITS + lengthOf(denominator) - lengthOf(numerator))
  const scaled = numerator << BigInt(shift)
  const inexact = scaled % denominator === 0n ? 0n : 1n
  return Number(((scaled / denominator) << 1n) | inexact) / 2 ** (shift + 1)
}

function lengthOf(number: bigint): number {
  return number.toString(2).length
}
