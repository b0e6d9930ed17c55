import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accumulate } from '#aggregation/accumulate.ts'
import { clip } from '#aggregation/clip.ts'
import { quantiserFor } from '#aggregation/quantise.ts'
import { nextModel } from '#aggregation/redo.ts'
import { strategyOf } from '#aggregation/strategies/strategy.ts'
import { decodeLanes, lanesOf } from '#aggregation/vector.ts'
import { encodeWeights } from '#aggregation/weights.ts'
import { once, toHex } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { Purpose } from '#protocol/plan.ts'
import { must, unscored, updatesFor, vectorOf } from './given.ts'

const quantiser = quantiserFor({ clipNormMicro: 10_000_000, rowsMax: 50, cohortMax: 5 })
const fedavg = { kind: 'fedavg', rateMicro: 1_000_000 } as const
const memory = new Float32Array(0)
const sumOf = async (vectors: readonly Bytes[], parameters: number) =>
  must(await accumulate(vectors.map(once), lanesOf(parameters)))

describe('the next model', () => {
  test('is the same to the bit for every order of arrival', async () => {
    const model = Float32Array.from([0.1, -0.2, 3e-5])
    await fc.assert(
      fc.asyncProperty(updatesFor(3, quantiser, { min: 2, max: 5 }), async (updates) => {
        const vectors = updates.map((update, seat) => vectorOf(update, quantiser, seat))
        const redo = async (order: readonly Bytes[]) => {
          const sum = await sumOf(order, 3)
          const next = must(
            nextModel({ sum, purpose: 'train', model, payload: unscored(3), memory, quantiser, strategy: fedavg }),
          )
          return toHex(encodeWeights(next.model))
        }
        expect(await redo(vectors.toReversed())).toBe(await redo(vectors))
      }),
    )
  })

  const delta = Float32Array.of(1, 2)
  const vector = vectorOf({ delta, weight: 50, evaluation: { rows: 4, correct: 3, lossSumNats: 2 } }, quantiser)
  const round = {
    sum: decodeLanes(vector),
    purpose: 'train' as Purpose,
    model: Float32Array.of(10, 20),
    payload: unscored(2),
    memory,
    quantiser,
    strategy: fedavg,
  }

  test('has the mean added, by the server rate; what came in stays as it was', () => {
    const full = must(nextModel(round))
    expect(full.model[0]).toBeCloseTo(11, 5)
    expect(full.model[1]).toBeCloseTo(22, 5)
    expect(full).toMatchObject({ reports: 1, weight: 50, evaluation: { rows: 4, correct: 3, lossQ16: 131_072 } })
    const half = must(nextModel({ ...round, strategy: { kind: 'fedavg', rateMicro: 500_000 } }))
    expect(half.model[1]).toBeCloseTo(21, 5)
    expect([...round.model]).toEqual([10, 20])
  })

  test('has its frozen weights, the last, as they came', () => {
    const model = Float32Array.of(10, 20, -3, 0.1)
    const { model: next } = must(nextModel({ ...round, model, payload: unscored(2) }))
    expect([...next.subarray(0, 2)]).toEqual([...must(nextModel(round)).model])
    expect([...next.subarray(2)]).toEqual([...model.subarray(2)])
    const trained = Float32Array.of(...model, ...new Float32Array(6))
    expect(nextModel({ ...round, model: trained, payload: unscored(10) })).toMatchObject({
      ok: false,
      refusal: 'wrong-length',
    })
  })

  test('of an evaluate round is the incoming one, with figures', () => {
    const evaluation = { rows: 4, correct: 3, lossSumNats: 2 }
    const report = vectorOf({ delta: new Float32Array(0), weight: 1, evaluation }, quantiser)
    const redone = must(nextModel({ ...round, purpose: 'evaluate', sum: decodeLanes(report) }))
    expect(redone.model).toBe(round.model)
    expect(redone.evaluation).toEqual({ rows: 4, correct: 3, lossQ16: 131_072 })
  })

  test.each<[string, Partial<typeof round>, string]>([
    ['a sum of another model', { model: new Float32Array(9), payload: unscored(9) }, 'wrong-length'],
    [
      'a training sum in an evaluate round',
      { purpose: 'evaluate', model: new Float32Array(90), payload: unscored(90) },
      'wrong-length',
    ],
    ['a memory that the strategy does not keep', { memory: new Float32Array(2) }, 'wrong-length'],
    ['a tampered sum', { sum: decodeLanes(vector).map((lane, index) => (index === 3 ? 1 : lane)) }, 'bad-header'],
  ])('is refused for %s', (_, change, refusal) => {
    expect(nextModel({ ...round, ...change })).toMatchObject({ ok: false, refusal })
  })

  test('that is not finite is a mistake of ours: no file with such weights is read', () => {
    expect(() => nextModel({ ...round, model: Float32Array.of(Number.NaN, 0) })).toThrow('finite')
  })
})

