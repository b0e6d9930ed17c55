import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accumulate } from '#aggregation/accumulate.ts'
import { clip } from '#aggregation/clip.ts'
import { inspectVector } from '#aggregation/inspect.ts'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import {
  dequantise,
  evaluationRowsMax,
  integerQuantiserFor,
  limitsOf,
  quantise,
  quantiserFor,
} from '#aggregation/quantise.ts'
import { RangeCheck } from '#aggregation/ranges.ts'
import { decodeLanes, encodeLanes, lanesOf, type RingVector } from '#aggregation/vector.ts'
import { once } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { cut, cuts, must, unscored, updatesFor, vectorOf } from './given.ts'

const parameters = 6
const quantiser = quantiserFor({ clipNormMicro: 2_000_000, rowsMax: 1_000, cohortMax: 40 })
const levels = 2 ** quantiser.bits - 1
const half = levels / 2
const payload = 8
const tail = payload + parameters
const lanes = lanesOf(parameters)

const sound = vectorOf(
  {
    delta: Float32Array.of(0.5, -0.5, 1, 0, -1, 0.1),
    weight: 500,
    evaluation: { rows: 20, correct: 15, lossSumNats: 30.25 },
  },
  quantiser,
)

/** The sound vector with some lanes changed. */
function changed(changes: Readonly<Record<number, number>>): RingVector {
  const vector = decodeLanes(sound.slice())
  for (const [lane, value] of Object.entries(changes)) vector[Number(lane)] = value
  return vector
}

/** One coordinate at the clip norm for the sound vector's weight, and a step or a little less than two more; else zeros. */
function beyond(steps: number): Readonly<Record<number, number>> {
  const zeros = [0, 1, 2, 3, 4, 5].map((index) => [payload + index, Math.round(half)])
  const edge = half + Math.sign(steps) * (half / 2)
  return { ...Object.fromEntries(zeros), [payload]: steps > 0 ? Math.ceil(edge) + steps : Math.floor(edge) + steps }
}

const inspect = (bytes: Bytes) => inspectVector(once(bytes), unscored(parameters), quantiser)

