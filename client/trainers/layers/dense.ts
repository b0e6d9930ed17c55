import { add, matMul, mul, reshape, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core'
import type { Layer } from '#protocol/layers.ts'
import { run } from '../gradients.ts'
import { activate, activateRest, fusedOf } from './activation.ts'
import type { Pass } from './pass.ts'

/** Of the last axis. */
export function applyDense(layer: Extract<Layer, { layer: 'dense' }>, x: Tensor, { weight }: Pass): Tensor {
  const bias = layer.bias === false ? undefined : weight('bias')
  const flat = rowsBy(x, x.shape.at(-1) as number)
  const { activation, adapter, units } = layer
  const whole = [...x.shape.slice(0, -1), units]
  if (!adapter) {
    const y = multiply(flat, weight('kernel'), bias, fusedOf(activation))
    return activateRest(activation, reshape(y, whole))
  }
  const sum = multiply(flat, weight('kernel'), bias, 'linear')
  const low = matMul(matMul(flat, weight('lora_a') as Tensor2D), weight('lora_b') as Tensor2D)
  const adapted = add(sum, mul(low, adapter.alphaMicro / 1e6 / adapter.rank))
  return activate(activation, reshape(adapted, whole))
}

/** x·kernel + bias in one kernel. @param x [rows, width] */
export function multiply(
  x: Tensor,
  kernel: Tensor,
  bias: Tensor | undefined,
  activation: 'linear' | 'relu' = 'linear',
): Tensor {
  const attrs = { transposeA: false, transposeB: false, activation }
  return run('_FusedMatMul', bias ? { a: x, b: kernel, bias } : { a: x, b: kernel }, attrs)
}

/** Every axis but the last as one. */
export function rowsBy(x: Tensor, width: number): Tensor2D {
  return reshape(x, [-1, width]) as Tensor2D
}
