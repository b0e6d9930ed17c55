import { beforeAll, describe, expect, test } from '@jest/globals'
import { grad, memory, type Scalar, tensor, tidy } from '@tensorflow/tfjs-core'
import { openBackend } from '#client/trainers/backend.ts'
import { labelWeights, lossSum, scoreRows } from '#client/trainers/loss.ts'
import type { Loss } from '#protocol/task.ts'
import { backendsHere } from './backends.ts'
import { datasetOf, fitHere, labelledTable, noise, trainingOf } from './tasks.ts'

type Case = { readonly outputs: number; readonly values: readonly number[]; readonly labels: readonly number[] }
const next = noise(7)
const some = Array.from({ length: 12 }, () => 2 * next())
const numbers: Case = {
  outputs: 1,
  values: [...some, 0.25, -3, 1e4, -1e4],
  labels: [...some.map((_, row) => (row % 5) - 2), 0.75, -2.5, 3, 4],
}
/** None lies on a corner, where a slope is what one takes it for. */
const cases: Readonly<Record<Loss, Case>> = {
  'softmax-cross-entropy': { outputs: 4, values: [...some, 60, -60, 0, 1], labels: [0, 3, 1, 2] },
  'sigmoid-cross-entropy': {
    outputs: 1,
    values: [...some, 60, -60],
    labels: some.map((_, row) => row % 2).concat(1, 1),
  },
  'mean-squared-error': numbers,
  'mean-absolute-error': numbers,
  huber: numbers,
}

/** The formulas once more, of one row. */
function lossOf(loss: Loss, z: readonly number[], label: number): number {
  const [first] = z as [number]
  const miss = Math.abs(first - label)
  switch (loss) {
    case 'softmax-cross-entropy': {
      const top = Math.max(...z)
      return Math.log(z.reduce((sum, each) => sum + Math.exp(each - top), 0)) + top - (z[label] as number)
    }
    case 'sigmoid-cross-entropy':
      return Math.log(1 + Math.exp(label === 1 ? -first : first))
    case 'mean-squared-error':
      return miss * miss
    case 'mean-absolute-error':
      return miss
    case 'huber':
      return miss > 1 ? miss - 0.5 : 0.5 * miss * miss
  }
}

type Several = {
  readonly values: readonly number[]
  readonly labels: readonly number[]
  readonly positives: readonly number[]
  readonly losses: readonly number[]
  readonly slopes?: readonly number[]
  readonly correct: number
}
const [ln2, ln3] = [Math.log(2), Math.log(3)]
const several: Readonly<Record<string, Several>> = {
  // The documentation of keras.losses.BinaryCrossentropy, from logits and with no reduction.
  'as Keras prints it': {
    ...{ values: [-18.6, 0.51, 2.94, -12.8], labels: [0, 1, 0, 0], positives: [1, 1] },
    ...{ losses: [0.235, 1.496], correct: 1 },
  },
  // As that of torch.nn.BCEWithLogitsLoss with its pos_weight, by hand.
  'with weights of what is there, and what nobody knows': {
    ...{ values: [0, ln3, -ln3, 0, 9, -ln3], labels: [1, 0, Number.NaN, 0, Number.NaN, 1], positives: [2, 1, 1] },
    ...{ losses: [2 * ln2, 1.5 * ln2], slopes: [-0.5, 0.375, 0, 0.25, 0, -0.375], correct: 0 },
  },
}