describe('one report', () => {
  test('that a node made is accepted with its weight, however the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        updatesFor(parameters, quantiser, { min: 1, max: 1 }),
        fc.nat(),
        cuts,
        async ([update], number, sizes) => {
          if (!update) return
          const vector = vectorOf(update, quantiser, number)
          expect(await inspectVector(cut(vector, sizes), unscored(parameters), quantiser)).toEqual({
            ok: true,
            value: { weight: update.weight },
          })
        },
      ),
      { numRuns: 300 },
    )
  })

  /** Every kind of lane, with what is wrong about it. The ones marked * are also found in a sum. */
  const tampered: readonly (readonly [string, Readonly<Record<number, number>>, string])[] = [
    ['* no weight', { 0: 0 }, 'bad-header'],
    ['* more weight than the contract allows', { 0: 1_001 }, 'bad-header'],
    ['* a weight that wraps', { 0: 2 ** 32 - 1 }, 'bad-header'],
    ['* no report', { 1: 0 }, 'bad-header'],
    ['two reports in one', { 1: 2 }, 'bad-header'],
    ['* a negative count', { 1: 2 ** 32 - 1 }, 'bad-header'],
    ...[2, 3, 4, 5, 6, 7].map((lane) => [`* header lane ${lane}`, { [lane]: 1 }, 'bad-header'] as const),
    ...[0, 1, 2, 3, 4, 5].map(
      (index) => [`* parameter ${index} above every level`, { [payload + index]: levels + 1 }, 'out-of-range'] as const,
    ),
    ['* a parameter that wraps', { [payload]: 2 ** 32 - 1 }, 'out-of-range'],
    ['* one level too many, for all of the weight', { ...beyond(1), 0: 1_000, [payload]: levels + 1 }, 'out-of-range'],
    ['* more than a step further than half of the weight reaches', beyond(1), 'out-of-range'],
    ['* more than a step further the other way', beyond(-1), 'out-of-range'],
    ['* the end of the range, for half of the weight', { [payload]: levels }, 'out-of-range'],
    ['* a light report that weighs like a heavy one', { 0: 1 }, 'out-of-range'],
    [
      '* coordinates within the range that are too long together',
      { [payload]: Math.ceil(half * 1.45), [payload + 1]: Math.ceil(half * 1.45) },
      'out-of-range',
    ],
    ['* more rows than may be counted', { [tail]: evaluationRowsMax(quantiser) + 1 }, 'bad-evaluation'],
    ['* more right than rows', { [tail + 1]: 21 }, 'bad-evaluation'],
    ['* more loss than rows can have', { [tail + 2]: 20 * 64, [tail + 3]: 1 }, 'bad-evaluation'],
    ['* a low loss lane that is not low', { [tail + 3]: 65_536 }, 'bad-evaluation'],
    ['* right answers without rows', { [tail]: 0, [tail + 1]: 1 }, 'bad-evaluation'],
    ['* the first lane of padding', { [tail + 4]: 1 }, 'bad-check-lanes'],
    ['* the last lane of padding', { [tail + 5]: 2 ** 31 }, 'bad-check-lanes'],
    ...[1, 2, 3, 4].map((back) => [`* check lane ${back}`, { [lanes - back]: 1 }, 'bad-check-lanes'] as const),
  ]

  test.each(tampered)('with %s is refused', async (_, changes, refusal) => {
    expect(await inspect(encodeLanes(changed(changes)))).toMatchObject({ ok: false, refusal })
  })

  test.each(tampered.filter(([name]) => name.startsWith('*')))('as a sum, %s is refused', (_, changes, refusal) => {
    expect(dequantise(changed(changes), unscored(parameters), quantiser)).toMatchObject({ ok: false, refusal })
  })

  test('with any other value in a lane that must be zero is refused', async () => {
    const zeroLanes = [2, 3, 4, 5, 6, 7, tail + 4, tail + 5, lanes - 4, lanes - 3, lanes - 2, lanes - 1]
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...zeroLanes), fc.integer({ min: 1, max: 2 ** 32 - 1 }), async (lane, value) => {
        expect((await inspect(encodeLanes(changed({ [lane]: value })))).ok).toBe(false)
      }),
    )
  })

  test('of another length is refused', async () => {
    for (const bytes of [
      new Uint8Array(0),
      sound.subarray(0, 1),
      sound.subarray(0, 31),
      sound.subarray(0, sound.length - 1),
      sound.subarray(0, sound.length - 16),
      new Uint8Array([...sound, 0]),
    ])
      expect(await inspect(bytes)).toMatchObject({ ok: false, refusal: 'wrong-length' })
  })

  test('that never ends is refused as soon as it is too long, and its stream is closed', async () => {
    let closed = false
    async function* endless() {
      try {
        yield sound
        for (;;) yield new Uint8Array(16)
      } finally {
        closed = true
      }
    }
    expect(await inspectVector(endless(), unscored(parameters), quantiser)).toMatchObject({ refusal: 'wrong-length' })
    expect(closed).toBe(true)
  })

  test('with a bad header is refused before the rest is asked for', async () => {
    async function* headerOnly() {
      yield encodeLanes(changed({ 1: 9 })).subarray(0, 33)
      throw new Error('asked for more')
    }
    expect(await inspectVector(headerOnly(), unscored(parameters), quantiser)).toMatchObject({ refusal: 'bad-header' })
  })

  test.each([
    ['up', 1, 2 ** 32 - 1],
    ['down', -1, 0],
  ])('at the clip norm, rounded %s as far as chance can, is accepted for any weight', async (_, sign, word) => {
    const evaluation = { rows: 0, correct: 0, lossSumNats: 0 }
    const alone = Float32Array.of(2 * sign, 0, 0, 0, 0, 0)
    const together = clip(new Float32Array(6).fill(2 * sign), 2)
    for (let weight = 1; weight <= 1_000; weight++)
      for (const delta of [alone, together]) {
        const vector = encodeLanes(must(quantise({ delta, weight, evaluation }, quantiser, () => word, NO_SCORES)))
        expect(await inspect(vector)).toEqual({ ok: true, value: { weight } })
      }
  })

  test('of a site without held-out rows is accepted', async () => {
    const update = { delta: new Float32Array(6), weight: 1, evaluation: { rows: 0, correct: 0, lossSumNats: 0 } }
    expect(await inspect(vectorOf(update, quantiser))).toEqual({ ok: true, value: { weight: 1 } })
  })
})

