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
import { type Architecture, type Layer, shapeOf, sizeOf } from '#protocol/architecture.ts'
import { assert, unreachable } from '#protocol/assert.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { registerGradients, run } from './gradients.ts'

/** A model on the backend that is set: variables in the order of the weights file. */
export type Network = {
  readonly output: readonly number[]
  readonly variables: readonly Variable[]
  /** @param x [rows, …input] @returns [rows, …output] */
  predict(x: Tensor): Tensor
  write(weights: Float32Array): void
  read(): Float32Array
  dispose(): void
}

/** Throws {@link TrainingRefused} for an architecture that does not fit together, or a layer nobody has checked. */
export function buildNetwork(architecture: Architecture): Network {
  registerGradients()
  checkLayers(architecture)
  const shaped = shapeOf(architecture)
  if (!shaped.ok) throw new TrainingRefused(shaped.refusal, shaped.detail ?? '')
  const { tensors, output, parameters } = shaped.value
  const variables = tensors.map((each) =>
    tidy(() => variable(tensor(new Float32Array(sizeOf(each)), [...each.shape]), true)),
  )
  return {
    output,
    variables,
    predict: (x) => tidy(() => predict(architecture.layers, variables, x)),
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
    read() {
      const weights = new Float32Array(parameters)
      let to = 0
      for (const each of variables) {
        weights.set(each.dataSync(), to)
        to += each.size
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

function predict(layers: readonly Layer[], variables: readonly Variable[], x: Tensor): Tensor {
  let at = 0
  const next = () => variables[at++] as Variable
  return layers.reduce((input, layer) => apply(layer, input, next), x)
}

function apply(layer: Layer, x: Tensor, next: () => Variable): Tensor {
  switch (layer.layer) {
    case 'conv2d': {
      const [filter, bias] = [next(), next()]
      const attrs = {
        strides: layer.strides,
        pad: layer.padding,
        dataFormat: 'NHWC',
        dilations: 1,
        activation: fused(layer),
      }
      return activate(layer, run('FusedConv2D', { x, filter, bias }, attrs))
    }
    case 'maxPooling2d':
      return maxPool(x as Parameters<typeof maxPool>[0], [...layer.pool], [...layer.strides], 'valid')
    case 'flatten':
      return reshape(x, [x.shape[0] as number, -1])
    case 'dense': {
      const [b, bias] = [next(), next()]
      const attrs = { transposeA: false, transposeB: false, activation: fused(layer) }
      return activate(layer, run('_FusedMatMul', { a: x, b, bias }, attrs))
    }
    default:
      return unreachable(layer)
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
      return unreachable(activation)
  }
}
