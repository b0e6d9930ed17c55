/** What a layer may make of each number that it puts out. */
export const ACTIVATIONS = [
  'linear',
  'relu',
  'relu6',
  'leakyRelu',
  'elu',
  'selu',
  'gelu',
  'swish',
  'tanh',
  'sigmoid',
  'hardSigmoid',
  'softplus',
  'softsign',
  'softmax',
] as const

/** What a leaky ReLU multiplies by below zero. */
export const LEAKY_SLOPE = 0.2
