import { type Architecture, type LayerShape, layersOf } from '#protocol/architecture.ts'
import { unreachable } from '#protocol/assert.ts'
import type { Activation, Layer } from '#protocol/layers.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { sizeOf } from '#protocol/shapes.ts'
import type { Optimiser, Task } from '#protocol/task.ts'

/** Rows tested at once: enough to keep the kernels busy, few enough to stay in the cache. */
export const EVALUATION_ROWS = 64

/** Memory that a task may take, where the operator says nothing else. */
export const MEMORY_BYTES_MAX = 2 * 1024 ** 3

/** Beside the tensors a training thread has the incoming model, the trained one and their difference as plain arrays. */
const COPIES = 3
/** And of the rows: those of this batch and of the next one, and what these are read from, which is no larger. */
const AHEAD = 3
/** Weights, and as the tape keeps them, and gradients. */
const HELD = 3
const FLOAT_BYTES = 4

/** Whether a site with so much memory may begin it: said before a byte of the model is fetched. */
export function checkNeeds(architecture: Architecture, task: Task, bytesMax: number): Result<void, 'task-too-large'> {
  const { tensorBytes, copiesBytes } = trainingNeeds(architecture, task)
  const mebibytes = Math.ceil((tensorBytes + copiesBytes) / 1024 ** 2)
  if (tensorBytes + copiesBytes <= bytesMax) return accept(undefined)
  return refuse('task-too-large', `about ${mebibytes} MiB, at most ${Math.floor(bytesMax / 1024 ** 2)} here`)
}

/**
 * What training holds at its peak, at most: of the weights by their number, of everything else by the rows of a batch. The
 * tape keeps what each layer took and put out until the batch is over, and what flows back as well. A convolution's kernels
 * besides lay out a padded image and a packed filter for the time of their call. Counted as TF.js counts, which takes a
 * tensor that shares another's memory for a second one.
 */
export function trainingNeeds(
  architecture: Architecture,
  { batchSize, data, ...learning }: Pick<Task, 'batchSize' | 'data'> & Learning,
): { readonly tensorBytes: number; readonly copiesBytes: number } {
  const layers = layersOf(architecture)
  const tensors = layers.flatMap((layer) => layer.tensors)
  const parameters = tensors.reduce((sum, tensor) => sum + sizeOf(tensor), 0)
  const largest = Math.max(0, ...tensors.map(sizeOf))
  const rows = Math.min(batchSize, data.rowsMax)
  const input = sizeOf({ shape: architecture.input })
  const perRow = layers.reduce(
    (sum, { layer, from, shape }) =>
      sum + from.reduce((taken, each) => taken + sizeOf({ shape: each }), 0) + kept(layer) * sizeOf({ shape }),
    input,
  )
  const passing = Math.max(0, ...layers.map((layer) => passingFloats(layer, rows)))
  const held = HELD + rememberedBy(learning.optimiser) + steered(learning)
  const trained = held * parameters + moving(learning.optimiser) * largest + rows * perRow + passing
  const tested = parameters + EVALUATION_ROWS * layers.reduce((sum, { shape }) => sum + 2 * sizeOf({ shape }), input)
  return {
    tensorBytes: FLOAT_BYTES * Math.max(trained, tested),
    copiesBytes: FLOAT_BYTES * (COPIES * parameters + AHEAD * rows * input),
  }
}

type Learning = Pick<Task, 'optimiser' | 'proximalMicro' | 'gradientNormMicro'>

/** Tensors of the weights' shapes that an optimiser remembers from step to step. */
export function rememberedBy(optimiser: Optimiser): number {
  switch (optimiser.kind) {
    case 'sgd':
      return optimiser.momentumMicro > 0 ? 1 : 0
    case 'adam':
    case 'adamw':
      return 2
    case 'rmsprop':
      return 1 + (optimiser.momentumMicro > 0 ? 1 : 0) + (optimiser.centred ? 1 : 0)
    default:
      return unreachable(optimiser)
  }
}

/** And those that are there only while one of them moves: what is remembered next, and the steps to it. */
function moving(optimiser: Optimiser): number {
  return optimiser.kind === 'sgd' ? 4 : 8
}

/** The weights that came in, with the gradients that pull to them; and gradients that were scaled. */
function steered({ proximalMicro, gradientNormMicro }: Learning): number {
  return (proximalMicro === undefined ? 0 : 2) + (gradientNormMicro === undefined ? 0 : 1)
}

/** Floats that stay until the batch is over, for each that the layer puts out: itself, as the tape keeps it, and backwards. */
function kept(layer: Layer): number {
  switch (layer.layer) {
    case 'flatten':
      return 2
    case 'maxPooling2d':
      return 3
    case 'conv2d':
    case 'dense':
      return ACTIVATED[layer.activation] ?? KEPT_MAX
    default:
      return KEPT_MAX
  }
}

/** A ReLU has its mask and the masked gradient besides; the others are kernels of their own. */
const ACTIVATED: Partial<Record<Activation, number>> = { linear: 3, relu: 5, tanh: 6, sigmoid: 6 }
const KEPT_MAX = 12

/** Floats that are there only while one kernel runs. */
function passingFloats({ layer, from, shape }: LayerShape, rows: number): number {
  const out = rows * sizeOf({ shape })
  if (layer.layer !== 'conv2d') return 2 * out
  const [height = 0, width = 0, channels = 0] = from[0] ?? []
  const [tall, wide] = layer.kernel
  const padded = layer.padding === 'same' ? (height + tall) * (width + wide) * channels : height * width * channels
  const filter = (tall * wide * channels + 1) * (Math.ceil(layer.filters / 8) * 8)
  return Math.max(2 * out, rows * padded + filter)
}
