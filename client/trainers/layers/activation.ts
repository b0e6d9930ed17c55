import {
  abs,
  add,
  clipByValue,
  div,
  elu,
  erf,
  leakyRelu,
  mul,
  relu,
  relu6,
  selu,
  sigmoid,
  softmax,
  softplus,
  type Tensor,
  tanh,
} from '@tensorflow/tfjs-core'
import { type Activation, LEAKY_SLOPE } from '#protocol/layers.ts'

/** What the kernel of a product or a convolution itself does to its sums. */
export function fusedOf(activation: Activation): 'linear' | 'relu' {
  return activation === 'relu' ? 'relu' : 'linear'
}

/** What is left to do after {@link fusedOf}. */
export function activateRest(activation: Activation, y: Tensor): Tensor {
  return fusedOf(activation) === activation ? y : activate(activation, y)
}

/** @param slope of a leaky ReLU below zero */
export function activate(activation: Activation, x: Tensor, slope = LEAKY_SLOPE): Tensor {
  switch (activation) {
    case 'linear':
      return x
    case 'relu':
      return relu(x)
    case 'relu6':
      return relu6(x)
    case 'leakyRelu':
      return leakyRelu(x, slope)
    case 'elu':
      return elu(x)
    case 'selu':
      return selu(x)
    case 'gelu':
      // x·Φ(x): Hendrycks and Gimpel 2016, not its approximation by a tanh.
      return mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1))
    case 'swish':
      return mul(x, sigmoid(x))
    case 'tanh':
      return tanh(x)
    case 'sigmoid':
      return sigmoid(x)
    case 'hardSigmoid':
      return clipByValue(add(mul(x, 0.2), 0.5), 0, 1)
    case 'softplus':
      return softplus(x)
    case 'softsign':
      return div(x, add(abs(x), 1))
    case 'softmax':
      return softmax(x)
  }
}
