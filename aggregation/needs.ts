import { type Architecture, type LayerShape, layersOf } from '#protocol/architecture.ts'
import { unreachable } from '#protocol/assert.ts'
import type { Activation, Layer } from '#protocol/layers.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { sizeOf } from '#protocol/shapes.ts'
import { type Optimiser, positivesOf, type Task } from '#protocol/task.ts'

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
  const labelled = LABELLED * (positivesOf(data)?.length ?? 0)
  const perRow = layers.reduce((sum, layer) => sum + keptFloats(layer), input + labelled)
  const passing = Math.max(0, ...layers.map((layer) => passingFloats(layer, rows)))
  const held = HELD + rememberedBy(learning.optimiser) + steered(learning)
  const trained = held * parameters + moving(learning.optimiser) * largest + rows * perRow + passing
  const stepped = Math.max(0, ...layers.map(steppedFloats)) + Math.max(0, ...layers.map(zeroFloats))
  const perTested = layers.reduce((sum, layer) => sum + testedFloats(layer), input + stepped)
  const tested = parameters + EVALUATION_ROWS * perTested
  return {
    tensorBytes: FLOAT_BYTES * Math.max(trained, tested),
    copiesBytes: FLOAT_BYTES * (COPIES * parameters + AHEAD * rows * input),
  }
}

/** Several labels of a row, their weights, and the steps to each one's loss and its slope. */
const LABELLED = 6

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
  return optimiser.kind === 'sgd' ? 5 : 8
}

/** The weights that came in, with the gradients that pull to them; and gradients that were scaled. */
function steered({ proximalMicro, gradientNormMicro }: Learning): number {
  return (proximalMicro === undefined ? 0 : 2) + (gradientNormMicro === undefined ? 0 : 1)
}

/**
 * Floats that stay of one row until the batch is over: what a layer took and put out, as the tape keeps it, what lies
 * between, and what flows back. The numbers are those of TF.js's tape, as measured.
 */
function keptFloats({ layer, from, shape }: LayerShape): number {
  const taken = from.reduce((sum, each) => sum + sizeOf({ shape: each }), 0)
  const out = sizeOf({ shape })
  switch (layer.layer) {
    case 'flatten':
    case 'reshape':
    case 'positionEmbedding':
      return taken + 2 * out
    case 'part':
      return 3 * taken + 2 * out
    case 'zeroPadding2d':
    case 'maxPooling2d':
    case 'dropout':
      return taken + 3 * out
    case 'globalPooling':
      return 3 * taken + 3 * out
    case 'averagePooling2d':
      return layer.padding ? 3 * taken + 6 * out : taken + 3 * out
    case 'maxPooling1d':
    case 'averagePooling1d':
      return 4 * taken + 8 * out
    case 'conv2d':
      return taken + (3 + fusedFloats(layer.activation)) * out
    case 'depthwiseConv2d':
      return taken + (4 + ACTIVATED[layer.activation]) * out
    case 'conv1d': {
      const seen = layer.padding === 'causal' ? framedOf(layer, from[0] ?? []) : taken
      return 5 * seen + (5 + fusedFloats(layer.activation)) * out
    }
    case 'dense': {
      // Of more axes than one it is laid flat, and back.
      const turned = shape.length > 1 ? 2 : 0
      const whole = (1 + turned) * taken + (3 + turned + fusedFloats(layer.activation)) * out
      if (!layer.adapter) return whole
      return whole + 2 * taken + 8 * out + 6 * layer.adapter.rank * (out / layer.units)
    }
    case 'activation':
      return ACTIVATED[layer.activation] * out
    case 'batchNormalization':
      return (layer.frozen ? 5 : 4) * out
    case 'layerNormalization':
      return 4 * out
    case 'embedding':
      return 4 * taken + 6 * out
    case 'lstm':
    case 'gru':
    case 'simpleRnn': {
      const [steps = 0, width = 0] = from[0] ?? []
      return steps * (4 * width + RECURRENT[layer.layer] * layer.units)
    }
    case 'attention': {
      const scores = layer.heads * (from[0]?.[0] ?? 0) * (from[1]?.[0] ?? 0)
      const each = 7 + (layer.causal ? 2 : 0) + (layer.dropoutMicro ? 3 : 0)
      return (layer.heads > 1 ? 7 : 3) * (taken + out) + each * scores
    }
    case 'add':
    case 'multiply':
      return 5 * (from.length - 1) * out
    case 'concatenate':
      return taken + 4 * out
  }
}

/** For each unit and step. */
const RECURRENT = { lstm: 74, gru: 64, simpleRnn: 16 } as const

/** The same where nothing flows back. */
function testedFloats(layer: LayerShape): number {
  return layer.layer.layer === 'dropout' ? 0 : Math.max(2 * sizeOf(layer), TESTED * keptFloats(layer))
}

/** And while one layer is worked out: where no kernel normalises at once, it is done step by step. */
function steppedFloats(layer: LayerShape): number {
  const out = sizeOf(layer)
  return layer.layer.layer === 'layerNormalization' ? 4 * (out + out / (layer.shape.at(-1) as number)) : 0
}

const TESTED = 0.5

/** Where a ReLU is part of the kernel before, there are its mask and the masked gradient. */
function fusedFloats(activation: Activation): number {
  return activation === 'relu' ? 2 : ACTIVATED[activation]
}

/** For each that goes in. */
const ACTIVATED: Readonly<Record<Activation, number>> = {
  ...{ linear: 0, relu: 4, relu6: 5.5, leakyRelu: 5.5, elu: 3, selu: 7, gelu: 12, swish: 7, tanh: 4, sigmoid: 4 },
  ...{ hardSigmoid: 5.5, softplus: 3, softsign: 6, softmax: 4.5 },
}

/** Floats that are there only while one kernel runs. */
function passingFloats({ layer, from, shape }: LayerShape, rows: number): number {
  const out = rows * sizeOf({ shape })
  const image = from[0] ?? []
  switch (layer.layer) {
    case 'batchNormalization':
    case 'layerNormalization':
      return 8 * out
    case 'conv1d':
    case 'conv2d': {
      const taps = layer.layer === 'conv1d' ? layer.kernel : sizeOf({ shape: layer.kernel })
      const filter = (taps * (image.at(-1) as number) + 1) * (Math.ceil(layer.filters / 8) * 8)
      return Math.max(2 * out, rows * framedOf(layer, image) + filter)
    }
    case 'depthwiseConv2d':
      // A channel for each filter, without its frame and with it.
      return Math.max(2 * out, rows * layer.multiplier * (sizeOf({ shape: image }) + framedOf(layer, image)))
    default:
      return 2 * out
  }
}

/** The frame alone. */
function zeroFloats({ layer, from }: LayerShape): number {
  if (layer.layer !== 'conv1d' && layer.layer !== 'conv2d' && layer.layer !== 'depthwiseConv2d') return 0
  const image = from[0] ?? []
  const zeros = framedOf(layer, image) - sizeOf({ shape: image })
  return layer.layer === 'depthwiseConv2d' ? layer.multiplier * zeros : zeros
}

/** A row's image with the frame of zeros that its padding asks for: as wide as the kernel, which may be wider than the image. */
function framedOf(layer: Extract<Layer, { readonly kernel: unknown }>, image: readonly number[]): number {
  if (layer.padding === 'valid') return sizeOf({ shape: image })
  const [first = 0, second = 0, channels = 0] = image
  if (layer.layer === 'conv1d') return (first + layer.kernel) * second
  return (first + layer.kernel[0]) * (second + layer.kernel[1]) * channels
}
