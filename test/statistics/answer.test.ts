import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { answerOf, type HistogramPart, type MomentsPart } from '#aggregation/statistics/answer.ts'
import { encodeTallies } from '#aggregation/statistics/lanes.ts'
import { nearest } from '#aggregation/statistics/rational.ts'
import { maximaOf, type Tally, tallyOf } from '#aggregation/statistics/tally.ts'
import { HEADER_LANES } from '#aggregation/vector.ts'
import { tallyTable } from '#client/data/tally.ts'
import type { Item } from '#protocol/question.ts'
import { must } from '#test/aggregation/given.ts'
import { quantiser, question, type Row, sitesOf, sumOf, table, tableOf, tallies } from './given.ts'

const moments = { kind: 'moments', column: 'x', lowMicro: 0, highMicro: 10_000_000, resolutionMicro: 300 } as const
const edges = [0, 2_000_000, 2_500_000, 7_000_000, 10_000_000]
const items: readonly Item[] = [
  { kind: 'count', column: null },
  { kind: 'count', column: 'c' },
  moments,
  { kind: 'histogram', column: 'x', edgesMicro: edges, quantilesPerMille: [1, 250, 500, 750, 999] },
  { kind: 'categories', column: 'c', levels: [0, 1, 3] },
]

const answer = async (asked: ReturnType<typeof question>, sites: readonly (readonly Row[])[]) =>
  must(answerOf(asked, await sumOf(asked, tallies(asked, sites.map(tableOf))), quantiser))

const present = (rows: readonly Row[]) => rows.map(({ micro }) => micro).filter((micro) => micro !== null)
const levels = (rows: readonly Row[]) => rows.map(({ level }) => level).filter((level) => level !== null)
const how = <T>(values: readonly T[], is: (value: T) => boolean) => values.filter(is).length

describe('the answer of any sites', () => {
  test('is, to the last row, what one table of all their rows says', async () => {
    await fc.assert(
      fc.asyncProperty(sitesOf(1), async (sites) => {
        fc.pre(sites.every((rows) => present(rows).length > 0 && levels(rows).length > 0))
        const found = await answer(question(items), sites)
        const rows = sites.flat()
        const [x, c] = [present(rows), levels(rows)]
        const steps = x.map((micro) => (BigInt(Math.min(Math.max(micro, 0), 10_000_000)) * 2n + 300n) / 600n)
        expect(found).toMatchObject({
          sites: sites.length,
          parts: [
            { rows: rows.length, missing: null },
            { rows: rows.length, missing: rows.length - c.length },
            {
              ...{ missing: rows.length - x.length, suppressed: 0, values: x.length },
              sumSteps: steps.reduce((sum, step) => sum + step, 0n),
              squaresSteps: steps.reduce((sum, step) => sum + step * step, 0n),
              clipped: {
                atLeast: how(x, (micro) => micro < 0 || micro > 10_000_000),
                atMost: how(x, (micro) => micro < 0 || micro > 10_000_000),
              },
            },
            {
              ...{ missing: rows.length - x.length, suppressed: 0, values: x.length },
              below: how(x, (micro) => micro < 0),
              bins: [
                { lowMicro: 0, highMicro: 2_000_000, rows: how(x, (micro) => micro >= 0 && micro < 2_000_000) },
                { rows: how(x, (micro) => micro >= 2_000_000 && micro < 2_500_000) },
                { rows: how(x, (micro) => micro >= 2_500_000 && micro < 7_000_000) },
                { rows: how(x, (micro) => micro >= 7_000_000 && micro <= 10_000_000) },
              ],
              above: how(x, (micro) => micro > 10_000_000),
            },
            {
              ...{ missing: rows.length - c.length, suppressed: 0, values: c.length },
              levels: [0, 1, 3].map((level) => ({ level, rows: how(c, (value) => value === level) })),
              other: how(c, (value) => ![0, 1, 3].includes(value)),
            },
          ],
        })
      }),
      { numRuns: 200 },
    )
  })

  test('has the mean and the variance of the rounded values, computed in the other order', async () => {
    await fc.assert(
      fc.asyncProperty(sitesOf(2), async (sites) => {
        fc.pre(sites.every((rows) => present(rows).length > 0))
        const found = (await answer(question([moments]), sites)).parts[0] as MomentsPart
        const values = present(sites.flat()).map(
          (micro) => (Math.floor((Math.min(Math.max(micro, 0), 10_000_000) * 2 + 300) / 600) * 300) / 1e6,
        )
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length
        const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
        expect(found.mean).toBeCloseTo(mean, 10)
        expect(found.variance).toBeCloseTo(variance, 8)
      }),
    )
  })

  test('rounding costs the mean at most half a step', async () => {
    await fc.assert(
      fc.asyncProperty(sitesOf(1), fc.integer({ min: 1, max: 3_000_000 }), async (sites, resolutionMicro) => {
        fc.pre(sites.every((rows) => present(rows).length > 0))
        const item = { ...moments, lowMicro: -3_000_000, highMicro: 13_000_000, resolutionMicro }
        const found = (await answer(question([item]), sites)).parts[0] as MomentsPart
        const x = present(sites.flat())
        const mean = x.reduce((sum, micro) => sum + micro, 0) / x.length / 1e6
        expect(Math.abs((found.mean as number) - mean)).toBeLessThanOrEqual(resolutionMicro / 2e6 + 1e-9)
        expect(found.clipped).toEqual({ atLeast: 0, atMost: 0 })
      }),
    )
  })
})