/** Four sites' logistic regression in closed form; the final figures are shared with other implementations. */
describe('FedAvg on the shared problem', () => {
  const expected = { loss: 0.4876454052, w: [-0.3867447, -0.61312427, 0.09002277, 1.2000838, 1.33726763, 0.10630445] }
  const counts = [20, 30, 40, 50]
  const sites = counts.map((rows, c) =>
    Array.from({ length: rows }, (_, i) => {
      const x = [0, 1, 2, 3, 4].map((j) => Math.sin(0.7 * (i + 1) + 1.3 * (j + 1) + 0.9 * (c + 1) * (j + 1)))
      const truth = x.reduce((z, xj, j) => z + xj * Math.cos(1.1 * (j + 1) + 0.5 * c), 0)
      const z = truth + 0.2 * c - 0.3 + 0.3 * Math.sin(5.1 * (i + 1) + c)
      return { x: [...x, 1], y: z > 0 ? 1 : 0 }
    }),
  )
  const total = 140
  const logit = (w: ArrayLike<number>, x: readonly number[]) => x.reduce((z, xj, j) => z + xj * (w[j] as number), 0)
  const lossOf = (w: ArrayLike<number>, rows: (typeof sites)[number]) =>
    rows.reduce((sum, { x, y }) => sum + Math.log1p(Math.exp(logit(w, x))) - y * logit(w, x), 0)

  /** Five full-batch steps at rate 0.5, in float64. */
  function train(start: ArrayLike<number>, rows: (typeof sites)[number]): number[] {
    let w = Array.from(start)
    for (let step = 0; step < 5; step++) {
      const gradient = w.map(() => 0)
      for (const { x, y } of rows) {
        const error = 1 / (1 + Math.exp(-logit(w, x))) - y
        x.forEach((xj, j) => {
          gradient[j] = (gradient[j] as number) + (error * xj) / rows.length
        })
      }
      w = w.map((weight, j) => weight - 0.5 * (gradient[j] as number))
    }
    return w
  }

  test('the problem is the shared one', () => {
    expect(sites.map((rows) => rows.reduce((sum, { y }) => sum + y, 0))).toEqual([6, 13, 25, 28])
    const sum = sites.flat().reduce((all, { x }) => all + x.slice(0, 5).reduce((a, b) => a + b, 0), 0)
    expect(sum).toBeCloseTo(-4.313599754508, 10)
  })

  test('in float64 it ends at the shared figures, to 1e-8', () => {
    let w: number[] = [0, 0, 0, 0, 0, 0]
    for (let round = 0; round < 10; round++) {
      const locals = sites.map((rows) => train(w, rows))
      w = w.map((_, j) =>
        locals.reduce((sum, local, c) => sum + ((counts[c] as number) / total) * (local[j] as number), 0),
      )
    }
    expected.w.forEach((weight, j) => void expect(w[j]).toBeCloseTo(weight, 7.5))
    expect(sites.reduce((sum, rows) => sum + lossOf(w, rows), 0) / total).toBeCloseTo(expected.loss, 9)
  })

  test('through the ring it ends there too, within float32 and the quantiser', async () => {
    let model: Float32Array = new Float32Array(6)
    for (let round = 0; round < 10; round++) {
      const vectors = sites.map((rows, c) => {
        const delta = Float32Array.from(train(model, rows), (weight, j) => weight - (model[j] as number))
        const evaluation = { rows: rows.length, correct: 0, lossSumNats: lossOf(model, rows) }
        return vectorOf({ delta: clip(delta, 10), weight: rows.length, evaluation }, quantiser, 10 * round + c)
      })
      const next = must(
        nextModel({
          sum: await sumOf(vectors, 6),
          purpose: 'train',
          model,
          payload: unscored(6),
          memory,
          quantiser,
          strategy: fedavg,
        }),
      )
      if (round === 0) expect(next.evaluation.lossQ16 / 65_536 / total).toBeCloseTo(Math.LN2, 5)
      expect(next.weight).toBe(total)
      model = next.model
    }
    // A step is 1.2e-6 and four roundings of half-weighted sites average out below it; ten rounds add up.
    expected.w.forEach((weight, j) => void expect(Math.abs((model[j] as number) - weight)).toBeLessThan(2e-5))
    expect(sites.reduce((sum, rows) => sum + lossOf(model, rows), 0) / total).toBeCloseTo(expected.loss, 6)
  })
})

test('FedAvg keeps no memory and rounds to float32 twice, as documented', () => {
  const strategy = strategyOf({ kind: 'fedavg', rateMicro: 300_000 })
  expect(strategy.memoryLength(1_000)).toBe(0)
  fc.assert(
    fc.property(
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      fc.double({ min: -10, max: 10, noNaN: true }),
      (w, mean) => {
        const next = strategy.apply(Float32Array.of(w), Float64Array.of(mean), memory)
        expect(next.model[0]).toBe(Math.fround(w + Math.fround(0.3 * mean)))
        expect(next.memory).toHaveLength(0)
      },
    ),
  )
})
