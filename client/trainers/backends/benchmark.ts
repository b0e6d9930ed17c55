import { fill, grads, reshape, sum, type Tensor, tidy } from '@tensorflow/tfjs-core'
import { run } from '../gradients.ts'

/** Rows of a batch, the last as a task has them. On a backend that takes longer for one, the next size is not tried. */
const BATCHES = [1, 8, 64]
const SLOW_MILLIS = 40
/** For the last size: a step alone says little. */
const MILLIS_LEAST = 120

/**
 * Rows a second of a small convolutional network's gradients on the backend that is set, each batch waited for. A first
 * batch of a size, in which a GPU compiles its programs, does not count. Takes a fraction of a second.
 */
export async function measureRows(): Promise<number> {
  let rowsPerSecond = 0
  for (const rows of BATCHES) {
    const inputs = tidy(() => [fill([rows, 28, 28, 1], 0.5), fill([3, 3, 1, 8], 0.1), fill([13 * 13 * 8, 10], 0.1)])
    await step(inputs)
    const started = performance.now()
    let steps = 0
    let millis = 0
    do {
      await step(inputs)
      steps++
      millis = performance.now() - started
    } while (rows === BATCHES.at(-1) && millis < MILLIS_LEAST)
    for (const input of inputs) input.dispose()
    rowsPerSecond = (rows * steps * 1000) / millis
    if (millis / steps > SLOW_MILLIS) break
  }
  return rowsPerSecond
}

async function step(inputs: Tensor[]): Promise<void> {
  const gradients = tidy(() => grads(network)(inputs))
  // The filter's comes last: with it, all is done.
  await gradients[1]?.data()
  for (const gradient of gradients) gradient.dispose()
}

function network(images: Tensor, filter: Tensor, weights: Tensor): Tensor {
  const attrs = { strides: 1, pad: 'valid', dataFormat: 'NHWC', dilations: 1, activation: 'relu' }
  const convolved = run('FusedConv2D', { x: images, filter, bias: fill([8], 0) }, attrs)
  const pooled = run('MaxPool', { x: convolved }, { filterSize: 2, strides: 2, pad: 'valid' })
  const product = { a: reshape(pooled, [images.shape[0] as number, -1]), b: weights, bias: fill([10], 0) }
  return sum(run('_FusedMatMul', product, { transposeA: false, transposeB: false, activation: 'linear' }))
}