describe('what is suppressed at a site', () => {
  const asked = question(items, { minCell: 8 })

  test('no cell, no sum and no remainder that leaves a site is of one to seven rows', () => {
    fc.assert(
      fc.property(sitesOf(20), (sites) => {
        fc.pre(sites.every((rows) => present(rows).length >= 8 && levels(rows).length >= 8))
        for (const site of tallies(asked, sites.map(tableOf)))
          for (const tally of site) {
            if (tally.kind === 'count') continue
            const groups =
              tally.kind === 'moments'
                ? [tally.values, tally.suppressed, tally.clipped]
                : [...tally.cells, tally.suppressed]
            for (const rows of groups) expect(rows === 0n || rows >= 8n).toBe(true)
          }
      }),
    )
  })

  test('is counted: published cells, suppressed and missing rows are all rows, and moments have the published ones', async () => {
    await fc.assert(
      fc.asyncProperty(sitesOf(20), async (sites) => {
        fc.pre(sites.every((rows) => present(rows).length >= 8 && levels(rows).length >= 8))
        const { parts } = await answer(asked, sites)
        const rows = sites.flat().length
        const [, , found, histogram, categories] = parts as [object, object, MomentsPart, HistogramPart, HistogramPart]
        for (const part of [found, histogram, categories])
          expect(part.missing + part.suppressed + part.values).toBe(rows)
        expect([found.values, found.suppressed]).toEqual([histogram.values, histogram.suppressed])
        expect(found.clipped).toEqual({
          atLeast: histogram.below + histogram.above,
          atMost: histogram.below + histogram.above,
        })
      }),
    )
  })

  test('leaves no trace but its rows: others in the same suppressed cells make the same vector', () => {
    const site = (small: readonly number[]) => table({ x: [...Array.from({ length: 30 }, () => 5), ...small] })
    const half = question([moments, items[3] as Item], { minCell: 8 })
    const lanes = (small: readonly number[]) => encodeTallies(half, must(tallyTable(site(small), half)), quantiser)
    const [three, nine] = [
      [1, 1, 1],
      [2.1, 2.2, 2.3, 2.4, 2.1, 2.2, 2.3, 2.4, 2.1],
    ]
    // Three rows are too few, and give themselves away unless the nine go with them.
    expect(must(tallyTable(site([...three, ...nine]), half))[1]).toMatchObject({
      suppressed: 12n,
      cells: [0n, 0n, 0n, 30n, 0n, 0n],
    })
    const other = [0, 0.5, 1.9, 1.2, ...nine.slice(1)]
    expect(lanes(other)).toEqual(lanes([...three, ...nine]))
  })

  test('a few values beyond the bounds are not told, and the answer says that they may be there', async () => {
    const alone = question([moments], { minCell: 8 })
    const site = (beyond: number) =>
      Array.from({ length: 20 }, (_, row): Row => ({ micro: row < beyond ? 11_000_000 : 5_000_000, level: null }))
    const { parts } = await answer(alone, [site(0), site(7), site(9), site(1)])
    expect(parts).toMatchObject([{ values: 80, clipped: { atLeast: 9, atMost: 9 + 2 * 7 } }])
  })

  test('a site of fewer rows, or of fewer values of a column, takes no part', () => {
    const values = (count: number) => Array.from({ length: count }, () => 1)
    const gaps = (count: number) => Array.from({ length: count }, () => null)
    expect(tallyTable(table({ x: values(7), c: values(7) }), asked)).toMatchObject({ refusal: 'too-few-rows' })
    expect(tallyTable(table({ x: [...values(7), ...gaps(9)], c: values(16) }), asked)).toMatchObject({
      refusal: 'too-few-values',
      detail: 'column x has 7, at least 8',
    })
    expect(tallyTable(table({ x: values(8), c: values(8) }), asked).ok).toBe(true)
  })
})

