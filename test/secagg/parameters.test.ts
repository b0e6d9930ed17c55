import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Params } from '#aggregation/secagg/messages.ts'
import { checkParameters, checkPolicy, defaultMaxCorrupt, secureRule } from '#aggregation/secagg/parameters.ts'
import { leastSurvivors } from '#aggregation/secagg/session.ts'
import { must } from '#test/aggregation/given.ts'

/** The specification's table with R12's threshold. */
const TABLE = [
  { n: 3, C: 1, q: 3, t: 2 },
  { n: 4, C: 1, q: 3, t: 2 },
  { n: 5, C: 1, q: 4, t: 3 },
  { n: 7, C: 2, q: 5, t: 4 },
  { n: 10, C: 3, q: 7, t: 6 },
  { n: 10, C: 1, q: 6, t: 5 },
  { n: 20, C: 6, q: 14, t: 11 },
  { n: 50, C: 16, q: 34, t: 26 },
  { n: 100, C: 33, q: 67, t: 51 },
  { n: 128, C: 42, q: 86, t: 65 },
] as const

const quantiser = { bits: 24, rangeMicro: 10_000_000, weightMax: 1, nMax: 128 }

function paramsOf(n: number, C: number): Params {
  return { laneBits: 32, d: 5, quantiser, s2: 0, ...must(secureRule(n, { maxCorrupt: C })) }
}

describe('the thresholds', () => {
  test.each(TABLE)('of $n members with $C corrupt are q = $q and t = $t', ({ n, C, q, t }) => {
    expect(must(secureRule(n, { maxCorrupt: C }))).toEqual({ C, q, t, live: q - 1 })
  })

  test('leave no two certified sets, no secret to the corrupt, and two honest others, for every size and C', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 128 }), fc.integer({ min: 1, max: 126 }), (n, C) => {
        const rule = secureRule(n, { maxCorrupt: C })
        if (n < C + 2) return expect(rule).toMatchObject({ ok: false, refusal: 'too-few-members' })
        const { q, t } = must(rule)
        expect(2 * q).toBeGreaterThan(n + C)
        expect(q).toBeLessThanOrEqual(n)
        expect(t).toBeGreaterThan(C)
        expect(t).toBeLessThan(q)
        expect(leastSurvivors(paramsOf(n, C))).toBeGreaterThanOrEqual(C + 2)
      }),
      { numRuns: 500 },
    )
  })

  test('count the corrupt of the whole population: a fifth, at least one', () => {
    expect([3, 5, 6, 10, 11, 20, 101].map(defaultMaxCorrupt)).toEqual([1, 1, 1, 1, 2, 3, 20])
  })
})

describe('parameters that a policy attack would choose are refused', () => {
  const good = paramsOf(10, 2)
  const policy = { maxCorrupt: 2, nMin: 5 }

  test('and the right ones are not', () => {
    expect(checkPolicy(good, 10, policy).ok).toBe(true)
  })

  test.each([
    ['C = 0', { C: 0, q: 6, t: 6 }, 'too-few-corrupt'],
    ['C below the policy', { ...paramsOf(10, 1) }, 'too-few-corrupt'],
    ['q too low', { q: good.q - 1 }, 'wrong-quorum'],
    ['q too high', { q: good.q + 1 }, 'wrong-quorum'],
    ['t at C', { t: 2 }, 'wrong-threshold'],
    ['t at q', { t: good.q }, 'wrong-threshold'],
    ['t one above the formula', { t: good.t + 1 }, 'wrong-threshold'],
    ['live too low', { live: 1 }, 'wrong-live'],
    ['a sum that wraps', { quantiser: { ...quantiser, bits: 24, nMax: 257 } }, 'too-many-for-lanes'],
    ['weights that wrap', { quantiser: { ...quantiser, weightMax: 65_536, nMax: 65_536 } }, 'too-many-for-lanes'],
    ['more members than nMax', { quantiser: { ...quantiser, nMax: 9 } }, 'too-many-for-lanes'],
    ['noise', { s2: 4 }, 'noise-not-offered'],
  ] as readonly (readonly [string, Partial<Params>, string])[])('%s', (_, lie, refusal) => {
    expect(checkPolicy({ ...good, ...lie }, 10, policy)).toMatchObject({ ok: false, refusal })
  })

  test('a roster below the smallest, or of more members than one graph holds', () => {
    expect(checkPolicy(paramsOf(4, 2), 4, policy)).toMatchObject({ ok: false, refusal: 'too-few-members' })
    expect(checkParameters(good, 129)).toMatchObject({ ok: false, refusal: 'too-many-members' })
    expect(secureRule(2, { maxCorrupt: 1 })).toMatchObject({ ok: false, refusal: 'too-few-members' })
  })

  test('C that grew with a roster chosen by the coordinator is not enough: the population counts', () => {
    expect(checkPolicy(paramsOf(5, 1), 5, { maxCorrupt: 3 })).toMatchObject({ ok: false, refusal: 'too-few-corrupt' })
  })
})
