import { grads, matMul, reshape, scalar, sigmoid, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core'
import { run } from '../gradients.ts'
import { softmaxLoss } from '../kernels/fused.ts'

/**
 * Two steps whose gradients are known by hand, on the backend that is set. No number of them ends in binary, so that half
 * a float shows; and no side is even, so that what a backend reckons with beyond one shows, too. Never by `dataSync`: WebGPU
 * has none in Node.
 *
 * @returns whether they are right
 */
export async function probeGradients(): Promise<boolean> {
  const found = [...(await gradientsOf(ofAnImage)), ...(await gradientsOf(ofThreeRows))]
  return KNOWN.every((known, index) => Math.abs((found[index] as number) - known) < 1e-5)
}

async function gradientsOf(make: () => Tensor[]): Promise<readonly number[]> {
  const gradients = tidy(make)
  const found = await Promise.all(gradients.map((gradient) => gradient.data()))
  for (const gradient of gradients) gradient.dispose()
  return found.flatMap((values) => [...values])
}

const KNOWN = [
  ...[0, -1.4, 0, 0, 0, 0, 0, 0, 0].concat([1.4 / 3, 1.4, 7 / 3, -1.4 / 3], [-0.7 / 3], [0.7]),
  ...[1 / 12, -1 / 12, 0].concat(Array(3).fill([-0.2, -0.2, -0.2, 0.3, 0.3]).flat()),
]

/**
 * The filter copies the upper left of each 2 × 2; -1/3 is the largest of the four it copies. The dense layer makes
 * -1/3 · -2 + 1 of it, which ReLU lets through, and the output is weighed by 0.7.
 */
function ofAnImage(): Tensor[] {
  const x = tensor(
    [-4, -1, -3, -2, -5, 1, 2, 3, 4].map((each) => each / 3),
    [1, 3, 3, 1],
  )
  const filter = tensor([1, 0, 0, 0], [2, 2, 1, 1])
  return grads(network)([x, filter, tensor([-2], [1, 1]), tensor([1])], scalar(0.7))
}

function network(image: Tensor, filter: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const attrs = { strides: 1, pad: 'valid', dataFormat: 'NHWC', dilations: 1, activation: 'linear' }
  const convolved = run('FusedConv2D', { x: image, filter, bias: tensor([0]) }, attrs)
  const pooled = run('MaxPool', { x: convolved }, { filterSize: 2, strides: 1, pad: 'valid' })
  const product = { a: reshape(pooled, [1, 1]), b: weight, bias }
  return reshape(run('_FusedMatMul', product, { transposeA: false, transposeB: false, activation: 'relu' }), [])
}

/**
 * Three rows of 1/3, the first of the first class and so on. Weights of zero make 1/2 of each, and the outer ones cancel
 * each other, so that each of the five classes is given 1/5.
 */
function ofThreeRows(): Tensor[] {
  const x = tensor([1 / 3, 1 / 3, 1 / 3], [3, 1])
  const targets = tensor([1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0], [3, 5])
  const outer = [0, 1, 2, 3, 4].map((each) => each / 3)
  const loss = (inner: Tensor, last: Tensor) => softmaxLoss(matMul(sigmoid(matMul(x, inner)), last), targets)
  const weights = [tensor([0, 0, 0], [1, 3]), tensor([...outer, ...outer.map((each) => -each), 0, 0, 0, 0, 0], [3, 5])]
  return grads(loss)(weights)
}
