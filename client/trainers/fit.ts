import { addN, engine, type Scalar, scalar, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core'
import { normOf } from '#aggregation/clip.ts'
import { EVALUATION_ROWS } from '#aggregation/needs.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { assert } from '#protocol/assert.ts'
import type { Millis } from '#protocol/ids.ts'
import { type LocalUpdate, TrainingRefused, type TrainingTask, type TrainProgress } from '#protocol/ports.ts'
import { dropoutSeed } from '#protocol/seeds.ts'
import { outputsOf, positivesOf } from '#protocol/task.ts'
import type { Dataset } from '../data/dataset.ts'
import { shuffle } from '../data/shuffle.ts'
import { type Batch, batchesOf } from './batches.ts'
import { openDescent } from './descent.ts'
import { Evaluation } from './evaluation.ts'
import { tensorOf } from './kernels/fused.ts'
import { labelWeights, lossSum } from './loss.ts'
import { buildNetwork, type Network } from './network.ts'
import { openOptimiser } from './optimiser.ts'
import { isPlain, nextControl, type Walk } from './scaffold.ts'

export type FitDoors = {
  /** Asked once a batch, and waited for: it may hold the work up, and throws to end it. */
  readonly checkpoint: () => void | Promise<void>
  readonly progress: (at: TrainProgress) => void
}

/**
 * One node's part of a round, on the backend that is set: the incoming model is tested on the held-out rows, then trained
 * on the others. A loop of our own, since TF.js's `fit` is up to twice slower on small models and shuffles by Math.random.
 * The same arguments give the same bits on a backend that is deterministic, whatever was fitted before. Nothing is read back
 * in the middle of a step: an accelerator works through what it was given, and is waited for now and then.
 */
export async function fitModel(
  model: Float32Array,
  training: TrainingTask,
  dataset: Dataset,
  outside: FitDoors,
): Promise<LocalUpdate> {
  const started = performance.now()
  const { held, ...doors } = timing(outside)
  const { architecture, purpose } = training
  const network = buildNetwork(architecture)
  try {
    checkShapes(network, training, dataset)
    network.write(model)
    const evaluation = await evaluate(network, training, dataset, doors)
    const examples = purpose === 'train' ? dataset.train.length : 0
    const learned = purpose === 'train' ? await learn(network, model, training, dataset, doors) : NOTHING
    return { ...learned, examples, evaluation, trainMillis: Math.round(performance.now() - started - held()) }
  } finally {
    network.dispose()
  }
}

/** The same doors, and for how long they have held the work up: what a node rests says nothing of how fast it is. */
function timing({ checkpoint, progress }: FitDoors): FitDoors & { readonly held: () => Millis } {
  let held: Millis = 0
  return {
    progress,
    held: () => held,
    async checkpoint() {
      const at = performance.now()
      await checkpoint()
      held += performance.now() - at
    },
  }
}

type Learned = Pick<LocalUpdate, 'delta' | 'control'>
const NOTHING: Learned = { delta: new Float32Array(0) }

/** What training moves the weights by that are not frozen. */
async function learn(
  network: Network,
  model: Float32Array,
  training: TrainingTask,
  dataset: Dataset,
  doors: FitDoors,
): Promise<Learned> {
  const { task, correction } = training
  if (correction && !isPlain(task.optimiser))
    throw new TrainingRefused('wrong-optimiser', 'control variates go with plain SGD alone')
  const walk = await trainNetwork(network, training, dataset, doors)
  const delta = subtract(await network.readTrained(), model)
  if (!Number.isFinite(normOf(delta))) throw new TrainingRefused('not-finite', `weights after ${task.epochs} epochs`)
  return correction ? { delta, control: nextControl(correction, delta, walk) } : { delta }
}

/** In place. @param from as long, or longer */
function subtract(values: Float32Array, from: Float32Array): Float32Array {
  for (let index = 0; index < values.length; index++)
    values[index] = (values[index] as number) - (from[index] as number)
  return values
}

function checkShapes(network: Network, { task, architecture }: TrainingTask, dataset: Dataset): void {
  if (String(architecture.input) !== String(dataset.shape)) {
    throw new TrainingRefused(
      'wrong-input',
      `the model takes [${architecture.input.join(', ')}], a row is [${dataset.shape.join(', ')}]`,
    )
  }
  const outputs = outputsOf(task.loss, task.data)
  if (!outputs.ok) throw new TrainingRefused(outputs.refusal, outputs.detail ?? '')
  if (String(network.output) !== String([outputs.value])) {
    throw new TrainingRefused(
      'wrong-output',
      `the model gives [${network.output.join(', ')}], ${task.loss} takes [${outputs.value}]`,
    )
  }
}

async function evaluate(
  network: Network,
  { task, evaluationRowsMax }: TrainingTask,
  dataset: Dataset,
  doors: FitDoors,
): Promise<LocalUpdate['evaluation']> {
  const rows = dataset.heldOut.subarray(0, evaluationRowsMax)
  const evaluation = new Evaluation(task)
  const each = positivesOf(task.data)?.length ?? 1
  for await (const batch of batchesOf(dataset, rows, EVALUATION_ROWS)) {
    await doors.checkpoint()
    const outputs = await valuesOf(tidy(() => network.predict(inputOf(dataset, batch))))
    evaluation.add(outputs, labelsOf(dataset, batch, each))
  }
  return evaluation.measured
}

/** Steps that an accelerator may be behind. */
const STEPS_AHEAD = 16

/** The sum of what steps lost. They stay where they are until some have come together: each read would hold up its step. */
class Losses {
  #sum = 0
  #behind: Scalar[] = []

  /** Takes the scalar over. */
  async add(loss: Scalar): Promise<void> {
    this.#behind.push(loss)
    if (this.#behind.length === STEPS_AHEAD) await this.#catchUp()
  }

  /** The sum, which begins anew. */
  async take(): Promise<number> {
    if (this.#behind.length > 0) await this.#catchUp()
    const sum = this.#sum
    this.#sum = 0
    return sum
  }

  dispose(): void {
    for (const each of this.#behind) each.dispose()
    this.#behind = []
  }

  async #catchUp(): Promise<void> {
    const together = addN(this.#behind)
    this.dispose()
    this.#sum += (await valuesOf(together))[0] as number
  }
}

async function trainNetwork(
  network: Network,
  { task, shuffleSeed, correction }: TrainingTask,
  dataset: Dataset,
  doors: FitDoors,
): Promise<Walk> {
  const next = uint32Stream(shuffleSeed)
  const positives = positivesOf(task.data)
  const training = { next: uint32Stream(dropoutSeed(shuffleSeed)) }
  const descent = openDescent(network.trainable, task, correction)
  const optimiser = openOptimiser(network.trainable, task.optimiser)
  const losses = new Losses()
  let steps = 0
  try {
    for (let epoch = 1; epoch <= task.epochs; epoch++) {
      const order = shuffle(new Int32Array(dataset.train), next)
      for await (const batch of batchesOf(dataset, order, task.batchSize)) {
        await doors.checkpoint()
        const loss = tidy(() => {
          const { targets, weights } = positives
            ? severalOf(dataset, batch, positives)
            : { targets: targetsOf(dataset, batch, network.output[0] as number) }
          const x = inputOf(dataset, batch)
          const sum = () => lossSum(task.loss, network.predict(x, training), targets, weights)
          const { value, gradients } = differentiate(network, sum, 1 / batch.rows.length)
          optimiser.step(descent.along(gradients))
          return value
        })
        steps++
        await losses.add(loss)
      }
      const sum = await losses.take()
      if (!Number.isFinite(sum)) throw new TrainingRefused('not-finite', `loss in epoch ${epoch}`)
      doors.progress({ epoch, epochs: task.epochs, loss: sum / order.length, ...sampleIn(dataset) })
    }
    return { steps, rate: task.optimiser.rateMicro / 1e6 }
  } finally {
    losses.dispose()
    optimiser.dispose()
    descent.dispose()
  }
}

function sampleIn({ train, heldOut, labelled }: Dataset): Pick<TrainProgress, 'sample'> {
  const rows = train.length + heldOut.length
  return rows < labelled ? { sample: { rows, of: labelled } } : {}
}

/** A loss, and its gradients times `scale`, in the order of what is trainable: the loss itself is not scaled for that. */
function differentiate({ trainable }: Network, loss: () => Scalar, scale: number) {
  const { value, grads } = engine().gradients(loss, [...trainable], scalar(scale), true)
  assert(grads.every(Boolean), 'the loss depends on every weight')
  return { value, gradients: grads as readonly Tensor[] }
}

/** Of a tensor that nothing else needs. */
async function valuesOf(once: Tensor): Promise<ArrayLike<number>> {
  try {
    return await once.data()
  } finally {
    once.dispose()
  }
}

function inputOf({ shape }: Dataset, { rows, values }: Batch): Tensor {
  return tensorOf({ shape: [rows.length, ...shape], values })
}

/** @param each how many a row has */
function labelsOf({ labels }: Dataset, { rows }: Batch, each: number): Float32Array {
  const found = new Float32Array(rows.length * each)
  for (let index = 0; index < rows.length; index++) {
    const from = (rows[index] as number) * each
    found.set(labels.subarray(from, from + each), index * each)
  }
  return found
}

/** Several labels of each row, and what each of them counts: nothing where it is not known. */
function severalOf(dataset: Dataset, batch: Batch, positives: readonly number[]) {
  const each = positives.length
  const values = labelsOf(dataset, batch, each)
  const weights = new Float32Array(values.length)
  for (let from = 0; from < values.length; from += each)
    weights.set(labelWeights(values.subarray(from, from + each), positives), from)
  const sides: [number, number] = [batch.rows.length, each]
  const known = values.map((value) => (Number.isNaN(value) ? 0 : value))
  return { targets: tensor(known, sides), weights: tensor(weights, sides) }
}

/** One-hot, or the label itself where there is one output. */
function targetsOf({ labels }: Dataset, { rows }: Batch, outputs: number): Tensor {
  const values = new Float32Array(rows.length * outputs)
  for (let index = 0; index < rows.length; index++) {
    const label = labels[rows[index] as number] as number
    if (outputs === 1) values[index] = label
    else values[index * outputs + label] = 1
  }
  return tensor(values, [rows.length, outputs])
}
