import { beforeAll, describe, expect, test } from '@jest/globals'
import {
  memory,
  type Optimizer,
  type Scalar,
  sum,
  type Tensor,
  tensor,
  tidy,
  train,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core'
import { openBackend } from '#client/trainers/backend.ts'
import { openOptimiser } from '#client/trainers/optimiser.ts'
import type { Optimiser } from '#protocol/task.ts'
import { backendsHere } from './backends.ts'
import { noise } from './tasks.ts'

/** A matrix and a vector: only the first is decayed. */
const SHAPES = [[3, 2], [5]] as const
const adam = { rateMicro: 20_000, beta1Micro: 900_000, beta2Micro: 999_000, epsilonNano: 100 } as const
const rmsProp = { kind: 'rmsprop', rateMicro: 10_000, discountMicro: 900_000, epsilonNano: 100 } as const

const optimisers: Readonly<Record<string, Optimiser>> = {
  'plain SGD': { kind: 'sgd', rateMicro: 30_000, momentumMicro: 0 },
  'SGD with momentum': { kind: 'sgd', rateMicro: 30_000, momentumMicro: 900_000 },
  "SGD with Nesterov's momentum": { kind: 'sgd', rateMicro: 30_000, momentumMicro: 900_000, nesterov: true },
  Adam: { kind: 'adam', ...adam },
  AdamW: { kind: 'adamw', ...adam, weightDecayMicro: 300_000 },
  RMSProp: { ...rmsProp, momentumMicro: 0 },
  'RMSProp with momentum': { ...rmsProp, momentumMicro: 500_000 },
  'centred RMSProp': { ...rmsProp, momentumMicro: 0, centred: true },
  'centred RMSProp with momentum': { ...rmsProp, momentumMicro: 500_000, centred: true },
}

describe.each(await backendsHere('optimisers'))('on the %s backend', (backend) => {
  beforeAll(async () => {
    await openBackend(backend)
  })
  /** An accelerator in software takes some milliseconds for each. */
  const steps = backend === 'wasm' || backend === 'cpu' ? 120 : 25

  test.each(Object.entries(optimisers))('%s goes where float64 goes, many steps far', async (_, terms) => {
    const before = memory().numTensors
    const weights = someWeights()
    const optimiser = openOptimiser(weights, terms)
    const expected = SHAPES.map((shape, index) => reference(terms, shape.length > 1, startOf(index)))
    const next = noise(5)
    for (let step = 0; step < steps; step++) {
      const gradients = SHAPES.map((shape) => Float32Array.from({ length: sizeOf(shape) }, () => next() + 0.2))
      tidy(() =>
        optimiser.step(gradients.map((values, index) => tensor(values, [...(SHAPES[index] as readonly number[])]))),
      )
      for (const [index, values] of gradients.entries()) expected[index]?.step(values)
    }
    for (const [index, each] of weights.entries()) {
      const found = await each.data()
      const [wanted, start] = [expected[index]?.weights as Float64Array, startOf(index)]
      const way = Math.max(...wanted.map((weight, at) => Math.abs(weight - (start[at] as number))))
      expect(way).toBeGreaterThan(0.002 * steps)
      for (const [at, weight] of wanted.entries())
        expect(Math.abs((found[at] as number) - weight)).toBeLessThan(2e-5 * Math.max(way, 1))
    }
    optimiser.dispose()
    for (const each of weights) each.dispose()
    expect(memory().numTensors).toBe(before)
  })

  const stock: Readonly<Record<string, () => Optimizer>> = {
    'plain SGD': () => train.sgd(0.03),
    'SGD with momentum': () => train.momentum(0.03, 0.9),
    "SGD with Nesterov's momentum": () => train.momentum(0.03, 0.9, true),
    Adam: () => train.adam(0.02, 0.9, 0.999, 1e-7),
    RMSProp: () => train.rmsprop(0.01, 0.9, 0, 1e-7),
    'RMSProp with momentum': () => train.rmsprop(0.01, 0.9, 0.5, 1e-7),
  }
  test.each(Object.entries(stock))("%s is TF.js's own", async (name, open) => {
    const [ours, theirs] = [someWeights(), someWeights()]
    const [optimiser, other] = [openOptimiser(ours, optimisers[name] as Optimiser), open()]
    const next = noise(6)
    for (let step = 0; step < steps / 4; step++) {
      tidy(() => {
        const gradients = SHAPES.map((shape) => {
          return tensor(
            Float32Array.from({ length: sizeOf(shape) }, () => next() + 0.2),
            [...shape],
          )
        })
        optimiser.step(gradients)
        other.applyGradients(theirs.map(({ name }, index) => ({ name, tensor: gradients[index] as Tensor })))
      })
    }
    for (const [index, each] of ours.entries()) {
      const wanted = await (theirs[index] as Variable).data()
      for (const [at, weight] of (await each.data()).entries()) expect(weight).toBeCloseTo(wanted[at] as number, 4)
    }
    optimiser.dispose()
    other.dispose()
    for (const each of [...ours, ...theirs]) each.dispose()
  })

  test('centred RMSProp bears a gradient that never changes, whose variance rounds to less than nothing', async () => {
    const [weights] = someWeights() as [Variable]
    const terms = { ...rmsProp, momentumMicro: 0, centred: true, discountMicro: 300_000 } as const
    const optimiser = openOptimiser([weights], terms)
    for (let step = 0; step < 60; step++) tidy(() => optimiser.step([tensor([977.3, -341.7, 1e4, 3, 2, 1], [3, 2])]))
    const total = tidy(() => sum(weights) as Scalar)
    expect(Number.isFinite((await total.data())[0])).toBe(true)
    for (const each of [total, weights]) each.dispose()
    optimiser.dispose()
  })
})

function someWeights(): Variable[] {
  return SHAPES.map((shape, index) => tidy(() => variable(tensor(startOf(index), [...shape]))))
}

function startOf(index: number): Float32Array {
  return Float32Array.from({ length: sizeOf(SHAPES[index] as readonly number[]) }, noise(index + 1))
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1)
}

