import { afterAll, expect, test } from '@jest/globals'
import {
  add,
  clipByValue,
  concat,
  cumsum,
  div,
  elu,
  erf,
  gather,
  grads,
  leakyRelu,
  logSoftmax,
  matMul,
  mean,
  mirrorPad,
  moments,
  mul,
  neg,
  pad,
  relu,
  relu6,
  reshape,
  rsqrt,
  selu,
  sigmoid,
  slice,
  softmax,
  softplus,
  split,
  square,
  step,
  sub,
  sum,
  type Tensor,
  tanh,
  tensor,
  tidy,
  tile,
  transpose,
} from '@tensorflow/tfjs-core'
import { openBackend } from '#client/trainers/backend.ts'
import { adamStep, momentumStep, normalizeBatch, normalizeLayer, softmaxLoss } from '#client/trainers/kernels/fused.ts'
import { backendsHere } from './backends.ts'
import { distance } from './distance.ts'
import { noise } from './tasks.ts'

/**
 * Operations that layers are made of, with the gradients that the tape takes, against cpu, whose gradients are TF.js's own;
 * the fused ones against what they stand for. WebGPU's kernels are stock and tested layer by layer.
 */
const BACKENDS = await backendsHere('operations', ['cuda', 'node', 'wasm'])
const TOLERANCE = 2e-5

afterAll(async () => {
  await openBackend('auto')
})

type Operation = (...tensors: readonly Tensor[]) => Tensor
type Case = {
  readonly shapes: readonly (readonly number[])[]
  readonly found: Operation
  /** What it stands for; itself where left out. */
  readonly meant?: Operation
}

const one = (found: Operation, meant?: Operation): Case =>
  meant ? { shapes: [[3, 5, 6, 7]], found, meant } : { shapes: [[3, 5, 6, 7]], found }
const ids = () => tensor([3, 0, 3, 4, 1, 3], [2, 3], 'int32')
const standard = (x: Tensor, axes: number[], epsilon: number) => {
  const { mean, variance } = moments(x, axes, true)
  return mul(sub(x, mean), rsqrt(add(variance, epsilon)))
}
/** Values lie in −1…1; where an activation bends further out, they are stretched. */
const wide = (activate: (x: Tensor) => Tensor) => one((x) => activate(mul(x as Tensor, 8)))

