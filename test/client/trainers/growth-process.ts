import { memory } from '@tensorflow/tfjs-core'
import { openBackend } from '#client/trainers/backend.ts'
import type { BackendChoice } from '#client/trainers/backends/choice.ts'
import type { Architecture } from '#protocol/architecture.ts'
import { tellHeld } from '../holding.ts'
import { fitHere, someDataset, someModel, trainingOf } from './tasks.ts'

/** Fits a small model again and again, on one backend. */
const [turns, every] = [Number(process.argv[2]), Number(process.argv[3])]

const architecture: Architecture = {
  v: 1,
  input: [4, 4, 1],
  layers: [
    { layer: 'conv2d', name: 'a', filters: 2, kernel: [2, 2], strides: [1, 1], padding: 'valid', activation: 'relu' },
    { layer: 'maxPooling2d', name: 'b', pool: [2, 2], strides: [1, 1] },
    { layer: 'flatten', name: 'c' },
    { layer: 'dense', name: 'd', units: 3, activation: 'linear' },
  ],
}
const data = { kind: 'image', height: 4, width: 4, channels: 1, classes: 3, rowsMax: 1000 } as const
const optimiser = { kind: 'sgd', rateMicro: 10_000, momentumMicro: 900_000 } as const
const task = trainingOf(architecture, 'softmax-cross-entropy', 3, { data, optimiser, batchSize: 4 })
const dataset = someDataset([4, 4, 1], 8, 3, 1)

await openBackend(process.argv[4] as BackendChoice)
let model = someModel(architecture, 1)
for (let turn = 1; turn <= turns; turn++) {
  const { delta } = await fitHere(model, task, dataset)
  model = model.map((weight, index) => weight + (delta[index] as number))
  if (turn % every === 0) await tellHeld(turn, { tensors: memory().numTensors })
}
