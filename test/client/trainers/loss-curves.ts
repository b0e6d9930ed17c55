import { fitModel } from '#client/trainers/fit.ts'
import type { Architecture } from '#protocol/architecture.ts'
import type { Task } from '#protocol/task.ts'
import { conv, dense, flat, pool } from './layer-examples.ts'
import { someDataset, someModel, trainingOf } from './tasks.ts'

type Curve = {
  readonly architecture: Architecture
  readonly rows: number
  readonly classes: number
  readonly optimiser: Task['optimiser']
}

const momentum = { kind: 'sgd', rateMicro: 100_000, momentumMicro: 900_000 } as const
const adam = { kind: 'adam', rateMicro: 10_000, beta1Micro: 900_000, beta2Micro: 999_000, epsilonNano: 100 } as const

export const PERCEPTRON = 'a multilayer perceptron'
export const ODD_PERCEPTRON = 'a multilayer perceptron of odd sides, its last batch as odd'
export const ODD_BATCHES = 'odd batches that are normalised'

/** Small networks of the two kinds that the demo trains, and some that end inside whatever a backend takes at once. */
export const CURVES: Readonly<Record<string, Curve>> = {
  [PERCEPTRON]: {
    architecture: { v: 1, input: [20], layers: [dense('a', 24, 'relu'), dense('out', 4)] },
    ...{ rows: 40, classes: 4, optimiser: momentum },
  },
  'a convolutional network': {
    architecture: {
      ...{ v: 1, input: [10, 10, 1] },
      layers: [conv('a', 6, [3, 3], { activation: 'relu' }), pool('b', [2, 2], [2, 2]), flat, dense('out', 4)],
    },
    ...{ rows: 40, classes: 4, optimiser: momentum },
  },
  [ODD_PERCEPTRON]: {
    architecture: {
      ...{ v: 1, input: [21] },
      layers: [dense('a', 25, 'relu'), dense('b', 17, 'sigmoid'), dense('out', 5)],
    },
    ...{ rows: 43, classes: 5, optimiser: adam },
  },
  [ODD_BATCHES]: {
    architecture: {
      ...{ v: 1, input: [21] },
      layers: [
        dense('a', 25),
        { layer: 'batchNormalization', name: 'b', momentumMicro: 990_000, epsilonNano: 1_000_000 },
        { layer: 'activation', name: 'c', activation: 'relu' },
        dense('out', 5),
      ],
    },
    ...{ rows: 43, classes: 5, optimiser: momentum },
  },
}

/** Of each epoch, on the backend that is set. */
export async function lossesOf(name: string): Promise<readonly number[]> {
  const { architecture, rows, classes, optimiser } = CURVES[name] as Curve
  const changes = { epochs: 6, batchSize: 16, optimiser }
  const training = trainingOf(architecture, 'softmax-cross-entropy', classes, changes)
  const losses: number[] = []
  await fitModel(someModel(architecture, 3), training, someDataset(architecture.input, rows, classes, 8), {
    checkpoint: () => undefined,
    progress: ({ loss }) => losses.push(loss),
  })
  return losses
}
