import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accumulate } from '#aggregation/accumulate.ts'
import { clip, normOf } from '#aggregation/clip.ts'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { dequantise, evaluationRowsMax, integerQuantiserFor, quantise, quantiserFor } from '#aggregation/quantise.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { HEADER_LANES, lanesOf } from '#aggregation/vector.ts'
import { once } from '#protocol/bytes.ts'
import { COHORT_MAX, WEIGHT_MAX } from '#protocol/limits.ts'
import { quantiserSchema } from '#protocol/plan.ts'
import { taskSchema } from '#protocol/task.ts'
import { must, seed, unscored, updatesFor, vectorOf } from './given.ts'

const quantiser = quantiserFor({ clipNormMicro: 10_000_000, rowsMax: 4_000, cohortMax: 40 })
const none = { rows: 0, correct: 0, lossSumNats: 0 }
const tasks = fc.record({
  clipNormMicro: fc.integer({ min: 1, max: 1_000_000_000_000 }),
  rowsMax: fc.integer({ min: 1, max: WEIGHT_MAX }),
  cohortMax: fc.integer({ min: 2, max: COHORT_MAX }),
})

describe('clipping', () => {
  const deltas = fc.float32Array({ minLength: 1, maxLength: 30, noNaN: true, noDefaultInfinity: true })

  test('a delta within the norm is left as it is', () => {
    const delta = Float32Array.of(3, -4)
    expect(clip(delta, 5)).toBe(delta)
  })

  test('no clipped delta is longer than the norm, to the last bit', () => {
    fc.assert(
      fc.property(deltas, fc.integer({ min: 1, max: 1_000_000_000 }), (delta, micro) => {
        expect(normOf(clip(delta, micro / 1_000_000))).toBeLessThanOrEqual(micro / 1_000_000)
      }),
      { numRuns: 500 },
    )
  })

  test('a clipped delta keeps its direction, and all but a ten-millionth of the norm', () => {
    const clipped = clip(Float32Array.of(30, -40), 5)
    expect(clipped[0]).toBeCloseTo(3, 5)
    expect(clipped[1]).toBeCloseTo(-4, 5)
    expect(normOf(clipped)).toBeGreaterThan(5 * (1 - 3e-7))
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    '%d in a delta outlives clipping, so that quantising refuses it',
    (bad) => {
      const delta = clip(Float32Array.of(1, bad, 2), 1)
      expect(quantise({ delta, weight: 1, evaluation: none }, quantiser, () => 0, NO_SCORES)).toMatchObject({
        refusal: 'not-finite',
      })
    },
  )
})

describe('the quantiser of a task', () => {
  test('no lane of a full cohort can wrap, and the plan can carry it', () => {
    fc.assert(
      fc.property(tasks, (task) => {
        const made = quantiserFor(task)
        expect(quantiserSchema.parse(made)).toEqual(made)
        const rows = evaluationRowsMax(made)
        const n = BigInt(made.nMax)
        for (const largest of [2n ** BigInt(made.bits) - 1n, BigInt(made.weightMax), BigInt(rows) * 64n, 65_535n])
          expect(n * largest).toBeLessThan(2n ** 32n)
        expect(n * (BigInt(rows) + 1n) * 64n).toBeGreaterThanOrEqual(2n ** 32n - 1n)
      }),
    )
  })

  test('it has all the bits that fit, and at most 24', () => {
    expect(
      [2, 5, 256, 257, 1_024, 1_025, 4_096].map(
        (cohortMax) => quantiserFor({ clipNormMicro: 1, rowsMax: 1, cohortMax }).bits,
      ),
    ).toEqual([24, 24, 24, 23, 22, 21, 20])
  })

  test('a task always has a range: lanes of whole numbers are for statistics alone', () => {
    fc.assert(fc.property(tasks, (task) => expect(quantiserFor(task).rangeMicro).toBeGreaterThanOrEqual(1)))
    expect(() => quantiserFor({ clipNormMicro: 0, rowsMax: 1, cohortMax: 5 })).toThrow('which have a range')
    expect(taskSchema.shape.clipNormMicro.safeParse(0).success).toBe(false)
    expect(taskSchema.shape.clipNormMicro.safeParse(1).success).toBe(true)
    const whole = integerQuantiserFor(128)
    expect(whole).toEqual({ bits: 24, rangeMicro: 0, weightMax: 1, nMax: 128 })
    expect(quantiserSchema.parse(whole)).toEqual(whole)
  })

  test('a site of real size may hold out every row that the evaluation counts', () => {
    expect(evaluationRowsMax(quantiserFor({ clipNormMicro: 1, rowsMax: WEIGHT_MAX, cohortMax: 5 }))).toBeGreaterThan(
      WEIGHT_MAX,
    )
  })
})

describe('stochastic rounding', () => {
  const { levels, range } = { levels: 2 ** quantiser.bits - 1, range: 10 }

  test('moves a coordinate by less than one step and never saturates a clipped one', () => {
    fc.assert(
      fc.property(updatesFor(12, quantiser, { min: 1, max: 1 }), fc.nat(), ([update], number) => {
        if (!update) return
        const lanes = must(quantise(update, quantiser, uint32Stream(seed(number)), NO_SCORES))
        for (const [index, coordinate] of update.delta.entries()) {
          const value = ((coordinate * update.weight) / quantiser.weightMax + range) * (levels / (2 * range))
          expect(value).toBeGreaterThanOrEqual(-1e-6)
          expect(value).toBeLessThanOrEqual(levels + 1e-6)
          expect(Math.abs((lanes[HEADER_LANES + index] as number) - value)).toBeLessThan(1 + 1e-6)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('a coordinate at the end of the range keeps its lane at the end, whatever the chance', () => {
    for (const word of [0, 1, 2 ** 31, 2 ** 32 - 1]) {
      const lanes = must(
        quantise({ delta: Float32Array.of(10), weight: 4_000, evaluation: none }, quantiser, () => word, NO_SCORES),
      )
      expect(lanes[HEADER_LANES]).toBe(levels)
      const low = must(
        quantise({ delta: Float32Array.of(-10), weight: 4_000, evaluation: none }, quantiser, () => word, NO_SCORES),
      )
      expect(low[HEADER_LANES]).toBe(0)
    }
  })

  test('adds no bias: the mean of many roundings is the value, within six standard errors', () => {
    const draws = 20_000
    for (const coordinate of [0, 1e-7, 0.123, -3.75, 7.7777]) {
      const delta = new Float32Array(draws).fill(coordinate / Math.sqrt(draws))
      const coarse = { ...quantiser, bits: 8 }
      const lanes = must(quantise({ delta, weight: 4_000, evaluation: none }, coarse, uint32Stream(seed(5)), NO_SCORES))
      const value = ((delta[0] as number) + range) * (255 / (2 * range))
      const part = value - Math.floor(value)
      const mean = lanes.subarray(HEADER_LANES, HEADER_LANES + draws).reduce((sum, lane) => sum + lane, 0) / draws
      expect(Math.abs(mean - value)).toBeLessThanOrEqual(6 * Math.sqrt((part * (1 - part)) / draws) + 1e-9)
    }
  })

  test('the same seed gives the same bytes, another seed others', () => {
    const update = { delta: new Float32Array(50).fill(0.1), weight: 7, evaluation: none }
    expect(vectorOf(update, quantiser, 1)).toEqual(vectorOf(update, quantiser, 1))
    expect(vectorOf(update, quantiser, 2)).not.toEqual(vectorOf(update, quantiser, 1))
  })
})

describe('the mean of a sum', () => {
  const parameters = 6
  const step = 20 / (2 ** quantiser.bits - 1)

  test('is the weighted mean of the deltas, within the rounding of its reports', async () => {
    await fc.assert(
      fc.asyncProperty(updatesFor(parameters, quantiser, { min: 1, max: 40 }), fc.nat(), async (updates, number) => {
        const reports = updates.map((update, seat) => once(vectorOf(update, quantiser, number + seat)))
        const found = must(
          dequantise(must(await accumulate(reports, lanesOf(parameters))), unscored(parameters), quantiser),
        )
        const total = updates.reduce((sum, { weight }) => sum + weight, 0)
        expect([found.reports, found.weight]).toEqual([updates.length, total])
        const scale = quantiser.weightMax / total
        for (let i = 0; i < parameters; i++) {
          const truth = updates.reduce((sum, { delta, weight }) => sum + (delta[i] as number) * weight, 0) / total
          const error = Math.abs((found.mean[i] as number) - truth)
          // Surely less than a step a report; and 8 standard deviations of a sum of roundings, s·√m/2 each.
          expect(error).toBeLessThan(updates.length * step * scale * 1.001)
          expect(error).toBeLessThan(4 * step * Math.sqrt(updates.length) * scale * 1.001)
        }
      }),
    )
  })

  test('adds the evaluations up exactly', async () => {
    await fc.assert(
      fc.asyncProperty(updatesFor(0, quantiser, { min: 1, max: 40 }), async (updates) => {
        const reports = updates.map((update) => once(vectorOf(update, quantiser)))
        const { evaluation } = must(dequantise(must(await accumulate(reports, lanesOf(0))), unscored(0), quantiser))
        const add = (of: (update: (typeof updates)[number]) => number) =>
          updates.reduce((sum, update) => sum + of(update), 0)
        expect(evaluation).toEqual({
          rows: add((update) => update.evaluation.rows),
          correct: add((update) => update.evaluation.correct),
          lossQ16: add((update) => Math.round(update.evaluation.lossSumNats * 65_536)),
        })
      }),
    )
  })

  test('a full cohort with the largest figures still recombines exactly', async () => {
    const full = quantiserFor({ clipNormMicro: 1_000_000, rowsMax: WEIGHT_MAX, cohortMax: 64 })
    const rows = evaluationRowsMax(full)
    const update = {
      delta: Float32Array.of(1),
      weight: WEIGHT_MAX,
      evaluation: { rows, correct: rows, lossSumNats: rows * 64 - 2 ** -16 },
    }
    const reports = Array.from({ length: 64 }, () => once(vectorOf(update, full)))
    const found = must(dequantise(must(await accumulate(reports, lanesOf(1))), unscored(1), full))
    expect(found.weight).toBe(64 * WEIGHT_MAX)
    expect(found.mean[0]).toBeCloseTo(1, 12)
    expect(BigInt(found.evaluation.lossQ16)).toBe(64n * (BigInt(rows) * 64n * 65_536n - 1n))
  })

  test('equals the rational number that the formula names, but for float64', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), fc.nat(), (reports, chance, extra) => {
        const levels = 2n ** BigInt(quantiser.bits) - 1n
        const weight = reports + (extra % (reports * (quantiser.weightMax - 1) + 1))
        // Anywhere that this weight reaches.
        const reach = Math.floor((Number(levels) / 2) * (weight / quantiser.weightMax))
        const middle = Math.floor((reports * Number(levels)) / 2)
        const lane = middle - reach + (chance % (2 * reach + 1))
        const sum = new Uint32Array(lanesOf(1))
        sum.set([weight, reports])
        sum[HEADER_LANES] = lane
        const { mean } = must(dequantise(sum, unscored(1), quantiser))
        // (S·2C/L − m·C)·wMax/W with C = 10, over the common denominator L·W, in units of 2^-60.
        const exact =
          ((BigInt(lane) * 20n - BigInt(reports) * 10n * levels) * BigInt(quantiser.weightMax) * 2n ** 60n) /
          (levels * BigInt(weight))
        const found = BigInt(Math.round((mean[0] as number) * 2 ** 30)) * 2n ** 30n
        const difference = found > exact ? found - exact : exact - found
        expect(Number(difference) / 2 ** 60).toBeLessThan(2 ** -31 + (1e-14 * reports * quantiser.weightMax) / weight)
      }),
      { numRuns: 300 },
    )
  })
})

describe('an update that a node must not send', () => {
  const sound = { delta: Float32Array.of(1, 2), weight: 10, evaluation: { rows: 4, correct: 3, lossSumNats: 5 } }
  const refusalOf = (update: typeof sound) => quantise(update, quantiser, () => 0, NO_SCORES)

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('a loss of %d is refused', (lossSumNats) => {
    expect(refusalOf({ ...sound, evaluation: { ...sound.evaluation, lossSumNats } })).toMatchObject({
      refusal: 'not-finite',
    })
  })

  test.each([0, -1, 1.5, 4_001, Number.NaN])('a weight of %d is refused', (weight) => {
    expect(refusalOf({ ...sound, weight })).toMatchObject({ refusal: 'weight-out-of-range' })
  })

  test.each([
    { rows: -1 },
    { rows: 2 ** 31 },
    { rows: 3.5 },
    { correct: 5 },
    { correct: -1 },
    { lossSumNats: -0.1 },
    { lossSumNats: 4 * 64 + 1 },
    { rows: evaluationRowsMax(quantiser) + 1 },
  ])('an evaluation with %o is refused', (change) => {
    expect(refusalOf({ ...sound, evaluation: { ...sound.evaluation, ...change } })).toMatchObject({
      refusal: 'evaluation-out-of-range',
    })
  })

  test('a delta that nobody clipped is a mistake of ours', () => {
    expect(() => refusalOf({ ...sound, delta: Float32Array.of(8, 8) })).toThrow('clipped before')
  })
})
