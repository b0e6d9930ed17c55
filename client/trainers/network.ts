import {
  maxPool,
  reshape,
  sigmoid,
  type Tensor,
  tanh,
  tensor,
  tidy,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core'
import { type Architecture, shapeOf, sourcesOf } from '#protocol/architecture.ts'
import { assert } from '#protocol/assert.ts'
import { INPUT, type Layer } from '#protocol/layers.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { sizeOf } from '#protocol/shapes.ts'
import { registerGradients, run } from './gradients.ts'

/** A model on the backend that is set. */
export type Network = {
  readonly output: readonly number[]
  /** What an optimiser moves. */
  readonly trainable: readonly Variable[]
  /** @param x [rows, …input] @returns [rows, …output] */
  predict(x: Tensor): Tensor
  /** @param weights all of them, in the order of the weights file */
  write(weights: Float32Array): void
  /** The weights that are not frozen: the first of the file. */
  readTrained(): Promise<Float32Array>
  dispose(): void
}

/** Throws {@link TrainingRefused} for an architecture that does not fit together, or a layer nobody has checked. */
export function buildNetwork(architecture: Architecture): Network {
  registerGradients()
  checkLayers(architecture)
  const shaped = shapeOf(architecture)
  if (!shaped.ok) throw new TrainingRefused(shaped.refusal, shaped.detail ?? '')
  const { tensors, output, parameters, trained } = shaped.value
  const variables = tensors.map((each) =>
    tidy(() => variable(tensor(new Float32Array(sizeOf(each)), [...each.shape]), each.role === 'trainable')),
  )
  const byName = new Map(tensors.map(({ name }, index) => [name, variables[index] as Variable]))
  return {
    output,
    trainable: variables.filter((each) => each.trainable),
    predict: (x) => tidy(() => predict(architecture, (name) => byName.get(name) as Variable, x)),
    write(weights) {
      assert(weights.length === parameters, 'a model has as many weights as its architecture')
      let from = 0
      for (const each of variables) {
        const values = tensor(weights.slice(from, from + each.size), each.shape)
        // Never into the heap under a variable: the backend's packed copies of it would not see that.
        each.assign(values)
        values.dispose()
        from += each.size
      }
    },
    async readTrained() {
      const values = await Promise.all(variables.map((each) => each.data()))
      const weights = new Float32Array(trained)
      let to = 0
      for (const each of values) {
        if (to < trained) weights.set(each, to)
        to += each.length
      }
      return weights
    },
    dispose() {
      for (const each of variables) each.dispose()
    },
  }
}

/** The layers whose gradients the tests have checked on every backend. */
function checkLayers({ layers }: Architecture): void {
  for (const { layer, name } of layers) {
    switch (layer) {
      case 'conv2d':
      case 'maxPooling2d':
      case 'flatten':
      case 'dense':
        continue
      default:
        throw new TrainingRefused('unsupported-layer', `${name} is a ${String(layer)}`)
    }
  }
}

type WeightOf = (name: string) => Variable

function predict(architecture: Architecture, weightOf: WeightOf, x: Tensor): Tensor {
  const made = new Map<string, Tensor>([[INPUT, x]])
  const sources = sourcesOf(architecture)
  let last = x
  for (const [index, layer] of architecture.layers.entries()) {
    const [from] = sources[index] as readonly [string]
    last = apply(layer, made.get(from) as Tensor, (part) => weightOf(`${layer.name}/${part}`))
    made.set(layer.name, last)
  }
  return last
}

function apply(layer: Layer, x: Tensor, weight: WeightOf): Tensor {
  switch (layer.layer) {
    case 'conv2d': {
      const attrs = {
        strides: layer.strides,
        pad: layer.padding,
        dataFormat: 'NHWC',
        dilations: 1,
        activation: fused(layer),
      }
      return activate(layer, run('FusedConv2D', { x, filter: weight('kernel'), bias: weight('bias') }, attrs))
    }
    case 'maxPooling2d':
      return maxPool(x as Parameters<typeof maxPool>[0], [...layer.pool], [...layer.strides], 'valid')
    case 'flatten':
      return reshape(x, [x.shape[0] as number, -1])
    case 'dense': {
      const attrs = { transposeA: false, transposeB: false, activation: fused(layer) }
      return activate(layer, run('_FusedMatMul', { a: x, b: weight('kernel'), bias: weight('bias') }, attrs))
    }
    default:
      throw new TrainingRefused('unsupported-layer', `${layer.name} is a ${layer.layer}`)
  }
}

type Activated = Extract<Layer, { activation: string }>

/** What the kernel itself does to its sums. */
function fused({ activation }: Activated): 'linear' | 'relu' {
  return activation === 'relu' ? 'relu' : 'linear'
}

function activate({ activation }: Activated, y: Tensor): Tensor {
  switch (activation) {
    case 'linear':
    case 'relu':
      return y
    case 'tanh':
      return tanh(y)
    case 'sigmoid':
      return sigmoid(y)
    default:
      throw new TrainingRefused('unsupported-layer', `the activation ${activation}`)
  }
}
