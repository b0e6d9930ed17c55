import {
  abs,
  add,
  cast,
  clipByValue,
  customGrad,
  div,
  elu,
  erf,
  exp,
  type GradSaveFunc,
  greater,
  leakyRelu,
  less,
  mul,
  reciprocal,
  relu,
  relu6,
  selu,
  sigmoid,
  softmax,
  softplus,
  square,
  sub,
  type Tensor,
  tanh,
  tidy,
  where,
} from '@tensorflow/tfjs-core'
import { LEAKY_SLOPE } from '#protocol/activations.ts'
import type { Activation } from '#protocol/layers.ts'

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
      return ofEach(x, selu, (z) => where(greater(z, 0), SELU_SCALE, mul(exp(z), SELU_SCALE * SELU_ALPHA)))
    case 'gelu':
      // z·Φ(z), slope Φ(z) + z·φ(z): Hendrycks and Gimpel 2016, not its approximation by a tanh.
      return ofEach(
        x,
        (z) => mul(z, normal(z)),
        (z) => add(normal(z), mul(mul(z, DENSITY), exp(mul(square(z), -0.5)))),
      )
    case 'swish':
      return ofEach(
        x,
        (z) => mul(z, sigmoid(z)),
        (z) => {
          const gate = sigmoid(z)
          return mul(gate, add(1, mul(z, sub(1, gate))))
        },
      )
    case 'tanh':
      return tanh(x)
    case 'sigmoid':
      return sigmoid(x)
    case 'hardSigmoid':
      return ofEach(
        x,
        (z) => clipByValue(add(mul(z, 0.2), 0.5), 0, 1),
        (z) => mul(cast(less(abs(z), 2.5), 'float32'), 0.2),
      )
    case 'softplus':
      return softplus(x)
    case 'softsign':
      return ofEach(
        x,
        (z) => div(z, add(abs(z), 1)),
        (z) => reciprocal(square(add(abs(z), 1))),
      )
    case 'softmax':
      return softmax(x)
  }
}

/** Klambauer et al. 2017, equation 2. */
const SELU_SCALE = 1.0507009873554805
const SELU_ALPHA = 1.6732632423543772
/** Of the standard normal distribution at zero. */
const DENSITY = 1 / Math.sqrt(2 * Math.PI)

function normal(z: Tensor): Tensor {
  return mul(add(erf(mul(z, Math.SQRT1_2)), 1), 0.5)
}

/** One node of the tape, which would else keep every step of the way. */
function ofEach(x: Tensor, value: (z: Tensor) => Tensor, slope: (z: Tensor) => Tensor): Tensor {
  const applied = customGrad((input, save) => {
    ;(save as GradSaveFunc)([input as Tensor])
    const gradFunc = (dy: Tensor, saved: readonly Tensor[]) => tidy(() => mul(dy, slope(saved[0] as Tensor)))
    return { value: value(input as Tensor), gradFunc: gradFunc as never }
  })
  return applied(x)
}
