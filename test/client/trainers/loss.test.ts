import { beforeAll, describe, expect, test } from '@jest/globals'
import { grad, memory, type Scalar, tensor, tidy } from '@tensorflow/tfjs-core'
import { openBackend } from '#client/trainers/backend.ts'
import { lossSum, scoreRows } from '#client/trainers/loss.ts'
import type { Loss } from '#protocol/task.ts'
import { backendsHere } from './backends.ts'
import { noise } from './tasks.ts'

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
})
