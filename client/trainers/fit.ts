import { customGrad, type Scalar, scalar, type Tensor, tensor, tidy, variableGrads } from '@tensorflow/tfjs-core'
import { uint32Stream } from '#aggregation/rng.ts'
import { LOSS_MAX_NATS } from '#protocol/limits.ts'
import { type LocalUpdate, TrainingRefused, type TrainingTask, type TrainProgress } from '#protocol/ports.ts'
import { classesOf, type Loss } from '#protocol/task.ts'
import type { Dataset } from '../data/dataset.ts'
import { shuffle } from '../data/shuffle.ts'
import { EVALUATION_ROWS } from '../needs.ts'
import { crossEntropy, outputsFor } from './loss.ts'
import { buildNetwork, type Network } from './network.ts'
import { type Sgd, sgd } from './sgd.ts'

export type FitDoors = {
  /** Throws to end the work; asked once a batch. */
  readonly checkpoint: () => void
  readonly progress: (at: TrainProgress) => void
}

/**
 * One node's part of a round, on the backend that is set: the incoming model is tested on the held-out rows, then trained
 * on the others. A loop of our own, since TF.js's `fit` is up to twice slower on small models and shuffles by Math.random.
 * The same arguments give the same bits, whatever was fitted before.
 */
export function fitModel(model: Float32Array, training: TrainingTask, dataset: Dataset, doors: FitDoors): LocalUpdate {
  const started = performance.now()
  const { task, architecture, purpose } = training
  const network = buildNetwork(architecture)
  try {
    checkShapes(network, training, dataset)
    network.write(model)
    const evaluation = evaluate(network, training, dataset, doors)
    const examples = purpose === 'train' ? dataset.train.length : 0
    if (purpose === 'train') trainNetwork(network, training, dataset, doors)
    const delta =
      purpose === 'train'
        ? network.read().map((weight, index) => weight - (model[index] as number))
        : new Float32Array(0)
    if (!delta.every(Number.isFinite)) throw new TrainingRefused('not-finite', `weights after ${task.epochs} epochs`)
    return { delta, examples, evaluation, trainMillis: Math.round(performance.now() - started) }
  } finally {
    network.dispose()
  }
}

function checkShapes(network: Network, { task, architecture }: TrainingTask, dataset: Dataset): void {
  const outputs = outputsFor(task.loss, classesOf(task.data))
  if (String(architecture.input) !== String(dataset.shape)) {
    throw new TrainingRefused(
      'wrong-input',
      `the model takes [${architecture.input.join(', ')}], a row is [${dataset.shape.join(', ')}]`,
    )
  }
  if (String(network.output) !== String([outputs])) {
    throw new TrainingRefused(
      'wrong-output',
      `the model gives [${network.output.join(', ')}], ${task.loss} takes [${outputs}]`,
    )
  }
  if (task.loss === 'sigmoid-cross-entropy' && classesOf(task.data) !== 2) {
    throw new TrainingRefused('wrong-output', 'a sigmoid tells two classes apart')
  }
}

function evaluate(
  network: Network,
  { task, evaluationRowsMax }: TrainingTask,
  dataset: Dataset,
  doors: FitDoors,
): LocalUpdate['evaluation'] {
  const rows = dataset.heldOut.subarray(0, evaluationRowsMax)
  let correct = 0
  let lossSumNats = 0
  for (const batch of batches(rows, EVALUATION_ROWS)) {
    doors.checkpoint()
    const logits = tidy(() => network.predict(inputOf(dataset, batch)).dataSync())
    const scored = crossEntropy(task.loss, logits, labelsOf(dataset, batch))
    for (const nats of scored.nats) {
      if (Number.isNaN(nats)) throw new TrainingRefused('not-finite', 'the incoming model on held-out rows')
      lossSumNats += Math.min(nats, LOSS_MAX_NATS)
    }
    correct += scored.correct
  }
  return { rows: rows.length, correct, lossSumNats }
}

function trainNetwork(network: Network, { task, shuffleSeed }: TrainingTask, dataset: Dataset, doors: FitDoors): void {
  const next = uint32Stream(shuffleSeed)
  const optimiser = sgd(network.variables, task.optimiser)
  try {
    for (let epoch = 1; epoch <= task.epochs; epoch++) {
      const order = shuffle(dataset.train.slice(), next)
      let lossSum = 0
      for (const batch of batches(order, task.batchSize)) {
        doors.checkpoint()
        const batchLoss = tidy(() => trainBatch(network, optimiser, task.loss, dataset, batch))
        if (!Number.isFinite(batchLoss)) throw new TrainingRefused('not-finite', `loss in epoch ${epoch}`)
        lossSum += batchLoss
      }
      doors.progress({ epoch, epochs: task.epochs, loss: lossSum / order.length })
    }
  } finally {
    optimiser.dispose()
  }
}

/** One step down the gradient. @returns the batch's loss before it, summed over its rows, in nats */
function trainBatch(network: Network, optimiser: Sgd, loss: Loss, dataset: Dataset, batch: Int32Array): number {
  let lossSum = 0
  const x = inputOf(dataset, batch)
  const labels = labelsOf(dataset, batch)
  const meanLoss = customGrad((logits) => {
    const values = (logits as Tensor).dataSync()
    const { nats, gradient } = crossEntropy(loss, values, labels)
    lossSum = nats.reduce((sum, each) => sum + each, 0)
    const mean = gradient.map((each) => each / batch.length)
    const { shape } = logits as Tensor
    // `dy` is 1: the loss is what is differentiated.
    return { value: scalar(lossSum / batch.length), gradFunc: () => tensor(mean, shape) }
  })
  const { grads } = variableGrads(() => meanLoss(network.predict(x)) as Scalar, [...network.variables])
  optimiser.step(grads)
  return lossSum
}

/** The last one may be short. */
function* batches(rows: Int32Array, size: number): Iterable<Int32Array> {
  for (let from = 0; from < rows.length; from += size) yield rows.subarray(from, from + size)
}

function inputOf(dataset: Dataset, batch: Int32Array): Tensor {
  const width = dataset.shape.reduce((product, side) => product * side, 1)
  const values = new Float32Array(batch.length * width)
  for (const [index, row] of batch.entries()) dataset.copyRow(row, values, index * width)
  return tensor(values, [batch.length, ...dataset.shape])
}

function labelsOf(dataset: Dataset, batch: Int32Array): Int32Array {
  return batch.map((row) => dataset.labels[row] as number)
}
