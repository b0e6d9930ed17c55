import { fill, grads, reshape, sum, type Tensor, tidy } from '@tensorflow/tfjs-core'
import { run } from '../gradients.ts'

const ROWS = 64
const STEPS_LEAST = 3
const MILLIS_LEAST = 120

/**
 * Rows a second of a small convolutional network's gradients on the backend that is set, each batch waited for as in
 * training. A first batch, in which a GPU compiles its programs, does not count.
 */
export async function measureRows(): Promise<number> {
  const inputs = tidy(() => [fill([ROWS, 28, 28, 1], 0.5), fill([3, 3, 1, 16], 0.1), fill([13 * 13 * 16, 10], 0.1)])
  try {
    await step(inputs)
    const started = performance.now()
    let steps = 0
    let millis = 0
    while (steps < STEPS_LEAST || millis < MILLIS_LEAST) {
      await step(inputs)
      steps++
      millis = performance.now() - started
    }
    return (ROWS * steps * 1000) / millis
  } finally {
    for (const input of inputs) input.dispose()
  }
}

async function step(inputs: Tensor[]): Promise<void> {
  const gradients = tidy(() => grads(network)(inputs))
  // The last is the first layer's filter: with it, all is done.
  await gradients[1]?.data()
  for (const gradient of gradients) gradient.dispose()
}

function network(images: Tensor, filter: Tensor, weights: Tensor): Tensor {
  const attrs = { strides: 1, pad: 'valid', dataFormat: 'NHWC', dilations: 1, activation: 'relu' }
  const convolved = run('FusedConv2D', { x: images, filter, bias: fill([16], 0) }, attrs)
  const pooled = run('MaxPool', { x: convolved }, { filterSize: 2, strides: 2, pad: 'valid' })
  const product = { a: reshape(pooled, [ROWS, -1]), b: weights, bias: fill([10], 0) }
  return sum(run('_FusedMatMul', product, { transposeA: false, transposeB: false, activation: 'linear' }))
}
