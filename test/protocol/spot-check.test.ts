import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { REPETITION_EPOCHS, REPETITION_SAMPLES } from '#protocol/reference-models.ts'
import {
  decodeCurve,
  encodeCurve,
  isAsFast,
  isSameCurve,
  observedSpeed,
  REPETITIONS_MAX,
  repetitionsFor,
  waitedMillis,
} from '#protocol/spot-check.ts'

const speed = fc.integer({ min: 1, max: 1_000_000_000_000 })
const curve = fc.array(fc.float({ min: Math.fround(0.001), max: 10, noNaN: true }), {
  minLength: REPETITION_EPOCHS,
  maxLength: REPETITION_EPOCHS,
})

describe('a spot check', () => {
  test('takes a node that tells the truth some seconds, and one that asks much of itself no more repetitions than there are', () => {
    fc.assert(
      fc.property(speed, (milliSamplesPerSecond) => {
        const repetitions = repetitionsFor(milliSamplesPerSecond)
        if (repetitions === undefined) return expect(milliSamplesPerSecond).toBeLessThan(140_000)
        expect(repetitions).toBeGreaterThanOrEqual(1)
        expect(repetitions).toBeLessThanOrEqual(REPETITIONS_MAX)
        const honest = (repetitions * REPETITION_SAMPLES * 1e6) / milliSamplesPerSecond
        expect(honest).toBeLessThanOrEqual(15_000)
        if (repetitions > 1 && repetitions < REPETITIONS_MAX) expect(honest).toBeGreaterThanOrEqual(3000)
        expect(waitedMillis({ repetitions, milliSamplesPerSecond })).toBeLessThan(90_000)
      }),
    )
  })

  test('confirms whoever is as fast as it says, with the line there and back; never one that is ten times slower', () => {
    fc.assert(
      // Above half a million a second the most repetitions are over before a line has answered.
      fc.property(fc.integer({ min: 140_000, max: 500_000_000 }), fc.nat(900), (milliSamplesPerSecond, lineMillis) => {
        const repetitions = repetitionsFor(milliSamplesPerSecond) as number
        const claim = { repetitions, milliSamplesPerSecond }
        const honest = (repetitions * REPETITION_SAMPLES * 1e6) / milliSamplesPerSecond
        expect(isAsFast(claim, honest + lineMillis)).toBe(true)
        expect(isAsFast(claim, 10 * honest)).toBe(false)
        expect(observedSpeed(claim, honest + lineMillis)).toBeLessThanOrEqual(milliSamplesPerSecond)
      }),
    )
  })

  test('takes the losses of another backend for the same, and those of another training for others', () => {
    fc.assert(
      fc.property(curve, fc.nat(REPETITION_EPOCHS - 1), (losses, epoch) => {
        const other = losses.map((loss) => loss * (1 + 2e-5))
        expect(isSameCurve(other, losses)).toBe(true)
        const wrong = losses.map((loss, index) => (index === epoch ? loss * 1.02 + 0.001 : loss))
        expect(isSameCurve(wrong, losses)).toBe(false)
        expect(isSameCurve(losses.with(epoch, Number.NaN), losses)).toBe(false)
        expect(isSameCurve(losses.slice(1), losses)).toBe(false)
      }),
    )
  })

  test('reads the losses that were written, and none of another number of repetitions', () => {
    fc.assert(
      fc.property(fc.array(curve, { minLength: 1, maxLength: 4 }), (curves) => {
        const bytes = encodeCurve(curves.flat())
        expect(decodeCurve(bytes, { repetitions: curves.length })).toEqual(curves.flat())
        expect(decodeCurve(bytes, { repetitions: curves.length + 1 })).toBeUndefined()
        expect(decodeCurve(bytes.subarray(1), { repetitions: curves.length })).toBeUndefined()
      }),
    )
  })
})
