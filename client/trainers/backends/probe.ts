import { grads, reshape, scalar, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core'
import { run } from '../gradients.ts'

/**
 * A step whose gradients are known by hand, on the backend that is set. Never by `dataSync`: WebGPU has none in Node.
 * @returns whether they are right
 */
export async function probeGradients(): Promise<boolean> {
  const gradients = tidy(() => {
    // The filter copies the upper left of each 2 × 2; -1 is the largest of the four it copies. The dense layer makes
    // -1 · -2 + 1 = 3 of it, which ReLU lets through, and the output is weighed by 3.
    const x = tensor([-4, -1, -3, -2, -5, 1, 2, 3, 4], [1, 3, 3, 1])
    const filter = tensor([1, 0, 0, 0], [2, 2, 1, 1])
    const weight = tensor([-2], [1, 1])
    const bias = tensor([1])
    return grads(network)([x, filter, weight, bias], scalar(3))
  })
  const found = await Promise.all(gradients.map((gradient) => gradient.data()))
  for (const gradient of gradients) gradient.dispose()
  return found.flatMap((values) => [...values]).every((value, index) => Math.abs(value - (KNOWN[index] ?? 0)) < 1e-3)
}

const KNOWN = [[0, -6, 0, 0, 0, 0, 0, 0, 0], [6, 18, 30, -6], [-3], [3]].flat()

function network(image: Tensor, filter: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const attrs = { strides: 1, pad: 'valid', dataFormat: 'NHWC', dilations: 1, activation: 'linear' }
  const convolved = run('FusedConv2D', { x: image, filter, bias: tensor([0]) }, attrs)
  const pooled = run('MaxPool', { x: convolved }, { filterSize: 2, strides: 1, pad: 'valid' })
  const product = { a: reshape(pooled, [1, 1]), b: weight, bias }
  return reshape(run('_FusedMatMul', product, { transposeA: false, transposeB: false, activation: 'relu' }), [])
}