const cases: Readonly<Record<string, Case>> = {
  relu: one(
    (x) => relu(x as Tensor),
    (x) => mul(x as Tensor, step(x as Tensor)),
  ),
  relu6: wide(relu6),
  leakyRelu: wide((x) => leakyRelu(x, 0.3)),
  elu: wide(elu),
  selu: wide(selu),
  softplus: wide(softplus),
  tanh: wide(tanh),
  sigmoid: wide(sigmoid),
  erf: one((x) => erf(x as Tensor)),
  clipByValue: wide((x) => clipByValue(x, -3, 2)),
  softmax: wide(softmax),
  logSoftmax: wide(logSoftmax),
  square: one((x) => square(x as Tensor)),
  cumsum: one((x) => cumsum(x as Tensor, 3)),
  tile: one((x) => tile(x as Tensor, [2, 1, 3, 1])),
  transpose: one((x) => transpose(x as Tensor, [0, 2, 1, 3])),
  reshape: one((x) => reshape(x as Tensor, [15, 42])),
  pad: one((x) =>
    pad(x as Tensor, [
      [0, 0],
      [1, 2],
      [0, 3],
      [0, 0],
    ]),
  ),
  mirrorPad: one((x) =>
    mirrorPad(
      x as Tensor,
      [
        [0, 0],
        [1, 2],
        [0, 3],
        [0, 0],
      ],
      'reflect',
    ),
  ),
  slice: one((x) => slice(x as Tensor, [0, 1, 2, 3], [3, 2, 4, 3])),
  split: one((x) => split(x as Tensor, [2, 5], 3)[1] as Tensor),
  'mean of rows': one((x) => mean(x as Tensor, [1, 2])),
  'sum of columns': one((x) => sum(x as Tensor, [0, 1, 2])),
  'sum with axes kept': one((x) => sum(x as Tensor, [3], true)),
  concat: {
    shapes: [
      [4, 3],
      [4, 9],
    ],
    found: (...both) => concat(both as Tensor[], 1),
  },
  'rows of a table': { shapes: [[5, 7]], found: (table) => gather(table as Tensor, ids()) },
  'columns of a table': { shapes: [[4, 5, 3]], found: (table) => gather(table as Tensor, ids(), 1) },
  'add, spread out': { shapes: [[3, 5, 7], [7]], found: (a, b) => add(a as Tensor, b as Tensor) },
  'subtract, spread out': {
    shapes: [
      [3, 5, 7],
      [3, 1, 7],
    ],
    found: (a, b) => sub(a as Tensor, b as Tensor),
  },
  'multiply, spread out': {
    shapes: [
      [4, 1],
      [1, 6],
    ],
    found: (a, b) => mul(a as Tensor, b as Tensor),
  },
  'divide, spread out': {
    shapes: [
      [3, 5, 7],
      [5, 1],
    ],
    found: (a, b) => div(a as Tensor, add(b as Tensor, 2)),
  },
  'product of turned batches': {
    shapes: [
      [6, 5, 7],
      [6, 9, 7],
    ],
    found: (a, b) => matMul(a as Tensor, b as Tensor, false, true),
  },
  'products of one tensor in two shapes': {
    shapes: [
      [5, 6],
      [6, 10],
    ],
    found: (a, b) => {
      const [left, right] = [a as Tensor, b as Tensor]
      return add(sum(matMul(left, right)), sum(matMul(reshape(left, [2, 15]), reshape(right, [15, 4]))))
    },
  },
  softmaxLoss: {
    shapes: [[9, 5]],
    found: (z) => softmaxLoss(mul(z as Tensor, 8), oneHot(9, 5)),
    meant: (z) => neg(sum(mul(logSoftmax(mul(z as Tensor, 8)), oneHot(9, 5)))),
  },
  normalizeBatch: {
    shapes: [[4, 9, 9, 7], [7], [7]],
    found: (x, scale, offset) =>
      normalizeBatch({ x: x as Tensor, scale: scale as Tensor, offset: offset as Tensor }, 1e-3).y,
    meant: (x, scale, offset) => add(mul(standard(x as Tensor, [0, 1, 2], 1e-3), scale as Tensor), offset as Tensor),
  },
  normalizeLayer: {
    shapes: [[3, 5, 11], [11], [11]],
    found: (x, scale, offset) =>
      normalizeLayer({ x: x as Tensor, scale: scale as Tensor, offset: offset as Tensor }, 1e-3),
    meant: (x, scale, offset) => add(mul(standard(x as Tensor, [2], 1e-3), scale as Tensor), offset as Tensor),
  },
}

test('every operation and its gradients are cpu’s on every backend, and the fused ones what they stand for', async () => {
  const expected = new Map<string, readonly Float32Array[]>()
  await openBackend('cpu')
  for (const [name, each] of Object.entries(cases)) expected.set(name, await derive(each, each.meant ?? each.found))
  const wrong: string[] = []
  for (const backend of [...BACKENDS, 'cpu'] as const) {
    await openBackend(backend)
    for (const [name, each] of Object.entries(cases)) {
      const found = await derive(each, each.found)
      const apart = found.map((values, index) => distance(values, expected.get(name)?.[index] as Float32Array))
      if (!apart.every((distance) => distance < TOLERANCE)) wrong.push(`${name} on ${backend}: ${apart.join(', ')}`)
    }
  }
  expect(wrong).toEqual([])
})

