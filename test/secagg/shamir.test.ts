import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import * as privy from 'shamir-secret-sharing'
import { combine, split } from '#aggregation/secagg/shamir.ts'
import { keystream } from '#crypto'
import { concat, toHex } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { seed } from '#test/aggregation/given.ts'

/** GF(2^8) by logarithm tables, generator 3: another way to the same field. */
const [EXP, LOG] = [new Uint8Array(510), new Uint8Array(256)]
for (let power = 0, value = 1; power < 255; power++) {
  EXP[power] = value
  EXP[power + 255] = value
  LOG[value] = power
  const doubled = value < 128 ? value * 2 : (value * 2) ^ 0x11b
  value ^= doubled
}
const product = (a: number, b: number) => (a && b ? (EXP[(LOG[a] as number) + (LOG[b] as number)] as number) : 0)
const quotient = (a: number, b: number) => (a ? (EXP[(LOG[a] as number) + 255 - (LOG[b] as number)] as number) : 0)

function plainSplit(secret: Bytes, t: number, n: number, key: Bytes): readonly string[] {
  const next = keystream(key, new Uint8Array(16))
  const polynomial = [secret, ...Array.from({ length: t - 1 }, () => next(32).slice())]
  return Array.from({ length: n }, (_, holder) => {
    const share = secret.map((_, byte) => {
      let [sum, power] = [0, 1]
      for (const coefficient of polynomial) {
        sum ^= product(coefficient[byte] as number, power)
        power = product(power, holder + 1)
      }
      return sum
    })
    return toHex(share)
  })
}

function plainCombine(shares: readonly { readonly x: number; readonly share: Bytes }[]): string {
  const secret = new Uint8Array(32)
  for (const { x, share } of shares) {
    let weight = 1
    for (const other of shares) if (other.x !== x) weight = product(weight, quotient(other.x, other.x ^ x))
    for (const [byte, value] of share.entries()) secret[byte] = (secret[byte] as number) ^ product(value, weight)
  }
  return toHex(secret)
}

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const sizes = fc
  .integer({ min: 1, max: 128 })
  .chain((n) => fc.record({ n: fc.constant(n), t: fc.integer({ min: 1, max: n }) }))

/** A secret of one share is not one to the package. */
const pairs = sizes.filter(({ t }) => t > 1)

describe('shares', () => {
  test('are those of an implementation by logarithm tables', () => {
    fc.assert(
      fc.property(bytes32, bytes32, sizes, (secret, key, { n, t }) => {
        expect(split(secret, t, n, key).map(toHex)).toEqual(plainSplit(secret, t, n, key))
      }),
      { numRuns: 25 },
    )
  })

  test('give the secret back from any t of them, in any order', () => {
    fc.assert(
      fc.property(bytes32, sizes, fc.infiniteStream(fc.nat()), (secret, { n, t }, chance) => {
        const shares = split(secret, t, n, seed(7)).map((share, index) => ({ x: index + 1, share }))
        const drawn = shares
          .map((share) => ({ share, rank: chance.next().value as number }))
          .toSorted((a, b) => a.rank - b.rank)
          .slice(0, t)
          .map(({ share }) => share)
        expect(toHex(combine(drawn))).toBe(toHex(secret))
        expect(plainCombine(drawn)).toBe(toHex(secret))
      }),
      { numRuns: 50 },
    )
  })

  test('combine in the package shamir-secret-sharing, whose shares are the bytes and then the place', async () => {
    await fc.assert(
      fc.asyncProperty(bytes32, bytes32, pairs, async (secret, key, { n, t }) => {
        const theirs = split(secret, t, n, key).map((share, index) => concat(share, Uint8Array.of(index + 1)))
        expect(toHex(await privy.combine(theirs.slice(n - t)))).toBe(toHex(secret))
      }),
      { numRuns: 12 },
    )
  })

  test('of the package shamir-secret-sharing combine here', async () => {
    await fc.assert(
      fc.asyncProperty(bytes32, pairs, async (secret, { n, t }) => {
        const ours = (await privy.split(secret, n, t)).map((theirs) => ({
          x: theirs[32] as number,
          share: theirs.slice(0, 32),
        }))
        expect(toHex(combine(ours.slice(n - t)))).toBe(toHex(secret))
      }),
      { numRuns: 12 },
    )
  })

  test('fewer than t say nothing: what they combine to is uniform over 256 values', () => {
    const counts = new Float64Array(256)
    const rounds = 2_000
    for (let round = 0; round < rounds; round++) {
      const shares = split(new Uint8Array(32), 4, 5, seed(round)).map((share, index) => ({ x: index + 1, share }))
      for (const value of combine(shares.slice(0, 3))) counts[value] = (counts[value] as number) + 1
    }
    const expected = (rounds * 32) / 256
    const square = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    // 255 degrees of freedom: mean 255, standard deviation 22.6; the draw is fixed, so this cannot flicker.
    expect(square).toBeGreaterThan(255 - 4 * 22.6)
    expect(square).toBeLessThan(255 + 4 * 22.6)
  })

  test('of two sessions never combine: each has its own polynomial (R2)', () => {
    const secret = seed(1)
    const [first, second] = [seed(2), seed(3)].map((key) => split(secret, 2, 3, key)) as [
      readonly Bytes[],
      readonly Bytes[],
    ]
    const mixed = [
      { x: 1, share: first[0] as Bytes },
      { x: 2, share: second[1] as Bytes },
    ]
    expect(toHex(combine(mixed))).not.toBe(toHex(secret))
  })

  test('at one place twice are a mistake of ours', () => {
    const share = { x: 3, share: seed(1) }
    expect(() => combine([share, { ...share }])).toThrow('different places')
  })
})
