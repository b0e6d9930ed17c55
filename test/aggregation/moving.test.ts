import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accumulate } from '#aggregation/accumulate.ts'
import { clip, normOf } from '#aggregation/clip.ts'
import { inspectVector } from '#aggregation/inspect.ts'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { bound, dequantise, quantise, quantiserFor } from '#aggregation/quantise.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { decodeLanes, encodeLanes, HEADER_LANES, lanesOf } from '#aggregation/vector.ts'
import { once } from '#protocol/bytes.ts'
import { must, seed, unscored } from './given.ts'

/** Three weights that gradients move, and two statistics: a range that no float32 is. */
const [weights, moving] = [3, 2]
const payload = { ...unscored(weights + moving), moving }
const lanes = lanesOf(weights + moving)
const task = { clipNormMicro: 2_000_000, rowsMax: 1_000, cohortMax: 40 }
const quantiser = quantiserFor({ ...task, movingRangeMicro: 100_000 })
const [range, movingRange] = [2, 0.1]
const levels = 2 ** quantiser.bits - 1
const none = { rows: 0, correct: 0, lossSumNats: 0 }

const float = (far: number) => fc.float({ min: -far, max: far, noNaN: true })
const deltas = fc
  .tuple(
    fc.array(float(4), { minLength: weights, maxLength: weights }),
    fc.array(fc.oneof(float(0.125), float(2 ** 40)), { minLength: moving, maxLength: moving }),
  )
  .map(([first, last]) => Float32Array.from([...first, ...last]))
const reports = fc.array(fc.record({ delta: deltas, weight: fc.integer({ min: 1, max: quantiser.weightMax }) }), {
  minLength: 1,
  maxLength: 8,
})

const vectorOf = (delta: Float32Array, weight: number, number: number) =>
  encodeLanes(
    must(quantise({ delta, weight, evaluation: none }, quantiser, uint32Stream(seed(number)), NO_SCORES, moving)),
  )

describe('a delta with moving statistics', () => {
  test('has its weights within the norm and each statistic within its own range, to the last bit', () => {
    fc.assert(
      fc.property(deltas, (delta) => {
        const bounded = bound(delta, quantiser, moving)
        expect([...bounded.subarray(0, weights)]).toEqual([...clip(delta.subarray(0, weights), range)])
        expect(normOf(bounded.subarray(0, weights))).toBeLessThanOrEqual(range)
        for (const [index, value] of bounded.subarray(weights).entries()) {
          const before = delta[weights + index] as number
          expect(Math.abs(value)).toBeLessThanOrEqual(movingRange)
          if (Math.abs(before) <= movingRange) expect(value).toBe(before)
          else expect(value / Math.sign(before)).toBeCloseTo(movingRange, 6)
        }
      }),
    )
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('and %d among these is refused', (bad) => {
    const delta = bound(Float32Array.of(1, 0, 0, 0, bad), quantiser, moving)
    expect(quantise({ delta, weight: 1, evaluation: none }, quantiser, () => 0, NO_SCORES, moving)).toMatchObject({
      refusal: 'not-finite',
    })
  })

  test('keeps the lanes of statistics at the ends of their range, whatever the chance', () => {
    for (const word of [0, 2 ** 31, 2 ** 32 - 1]) {
      const delta = bound(Float32Array.of(0, 0, 0, 0.11, -0.11), quantiser, moving)
      const vector = must(
        quantise({ delta, weight: 1_000, evaluation: none }, quantiser, () => word, NO_SCORES, moving),
      )
      const [high, low] = vector.subarray(HEADER_LANES + weights)
      expect(high).toBeGreaterThanOrEqual(levels - 4)
      expect(high).toBeLessThanOrEqual(levels)
      expect(low).toBeLessThanOrEqual(4)
    }
  })

  test('passes inspection at any weight, and its cohort has the mean of what was sent, each part in its own steps', async () => {
    await fc.assert(
      fc.asyncProperty(reports, async (sent) => {
        const bounded = sent.map(({ delta, weight }) => ({ weight, delta: bound(delta, quantiser, moving) }))
        const vectors = bounded.map(({ delta, weight }, index) => vectorOf(delta, weight, index))
        for (const [index, vector] of vectors.entries())
          expect(await inspectVector(once(vector), payload, quantiser)).toEqual({
            ok: true,
            value: { weight: sent[index]?.weight },
          })
        const { mean } = must(dequantise(must(await accumulate(vectors.map(once), lanes)), payload, quantiser))
        const total = sent.reduce((sum, { weight }) => sum + weight, 0)
        for (const [index, found] of mean.entries()) {
          const step = ((index < weights ? range : movingRange) * 2) / levels
          const due = bounded.reduce((sum, { delta, weight }) => sum + (delta[index] as number) * weight, 0) / total
          const rounding = (step * sent.length * quantiser.weightMax) / total
          expect(Math.abs(found - due)).toBeLessThanOrEqual(rounding * 1.001)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('of which a statistic goes beyond its range for its weight is refused, and so are weights beyond the norm', async () => {
    const sound = vectorOf(Float32Array.of(0, 0, 0, 0, 0), 500, 1)
    const half = Math.round(levels / 2)
    const inspect = (changes: Readonly<Record<number, number>>) => {
      const vector = decodeLanes(sound.slice())
      for (const [at, lane] of Object.entries(changes)) vector[HEADER_LANES + Number(at)] = lane
      return inspectVector(once(encodeLanes(vector)), payload, quantiser)
    }
    // At half of the largest weight a lane goes half as far.
    const far = half + Math.floor(half / 2)
    expect(await inspect({ 3: far, 4: far })).toMatchObject({ ok: true })
    expect(await inspect({ 0: far, 3: far, 4: far })).toMatchObject({ ok: true })
    expect(await inspect({ 4: far + 3 })).toMatchObject({
      refusal: 'out-of-range',
      detail: `parameter 4 is ${far + 3}`,
    })
    expect(await inspect({ 0: far, 2: far })).toMatchObject({ detail: 'longer than the clip norm' })
  })
})

describe('a model without moving statistics', () => {
  test('has the vectors that it had, and so has one whose statistics share the range and the norm leaves alone', () => {
    const plain = quantiserFor(task)
    expect(Object.keys(plain)).not.toContain('movingRangeMicro')
    fc.assert(
      fc.property(deltas, (delta) => {
        const bounded = bound(delta, plain, 0)
        expect(bounded).toEqual(clip(delta, range))
        const sent = { delta: bounded, weight: 7, evaluation: none }
        const rounded = (last: number) => must(quantise(sent, plain, uint32Stream(seed(3)), NO_SCORES, last)).toString()
        expect(rounded(moving)).toBe(rounded(0))
      }),
    )
  })
})