test('a batch that is normalised tells its mean and variance', async () => {
  for (const backend of [...BACKENDS, 'cpu'] as const) {
    await openBackend(backend)
    const rows = values([600, 5], 3).map((value) => value + 30)
    const x = tensor(rows, [600, 5])
    const { mean, variance } = normalizeBatch(
      { x, scale: tensor([1, 1, 1, 1, 1]), offset: tensor([0, 0, 0, 0, 0]) },
      1e-3,
    )
    const columns = Array.from({ length: 5 }, (_, column) => [...rows].filter((__, index) => index % 5 === column))
    const means = columns.map((column) => column.reduce((total, each) => total + each, 0) / 600)
    const variances = columns.map(
      (column, index) => column.reduce((total, each) => total + (each - (means[index] as number)) ** 2, 0) / 600,
    )
    expect(distance(await mean.data(), means)).toBeLessThan(TOLERANCE)
    expect(distance(await variance.data(), variances)).toBeLessThan(TOLERANCE)
  }
})

test('an optimiser’s step is what it is by definition, and leaves what it was given', async () => {
  const size = 4 * 5 + 3
  const [w, g, m, s] = [1, 2, 3, 4].map((seed) => values([size], seed)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ]
  const squares = s.map(Math.abs)
  const by = (rule: (at: number) => number) => Array.from({ length: size }, (_, at) => rule(at))
  const at = (list: ArrayLike<number>, index: number) => list[index] as number
  const adam = { rate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-3, kept: 0.95 }
  const means = by((i) => 0.9 * at(m, i) + 0.1 * at(g, i))
  const nextSquares = by((i) => 0.99 * at(squares, i) + 0.01 * at(g, i) ** 2)
  const adamWeights = by((i) => 0.95 * at(w, i) - (0.1 * at(means, i)) / (Math.sqrt(at(nextSquares, i)) + 1e-3))
  const velocities = by((i) => 0.8 * at(m, i) + at(g, i))
  for (const backend of [...BACKENDS, 'cpu'] as const) {
    await openBackend(backend)
    const [weights, gradient, mean, square] = [w, g, m, squares].map((each) => tensor(each.slice())) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ]
    const stepped = adamStep({ weights, gradient, mean, square }, adam)
    for (const [index, expected] of [adamWeights, means, nextSquares].entries())
      expect(distance(await (stepped[index] as Tensor).data(), expected)).toBeLessThan(TOLERANCE)
    for (const nesterov of [false, true]) {
      const [moved, velocity] = momentumStep(
        { weights, gradient, velocity: mean },
        { rate: 0.1, momentum: 0.8, nesterov },
      )
      const along = by((i) => (nesterov ? at(g, i) + 0.8 * at(velocities, i) : at(velocities, i)))
      expect(
        distance(
          await moved.data(),
          by((i) => at(w, i) - 0.1 * at(along, i)),
        ),
      ).toBeLessThan(TOLERANCE)
      expect(distance(await velocity.data(), velocities)).toBeLessThan(TOLERANCE)
    }
    expect([...(await weights.data())]).toEqual([...w])
  }
})

/** What it gives and its gradients, for the same inputs and the same gradient of what it gives. */
async function derive({ shapes }: Case, operation: Operation): Promise<readonly Float32Array[]> {
  const inputs = shapes.map((shape, index) => tensor(values(shape, index + 1), [...shape]))
  const all = tidy(() => {
    const y = operation(...inputs)
    const dy = tensor(values(y.shape, 99), y.shape)
    return [y, ...grads((...tensors: Tensor[]) => operation(...tensors))(inputs, dy)]
  })
  const read = await Promise.all(all.map(async (each) => Float32Array.from(await each.data())))
  for (const each of [...all, ...inputs]) each.dispose()
  return read
}

function values(shape: readonly number[], seed: number): Float32Array {
  const next = noise(seed * 7919)
  return Float32Array.from({ length: shape.reduce((product, side) => product * side, 1) }, next)
}

function oneHot(rows: number, classes: number): Tensor {
  const hot = Float32Array.from({ length: rows * classes }, (_, at) =>
    at % classes === Math.floor(at / classes) % classes ? 1 : 0,
  )
  return tensor(hot, [rows, classes])
}