describe.each(await backendsHere('losses'))('on the %s backend', (backend) => {
  beforeAll(async () => {
    await openBackend(backend)
  })

  test.each(Object.entries(cases) as [Loss, Case][])(
    '%s and its slope are those of its formula',
    async (loss, given) => {
      const { outputs, values, labels } = given
      const rows = labels.map((_, row) => values.slice(row * outputs, (row + 1) * outputs))
      const targets = labels.flatMap((label) =>
        outputs === 1 ? [label] : Array.from({ length: outputs }, (_, at) => (at === label ? 1 : 0)),
      )
      const before = memory().numTensors
      const [sum, slopes] = tidy(() => {
        const [z, y] = [tensor([...values], [rows.length, outputs]), tensor(targets, [rows.length, outputs])]
        return [lossSum(loss, z, y), grad((x) => lossSum(loss, x, y))(z)] as const
      }) as readonly [Scalar, Scalar]
      const [found, gradient] = [(await sum.data())[0] as number, await slopes.data()]
      const wanted = rows.map((row, index) => lossOf(loss, row, labels[index] as number))
      const total = wanted.reduce((all, each) => all + each, 0)
      expect(Math.abs(found - total) / total).toBeLessThan(1e-5)
      for (const [at, z] of values.entries()) {
        const row = Math.floor(at / outputs)
        const step = 1e-4 * Math.max(1, Math.abs(z))
        const moved = (by: number) =>
          lossOf(
            loss,
            (rows[row] as number[]).map((each, place) => (place === at % outputs ? each + by : each)),
            labels[row] as number,
          )
        const slope = (moved(step) - moved(-step)) / (2 * step)
        expect(Math.abs((gradient[at] as number) - slope)).toBeLessThan(1e-5 * Math.max(1, Math.abs(slope)))
      }
      const { losses, correct } = scoreRows(loss, values, labels)
      expect(losses).toHaveLength(labels.length)
      for (const [row, each] of losses.entries()) expect(each).toBeCloseTo(wanted[row] as number, 6)
      expect(correct === 0).toBe(given === numbers)
      for (const each of [sum, slopes]) each.dispose()
      expect(memory().numTensors).toBe(before)
    },
  )

  test.each(Object.entries(several))('the loss of several labels is %s', async (_, given) => {
    const { values, labels, positives, losses, slopes, correct } = given
    const sides: [number, number] = [losses.length, positives.length]
    const weights = losses.flatMap((_, row) => labelWeights(labels.slice(row * sides[1]), positives))
    const found = tidy(() => {
      const z = tensor([...values], sides)
      const [y, w] = [labels.map((label) => label || 0), weights].map((each) => tensor(each, sides)) as [Scalar, Scalar]
      const loss = (x: typeof z) => lossSum('sigmoid-cross-entropy', x, y, w)
      return [loss(z), grad(loss)(z)] as const
    })
    const [[sum], gradient] = [await found[0].data(), await found[1].data()]
    expect(sum).toBeCloseTo(
      losses.reduce((all, each) => all + each, 0),
      2,
    )
    for (const [at, slope] of slopes?.entries() ?? []) expect(gradient[at]).toBeCloseTo(slope, 6)
    const scored = scoreRows('sigmoid-cross-entropy', values, labels, positives)
    for (const [row, each] of losses.entries()) expect(scored.losses[row]).toBeCloseTo(each, slopes ? 6 : 3)
    expect(scored.correct).toBe(correct)
  })

  test('a step goes down the gradient of what is known of each row, and of nothing else', async () => {
    const labels = [1, Number.NaN, 0, 0, 1, Number.NaN, Number.NaN, 1, 1]
    const rows = [Float32Array.of(1, 2), Float32Array.of(-1, 0.5), Float32Array.of(3, 1)]
    const training = trainingOf(
      { v: 1, input: [2], layers: [{ layer: 'dense', name: 'out', units: 3, activation: 'linear' }] },
      'sigmoid-cross-entropy',
      2,
      { data: labelledTable(2, [2, 1, 5]), optimiser: { kind: 'sgd', rateMicro: 1_000_000, momentumMicro: 0 } },
    )
    const { delta, evaluation } = await fitHere(new Float32Array(9), training, datasetOf([2], rows, labels, [0, 1, 2]))
    // At zero weights σ is a half; each row knows two labels.
    const slopes = [2, 0, -1, -1, 1, 0, 0, 1, 5].map((weight) => weight / 4)
    const down = Array.from({ length: 3 }, (_, label) =>
      [0, 1, 2].map(
        (at) => rows.reduce((sum, row, of) => sum + (slopes[3 * of + label] as number) * (row[at] ?? 1), 0) / 3,
      ),
    )
    const expected = [0, 1, 2].flatMap((at) => down.map((each) => each[at] as number))
    for (const [at, value] of expected.entries()) expect(delta[at]).toBeCloseTo(value, 5)
    // Zero is taken for what is not there.
    expect(evaluation).toMatchObject({ rows: 3, correct: 0 })
    expect(evaluation.lossSumNats).toBeCloseTo((ln2 * (3 + 2 + 6)) / 2, 5)
  })
})
