import {
  keep,
  losses,
  mul,
  type Scalar,
  setBackend,
  type Tensor,
  tensor,
  tidy,
  train,
  type Variable,
  variableGrads,
  zerosLike,
} from '@tensorflow/tfjs-core'
import type { Dataset } from '#client/data/dataset.ts'
import { openBackend } from '#client/trainers/backend.ts'
import type { BackendChoice } from '#client/trainers/backends/choice.ts'
import { fitModel } from '#client/trainers/fit.ts'
import { momentumStep } from '#client/trainers/kernels/fused.ts'
import { lossSum } from '#client/trainers/loss.ts'
import { buildNetwork } from '#client/trainers/network.ts'
import { assert } from '#protocol/assert.ts'
import { someModel, trainingOf } from '#test/client/trainers/tasks.ts'
import { timed } from './cpu.ts'
import { CLASSES, MODELS, type Model, type ModelName } from './train-models.ts'
import { arraysOf, noiseRows } from './train-rows.ts'

/**
 * `node train-loop.ts ours|stock <backend> <model> <batch> <seconds> cpu|gpu`: trains and prints a line of JSON. `ours` takes turns
 * between what a node runs in a round and a bare loop over the same operations, so that both see the same machine.
 */
export type Trained = {
  /** Samples a second of CPU, or on a GPU of time on the wall, in the turn after the fastest quarter. */
  readonly perSecond: number
  /** By the bare loop; missing where there is no other. */
  readonly barePerSecond?: number
  readonly peakBytes: number
}

/** Long enough that a turn holds its share of garbage collection. */
const TURN_MILLIS = 250
/** Of three steps each: until the compiler has seen them. A turn that is measured by cold steps is a fraction of what it should be. */
const WARM_TURNS = 10
const OPTIMISER = { kind: 'sgd', rateMicro: 10_000, momentumMicro: 900_000 } as const

/** Batches are normalised by their own statistics; no layer here draws. */
const TRAINING = { next: () => 0 }
const [loop, backend, name, batchText, secondsText, device] = process.argv.slice(2) as [
  string,
  string,
  ModelName,
  string,
  string,
  'cpu' | 'gpu',
]
const [batch, millis] = [Number(batchText), Number(secondsText) * 1000]
const { architecture, stock, kind }: Model = MODELS[name]
/** Looked at after every turn. The operating system's own peak would do, but a new process inherits its parent's. */
let peakBytes = 0
const trained = loop === 'ours' ? await trainOurs() : await trainStock()
process.stdout.write(JSON.stringify({ ...trained, peakBytes } satisfies Trained))

async function trainOurs() {
  await openBackend(backend as BackendChoice)
  const warm = await bareLoop(noiseRows(kind, architecture.input, 3 * batch))
  for (let turn = 0; turn < WARM_TURNS; turn++) await warm()
  const steps = Math.max(2, Math.round((3 * TURN_MILLIS) / (await millisOf(warm))))
  const dataset = noiseRows(kind, architecture.input, steps * batch)
  const bare = await bareLoop(dataset)
  const training = trainingOf(architecture, 'softmax-cross-entropy', CLASSES, {
    batchSize: batch,
    optimiser: OPTIMISER,
  })
  const model = someModel(architecture, 5).map((weight) => weight / 10)
  const doors = { checkpoint: () => undefined, progress: () => undefined }
  const turns = await takeTurns([() => fitModel(model, training, dataset, doors), bare])
  const [perSecond, barePerSecond] = turns.map((turn) => (steps * batch * 1000) / turn) as [number, number]
  return { perSecond, barePerSecond }
}

/**
 * What a user of TF.js writes around our layers: rows in one array, in one order; nothing shuffled, reported or held out. Each
 * turn from the same weights, as a fit: what a trained model works with takes other branches, and other time.
 */
async function bareLoop(dataset: Dataset): Promise<() => Promise<void>> {
  const network = buildNetwork(architecture)
  const model = someModel(architecture, 5).map((weight) => weight / 10)
  const attrs = { rate: OPTIMISER.rateMicro / 1e6, momentum: OPTIMISER.momentumMicro / 1e6, nesterov: false }
  const velocities: Tensor[] = network.trainable.map((each) => keep(zerosLike(each)))
  const [x, y] = await arraysOf(dataset)
  const width = x.length / dataset.labels.length
  return async () => {
    network.write(model)
    velocities.forEach((before, index) => {
      velocities[index] = keep(zerosLike(before))
      before.dispose()
    })
    let last: Scalar | undefined
    for (let row = 0; row < dataset.labels.length; row += batch) {
      last?.dispose()
      last = tidy(() => {
        const inputs = tensor(x.subarray(row * width, (row + batch) * width), [batch, ...architecture.input])
        const targets = tensor(y.subarray(row * CLASSES, (row + batch) * CLASSES), [batch, CLASSES])
        const loss = () =>
          mul(lossSum('softmax-cross-entropy', network.predict(inputs, TRAINING), targets), 1 / batch) as Scalar
        const { value, grads } = variableGrads(loss, [...network.trainable])
        for (const [index, weights] of network.trainable.entries()) {
          const [before, gradient] = [velocities[index] as Tensor, grads[weights.name] as Tensor]
          const [moved, velocity] = momentumStep({ weights, gradient, velocity: before }, attrs)
          weights.assign(moved)
          velocities[index] = keep(velocity)
          before.dispose()
        }
        return value
      })
    }
    await last?.data()
    last?.dispose()
  }
}

/** TF.js as it comes: its layers, its loss, its optimiser, its kernels. */
async function trainStock() {
  await import(`@tensorflow/tfjs-backend-${backend}`)
  if (!(await setBackend(backend))) throw new Error(`TF.js does not set ${backend}`)
  assert(stock, 'a stock loop has a stock model')
  const model = stock()
  const optimiser = train.momentum(OPTIMISER.rateMicro / 1e6, OPTIMISER.momentumMicro / 1e6)
  const variables = model.trainableWeights.map((each) => each.read() as Variable)
  const [x, y] = await arraysOf(noiseRows(kind, architecture.input, batch))
  const step = async () => {
    const value = tidy(() => {
      const [inputs, targets] = [tensor(x, [batch, ...architecture.input]), tensor(y, [batch, CLASSES])]
      const loss = () =>
        losses.softmaxCrossEntropy(targets, model.apply(inputs, { training: true }) as Tensor) as Scalar
      return optimiser.minimize(loss, true, variables) as Scalar
    })
    await value.data()
    value.dispose()
  }
  await step()
  const [turn] = await takeTurns([step])
  return { perSecond: (batch * 1000) / (turn as number) }
}

/** One after the other until the time is over, twice at least. @returns milliseconds of the turn after the fastest quarter, of each */
async function takeTurns(acts: readonly (() => Promise<unknown>)[]): Promise<readonly number[]> {
  const took = acts.map((): number[] => [])
  for (let [turn, sum] = [0, 0]; turn < 2 || sum < millis; turn++) {
    for (const [index, act] of acts.entries()) {
      const turnMillis = await millisOf(act)
      sum += turnMillis
      took[index]?.push(turnMillis)
      peakBytes = Math.max(peakBytes, process.memoryUsage.rss())
    }
  }
  return took.map((each) => each.sort((a, b) => a - b)[Math.floor(each.length / 4)] as number)
}

/** CPU of the whole process: its collector and its compiler count, and whoever else uses the machine does not. */
async function millisOf(act: () => Promise<unknown>): Promise<number> {
  const { cpu, wall } = await timed(act)
  return device === 'gpu' ? wall : cpu
}