describe('a quantile', () => {
  test('lies within its bounds, whatever was suppressed, and so does its estimate', async () => {
    await fc.assert(
      fc.asyncProperty(sitesOf(12), fc.integer({ min: 1, max: 10 }), async (sites, minCell) => {
        fc.pre(sites.every((rows) => present(rows).length >= minCell))
        const asked = question([items[3] as Item], { minCell })
        const { quantiles, suppressed } = (await answer(asked, sites)).parts[0] as HistogramPart
        const sorted = present(sites.flat()).toSorted((a, b) => a - b)
        for (const { perMille, estimate, low, high } of quantiles) {
          const truth = (sorted[Math.max(1, Math.ceil((perMille * sorted.length) / 1000)) - 1] as number) / 1e6
          expect(truth).toBeGreaterThanOrEqual(low ?? Number.NEGATIVE_INFINITY)
          expect(truth).toBeLessThanOrEqual(high ?? Number.POSITIVE_INFINITY)
          if (estimate === null) continue
          expect(estimate).toBeGreaterThanOrEqual(low ?? estimate)
          expect(estimate).toBeLessThanOrEqual(high ?? estimate)
        }
        if (suppressed > 0) return
        // Nothing is hidden: the bounds are one bin's.
        for (const { low, high } of quantiles)
          if (low !== null && high !== null) expect(edges.indexOf(high * 1e6) - edges.indexOf(low * 1e6)).toBe(1)
      }),
      { numRuns: 200 },
    )
  })

  test('of values that lie evenly in their bin is the value', async () => {
    const site = () => Array.from({ length: 100 }, (_, row): Row => ({ micro: 100_000 * row + 50_000, level: null }))
    const item = { ...(items[3] as Item), edgesMicro: [0, 5_000_000, 10_000_000], quantilesPerMille: [250, 500, 900] }
    const { quantiles } = (await answer(question([item as Item]), [site(), site(), site()])).parts[0] as HistogramPart
    expect(quantiles).toEqual([
      { perMille: 250, estimate: 2.5, low: 0, high: 5 },
      { perMille: 500, estimate: 5, low: 0, high: 5 },
      { perMille: 900, estimate: 9, low: 5, high: 10 },
    ])
  })
})

describe('128 sites that say the most they may', () => {
  const widest: readonly Item[] = [
    { kind: 'count', column: 'y' },
    { ...moments, lowMicro: 0, highMicro: 2 ** 24, resolutionMicro: 1 },
    { kind: 'histogram', column: 'x', edgesMicro: [0, 2 ** 24], quantilesPerMille: [] },
    { kind: 'categories', column: 'c', levels: [0] },
  ]
  const asked = question(widest)
  const most = widest.map((item) => tallyOf(item, maximaOf(item)))

  test('wrap no lane: each of a site is below 2^24, and their sum is exact', async () => {
    const lanes = encodeTallies(asked, most, quantiser)
    expect(quantiser.bits).toBe(24)
    for (const lane of lanes) expect(lane).toBeLessThan(2 ** 24)
    const sum = await sumOf(asked, Array(128).fill(most))
    for (const [index, lane] of lanes.entries()) expect(sum[index]).toBe(lane * 128)
  })

  test('are answered when it makes sense', async () => {
    const rows = 2n ** 32n
    const sensible: readonly Tally[] = [
      { kind: 'count', rows, missing: rows },
      {
        kind: 'moments',
        ...{ missing: 0n, suppressed: 0n, values: rows, clipped: rows, concealed: 0n },
        ...{ sum: rows * 2n ** 24n, squares: rows * 2n ** 48n },
      },
      { kind: 'cells', missing: 0n, suppressed: 0n, cells: [0n, rows, 0n] },
      { kind: 'cells', missing: 0n, suppressed: rows, cells: [0n, 0n] },
    ]
    const { parts } = must(answerOf(asked, await sumOf(asked, Array(128).fill(sensible)), quantiser))
    expect(parts).toMatchObject([
      { rows: 2 ** 39, missing: 2 ** 39 },
      { values: 2 ** 39, mean: 16.777216, variance: 0, squaresSteps: 2n ** 87n },
      { bins: [{ rows: 2 ** 39 }] },
      { suppressed: 2 ** 39, values: 0 },
    ])
  })
})