/** The papers' formulas as they are printed, a number at a time. */
function reference(terms: Optimiser, decayed: boolean, start: Float32Array) {
  const weights = Float64Array.from(start)
  const [m, v, u] = [0, 1, 2].map(() => new Float64Array(start.length)) as [Float64Array, Float64Array, Float64Array]
  const rate = terms.rateMicro / 1e6
  let t = 0
  const stepOf = (at: number, g: number): number => {
    switch (terms.kind) {
      case 'sgd': {
        const momentum = terms.momentumMicro / 1e6
        v[at] = momentum * (v[at] as number) + g
        return rate * (terms.nesterov ? g + momentum * (v[at] as number) : (v[at] as number))
      }
      case 'adam':
      case 'adamw': {
        const [beta1, beta2] = [terms.beta1Micro / 1e6, terms.beta2Micro / 1e6]
        m[at] = beta1 * (m[at] as number) + (1 - beta1) * g
        v[at] = beta2 * (v[at] as number) + (1 - beta2) * g * g
        const mean = (m[at] as number) / (1 - beta1 ** t)
        const square = (v[at] as number) / (1 - beta2 ** t)
        const decay = terms.kind === 'adamw' && decayed ? terms.weightDecayMicro / 1e6 : 0
        return rate * (mean / (Math.sqrt(square) + terms.epsilonNano / 1e9) + decay * (weights[at] as number))
      }
      case 'rmsprop': {
        const [rho, momentum] = [terms.discountMicro / 1e6, terms.momentumMicro / 1e6]
        m[at] = rho * (m[at] as number) + (1 - rho) * g
        v[at] = rho * (v[at] as number) + (1 - rho) * g * g
        const variance = (v[at] as number) - (terms.centred ? (m[at] as number) ** 2 : 0)
        u[at] = momentum * (u[at] as number) + (rate * g) / Math.sqrt(variance + terms.epsilonNano / 1e9)
        return u[at] as number
      }
    }
  }
  return {
    weights,
    step(gradient: Float32Array) {
      t++
      for (const [at, g] of gradient.entries()) weights[at] = (weights[at] as number) - stepOf(at, g)
    },
  }
}
