import { beforeAll, describe, expect, test } from '@jest/globals'
import { memory, tensor1d, tidy, variable } from '@tensorflow/tfjs-core'
import { openBackend } from '#client/trainers/backend.ts'
import { openDescent } from '#client/trainers/descent.ts'
import { fitModel } from '#client/trainers/fit.ts'
import { openOptimiser } from '#client/trainers/optimiser.ts'
import { nextControl } from '#client/trainers/scaffold.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import type { Task } from '#protocol/task.ts'
import { backendsHere } from './backends.ts'
import { fitHere, gradientOf, someDataset, someModel, trainingOf } from './tasks.ts'

const RATE = 0.1
const plain = { kind: 'sgd', rateMicro: RATE * 1e6, momentumMicro: 0 } as const
const linear: Architecture = {
  v: 1,
  input: [4],
  layers: [{ layer: 'dense', name: 'a', units: 3, activation: 'linear' }],
}

/** a ÷ 2 · (w − b)² in each coordinate. */
type Bowl = { readonly a: readonly number[]; readonly b: readonly number[] }

/** Goes down a bowl from `start` by the trainer's own parts. */
async function walk(
  { a, b }: Bowl,
  start: readonly number[],
  steps: number,
  terms: Pick<Task, 'gradientNormMicro' | 'proximalMicro'>,
  correction?: Float32Array,
): Promise<number[]> {
  const weights = tidy(() => variable(tensor1d([...start])))
  const descent = openDescent([weights], terms, correction)
  const optimiser = openOptimiser([weights], plain)
  for (let step = 0; step < steps; step++) {
    const at = await weights.data()
    const gradient = Array.from(at, (w, index) => (a[index] as number) * (w - (b[index] as number)))
    tidy(() => optimiser.step(descent.along([tensor1d(gradient)])))
  }
  const found = Array.from(await weights.data())
  for (const each of [weights, descent, optimiser]) each.dispose()
  return found
}

function expectClose(found: ArrayLike<number>, wanted: readonly number[], tolerance = 1e-5): void {
  expect(found).toHaveLength(wanted.length)
  for (const [index, each] of wanted.entries())
    expect(Math.abs((found[index] as number) - each)).toBeLessThan(tolerance * Math.max(1, Math.abs(each)))
}

describe.each(await backendsHere('what steers a step'))('on the %s backend', (backend) => {
  beforeAll(async () => {
    await openBackend(backend)
  })

  test('a proximal term holds the weights back just as far as its formula says', async () => {
    const bowl: Bowl = { a: [2, 0.5, 1], b: [3, -4, 0] }
    const start = [1, 1, -2]
    const [mu, steps] = [0.7, 25]
    const found = await walk(bowl, start, steps, { proximalMicro: mu * 1e6 })
    // Down a(w − b)²/2 + μ(w − w₀)²/2, each step shortens the way to its lowest point by the same factor.
    const wanted = start.map((from, index) => {
      const [a, b] = [bowl.a[index] as number, bowl.b[index] as number]
      const lowest = (a * b + mu * from) / (a + mu)
      return lowest + (1 - RATE * (a + mu)) ** steps * (from - lowest)
    })
    expectClose(found, wanted)
  })

  test('gradients that measure more than they may together are scaled to it, and no others', async () => {
    const before = memory().numTensors
    const [one, two] = tidy(() => [variable(tensor1d([0, 0])), variable(tensor1d([0]))]) as [never, never]
    const descent = openDescent([one, two], { gradientNormMicro: 6_500_000 })
    const along = async (first: number[], second: number[]) => {
      const made = tidy(() => [...descent.along([tensor1d(first), tensor1d(second)])])
      const values = await Promise.all(made.map((each) => each.data()))
      for (const each of made) each.dispose()
      return values.flatMap((each) => [...each])
    }
    expectClose(await along([3, 4], [12]), [1.5, 2, 6])
    expectClose(await along([3, 4], [0]), [3, 4, 0])
    expectClose(await along([0, 0], [0]), [0, 0, 0])
    expect(await along([Number.NaN, 0], [0])).toContainEqual(Number.NaN)
    descent.dispose()
    for (const each of [one, two] as { dispose(): void }[]) each.dispose()
    expect(memory().numTensors).toBe(before)
  })

  test("sites of SCAFFOLD go the closed form's way, and end where all of them together are lowest", async () => {
    const bowls: readonly Bowl[] = [
      { a: [4, 1], b: [1, 0] },
      { a: [0.5, 2], b: [-3, 5] },
    ]
    const steps = 8
    let x = [0, 0]
    let controls: readonly Float32Array[] = bowls.map(() => new Float32Array(2))
    let c: Float32Array = new Float32Array(2)
    for (let round = 0; round < 60; round++) {
      const walks = await Promise.all(
        bowls.map(async (bowl, site) => {
          const correction = c.map((each, index) => each - (controls[site]?.[index] as number))
          const y = await walk(bowl, x, steps, {}, correction)
          // The correction moves a bowl's lowest point to b − (c − cᵢ)/a.
          const wanted = x.map((from, index) => {
            const [a, b] = [bowl.a[index] as number, bowl.b[index] as number]
            const lowest = b - (correction[index] as number) / a
            return lowest + (1 - RATE * a) ** steps * (from - lowest)
          })
          expectClose(y, wanted)
          const delta = Float32Array.from(y, (each, index) => each - (x[index] as number))
          return { delta, control: nextControl(correction, delta, { steps, rate: RATE }) }
        }),
      )
      const mean = (vectors: readonly Float32Array[], index: number) =>
        vectors.reduce((total, each) => total + (each[index] as number), 0) / vectors.length
      x = x.map(
        (from, index) =>
          from +
          mean(
            walks.map((each) => each.delta),
            index,
          ),
      )
      controls = walks.map((each) => each.control)
      c = c.map((_, index) => mean(controls, index))
    }
    expectClose(x, [(4 * 1 + 0.5 * -3) / 4.5, (1 * 0 + 2 * 5) / 3], 1e-3)
    // What averaging alone ends at: each site is pulled most of the way to its own lowest point.
    let alone = [0, 0]
    for (let round = 0; round < 60; round++) {
      const ends = await Promise.all(bowls.map((bowl) => walk(bowl, alone, steps, {})))
      alone = alone.map((_, index) => ends.reduce((total, end) => total + (end[index] as number), 0) / 2)
    }
    expect(Math.abs((alone[0] as number) - (x[0] as number))).toBeGreaterThan(0.1)
  })
})