describe('a sum that is not answered', () => {
  const asked = question(items)
  const rows: readonly Row[] = [0, 1, 2, 3].map((level) => ({ micro: level * 1_000_000, level }))
  const site = must(tallyTable(tableOf(rows), asked))
  const refusal = async (sites: readonly (readonly Tally[])[], change: Readonly<Record<number, number>> = {}) => {
    const sum = await sumOf(asked, sites)
    for (const [lane, value] of Object.entries(change)) sum[Number(lane)] = value
    return answerOf(asked, sum, quantiser)
  }
  const altered = (index: number, change: object) =>
    site.map((tally, at) => (at === index ? { ...tally, ...change } : tally)) as readonly Tally[]

  test('is of fewer sites than the question asks for', async () => {
    expect(await refusal([site, site])).toMatchObject({ refusal: 'cohort-too-small' })
    expect(await refusal([site, site, site])).toMatchObject({ ok: true })
  })

  test('has another length', async () => {
    const other = question(items.slice(0, 1))
    expect(answerOf(asked, await sumOf(other, [site.slice(0, 1)]), quantiser)).toMatchObject({
      refusal: 'wrong-length',
    })
  })

  test.each([
    ['a weight other than its reports', { 0: 4 }, 'bad-header'],
    ['a header lane', { 2: 1 }, 'bad-header'],
    ['a lane above what its reports can say', { [HEADER_LANES]: 3 * (2 ** 24 - 1) + 1 }, 'out-of-range'],
    ['a number above what its sites may say', { [HEADER_LANES + 1]: 3 * 2 ** 8 + 1 }, 'out-of-range'],
  ])('has %s', async (_, change, expected) => {
    expect(await refusal([site, site, site], change)).toMatchObject({ refusal: expected })
  })

  test.each([
    ['items of different rows', 0, { rows: 5n }],
    ['other gaps of one column', 4, { missing: 1n, cells: [1n, 1n, 1n, 0n] }],
    ['gaps in no column', 0, { missing: 1n }],
    ['more gaps than rows', 1, { missing: 5n }],
    ['a sum above its squares', 2, { sum: 30_000n, squares: 20_000n }],
    ['squares above the largest', 2, { sum: 10_000n, squares: 10_000n * 33_335n }],
    ['squares below those of the mean', 2, { sum: 20_000n, squares: 99_999_999n }],
    ['more values beyond the bounds than values', 2, { clipped: 13n }],
  ])('says %s', async (_, index, change) => {
    expect(await refusal(Array(3).fill(altered(index, change)))).toMatchObject({ refusal: 'inconsistent' })
  })

  test('nobody can say: a small cell is a mistake of ours before it is encoded', () => {
    const strict = question(items, { minCell: 4 })
    expect(() => encodeTallies(strict, site, quantiser)).toThrow('never leaves its site')
  })
})

test('a fraction becomes the float64 nearest to it', () => {
  const exact = (value: number): readonly [bigint, bigint] => {
    let power = 0
    while (!Number.isInteger(value * 2 ** power)) power++
    return [BigInt(value * 2 ** power), 2n ** BigInt(power)]
  }
  const bits = new DataView(new ArrayBuffer(8))
  const neighbour = (value: number, by: bigint) => {
    bits.setFloat64(0, value)
    bits.setBigInt64(0, bits.getBigInt64(0) + by)
    return bits.getFloat64(0)
  }
  const distance = (value: number, n: bigint, d: bigint) => {
    const [a, b] = exact(value)
    const difference = a * d - n * b
    // Over the common denominator b·d, of which b differs between neighbours.
    return [difference < 0n ? -difference : difference, b * d] as const
  }
  const numbers = fc.bigInt({ min: 1n, max: 2n ** 90n })
  fc.assert(
    fc.property(numbers, numbers, fc.boolean(), (n, d, negative) => {
      const found = nearest(negative ? -n : n, d)
      expect(found < 0).toBe(negative)
      const [error, over] = distance(Math.abs(found), n, d)
      for (const by of [-1n, 1n]) {
        const [other, under] = distance(neighbour(Math.abs(found), by), n, d)
        expect(error * under <= other * over).toBe(true)
      }
    }),
    { numRuns: 500 },
  )
  expect(nearest(0n, 7n)).toBe(0)
  // Ties go to even.
  expect([nearest(2n ** 53n + 1n, 1n), nearest(2n ** 53n + 3n, 1n)]).toEqual([2 ** 53, 2 ** 53 + 4])
})