describe('a sum', () => {
  test('of reports that passed inspection is never refused, honest or not', async () => {
    // Lanes drawn around the edge of what a weight may reach: about half of them pass.
    const crafted = fc
      .record({
        weight: fc.integer({ min: 1, max: quantiser.weightMax }),
        signs: fc.array(fc.constantFrom(-1, 0, 1), { minLength: parameters, maxLength: parameters }),
        beyond: fc.integer({ min: -2, max: 2 }),
      })
      .map(({ weight, signs, beyond }) => {
        const vector = decodeLanes(sound.slice())
        vector[0] = weight
        const nonZero = Math.max(1, signs.filter((sign) => sign !== 0).length)
        const reach = Math.floor((half * weight) / quantiser.weightMax / Math.sqrt(nonZero)) + beyond
        signs.forEach((sign, index) => {
          vector[payload + index] = Math.min(Math.max(Math.round(half + sign * reach), 0), levels)
        })
        return encodeLanes(vector)
      })
    let passed = 0
    let refused = 0
    await fc.assert(
      fc.asyncProperty(fc.array(crafted, { minLength: 1, maxLength: 40 }), async (vectors) => {
        const accepted: Bytes[] = []
        for (const vector of vectors) if ((await inspect(vector)).ok) accepted.push(vector)
        passed += accepted.length
        refused += vectors.length - accepted.length
        if (accepted.length === 0) return
        const sum = must(await accumulate(accepted.map(once), lanes))
        expect(dequantise(sum, unscored(parameters), quantiser)).toMatchObject({ ok: true })
      }),
      { numRuns: 60 },
    )
    expect(Math.min(passed, refused)).toBeGreaterThan(20)
  })

  test('of more reports than the quantiser has room for is refused', async () => {
    const small = { ...quantiser, nMax: 2 }
    const sum = must(await accumulate([once(sound), once(sound), once(sound)], lanes))
    expect(dequantise(sum, unscored(parameters), small)).toMatchObject({ refusal: 'bad-header' })
  })

  test('of another model is a mistake of ours', () => {
    expect(() => dequantise(decodeLanes(sound), unscored(parameters + 4), quantiser)).toThrow('lanes of its model')
  })
})

describe('whole numbers', () => {
  const whole = integerQuantiserFor(40)
  const most = 2 ** whole.bits - 1
  /** A report of these lanes, with some changed. */
  const report = (changes: Readonly<Record<number, number>> = {}) => {
    const vector = new Uint32Array(lanes)
    vector.set([1, 1, 0, 0, 0, 0, 0, 0, 0, 1, most, most, most, 7])
    for (const [lane, value] of Object.entries(changes)) vector[Number(lane)] = value
    return vector
  }
  const inspectWhole = (vector: RingVector) => inspectVector(once(encodeLanes(vector)), unscored(parameters), whole)
  const checkSum = (vector: RingVector) =>
    new RangeCheck(limitsOf(unscored(parameters), whole, whole.nMax)).take(vector)

  test('have no norm to be within: every lane that one report may hold is accepted', async () => {
    expect(await inspectWhole(report())).toEqual({ ok: true, value: { weight: 1 } })
    expect(
      await inspectVector(once(encodeLanes(report())), unscored(parameters), { ...whole, rangeMicro: 1 }),
    ).toMatchObject({
      refusal: 'out-of-range',
    })
  })

  test('of a full cohort that all say the most are accepted as a sum', async () => {
    const sum = must(
      await accumulate(
        Array.from({ length: 40 }, () => once(encodeLanes(report()))),
        lanes,
      ),
    )
    expect(checkSum(sum)).toBeUndefined()
    expect(checkSum(sum.with(payload + 2, 40 * most + 1))).toMatchObject({ refusal: 'out-of-range' })
  })

  const tampered: readonly (readonly [string, Readonly<Record<number, number>>, string])[] = [
    ['a lane above 2^b − 1', { [payload]: most + 1 }, 'out-of-range'],
    ['a lane that wraps', { [payload]: 2 ** 32 - 1 }, 'out-of-range'],
    ['another weight', { 0: 2 }, 'bad-header'],
    ['no report', { 1: 0 }, 'bad-header'],
    ...[2, 3, 4, 5, 6, 7].map((lane) => [`header lane ${lane}`, { [lane]: 1 }, 'bad-header'] as const),
    ...[0, 1, 2, 3].map((lane) => [`evaluation lane ${lane}`, { [tail + lane]: 1 }, 'bad-evaluation'] as const),
    ['padding', { [tail + 4]: 1 }, 'bad-check-lanes'],
    ...[1, 2, 3, 4].map((back) => [`check lane ${back}`, { [lanes - back]: 1 }, 'bad-check-lanes'] as const),
  ]
  test.each(tampered)('with %s are refused, alone and as a sum', async (_, changes, refusal) => {
    expect(await inspectWhole(report(changes))).toMatchObject({ refusal })
    expect(checkSum(report(changes))).toMatchObject({ refusal })
  })

  test('make no update and no mean: only reals have a range', () => {
    const update = { delta: new Float32Array(6), weight: 1, evaluation: { rows: 0, correct: 0, lossSumNats: 0 } }
    expect(() => quantise(update, whole, () => 0, NO_SCORES)).toThrow('reals have a range')
    expect(() => dequantise(report(), unscored(parameters), whole)).toThrow('reals have a range')
  })
})