describe('a fit', () => {
  beforeAll(async () => {
    await openBackend('wasm')
  })
  const dataset = someDataset([4], 9, 3, 21)
  const model = someModel(linear, 4)
  const training = trainingOf(linear, 'softmax-cross-entropy', 3, { optimiser: plain, epochs: 3 })
  const withTerms = (terms: Partial<Task>) => ({ ...training, task: { ...training.task, ...terms } })

  test('goes no further in a step than its rate times the bound on its gradients', async () => {
    const bounded = await fitHere(model, withTerms({ gradientNormMicro: 10_000, epochs: 1 }), dataset)
    expect(Math.hypot(...bounded.delta)).toBeCloseTo(RATE * 0.01, 6)
    const free = await fitHere(model, withTerms({ gradientNormMicro: 1e12 }), dataset)
    expect([...free.delta]).toEqual([...(await fitHere(model, training, dataset)).delta])
  })

  test('with a proximal term ends nearer to where it began', async () => {
    const long = { epochs: 40 }
    const free = await fitHere(model, withTerms(long), dataset)
    const held = await fitHere(model, withTerms({ ...long, proximalMicro: 5_000_000 }), dataset)
    expect(Math.hypot(...held.delta)).toBeLessThan(0.5 * Math.hypot(...free.delta))
  })

  test('that is corrected answers the mean of the gradients that it went down', async () => {
    const nothing = new Float32Array(model.length)
    const { control: first } = await fitHere(model, { ...withTerms({ epochs: 1 }), correction: nothing }, dataset)
    const gradient = await gradientOf(model, linear, 'softmax-cross-entropy', dataset)
    expectClose(first as Float32Array, [...gradient], 1e-4)
    const correction = Float32Array.from(model, (_, index) => index / 50)
    const { delta, control } = await fitHere(model, { ...training, correction }, dataset)
    let [at, total] = [model, new Float64Array(model.length)]
    for (let step = 0; step < 3; step++) {
      const here = await gradientOf(at, linear, 'softmax-cross-entropy', dataset)
      total = total.map((sum, index) => sum + (here[index] as number))
      at = at.map((weight, index) => weight - RATE * ((here[index] as number) + (correction[index] as number)))
    }
    expectClose(
      delta,
      [...at].map((each, index) => each - (model[index] as number)),
      1e-4,
    )
    expectClose(
      control as Float32Array,
      [...total].map((each) => each / 3),
      1e-4,
    )
  })

  test('is corrected with plain SGD alone, and leaves no tensor behind', async () => {
    const correction = new Float32Array(model.length)
    const before = memory().numTensors
    const momentum = withTerms({ optimiser: { ...plain, momentumMicro: 1 } })
    await expect(fitHere(model, { ...momentum, correction }, dataset)).rejects.toThrow(/^wrong-optimiser: /)
    const all = { ...withTerms({ gradientNormMicro: 1000, proximalMicro: 1000, batchSize: 2 }), correction }
    await fitHere(model, all, dataset)
    let asked = 0
    const checkpoint = () => {
      if (++asked === 4) throw new TrainingRefused('stopped', 'here')
    }
    await expect(fitModel(model, all, dataset, { checkpoint, progress: () => undefined })).rejects.toThrow('stopped')
    expect(memory().numTensors).toBe(before)
  })
})
