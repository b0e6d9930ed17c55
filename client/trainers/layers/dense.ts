import { add, matMul, mul, reshape, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core'
import type { Layer } from '#protocol/layers.ts'
import { run } from '../gradients.ts'
import { activate, activateRest, fusedOf } from './activation.ts'
import type { Pass } from './pass.ts'

type Dense = Extract<Layer, { layer: 'dense' }>

/** Of the last axis. */
export function applyDense(layer: Dense, x: Tensor, pass: Pass): Tensor {
  const flat = rowsBy(x, x.shape.at(-1) as number)
  const y = layer.adapter ? adapted(layer, layer.adapter, flat, pass) : whole(layer, flat, pass)
  return x.rank === 2 ? y : reshape(y, [...x.shape.slice(0, -1), layer.units])
}

function whole({ bias, activation }: Dense, x: Tensor2D, { weight }: Pass): Tensor {
  const sum = multiply(x, weight('kernel'), bias === false ? undefined : weight('bias'), fusedOf(activation))
  return activateRest(activation, sum)
}

function adapted(
  { bias, activation }: Dense,
  { rank, alphaMicro }: NonNullable<Dense['adapter']>,
  x: Tensor2D,
  { weight }: Pass,
): Tensor {
  const sum = multiply(x, weight('kernel'), bias === false ? undefined : weight('bias'))
  const low = matMul(matMul(x, weight('lora_a') as Tensor2D), weight('lora_b') as Tensor2D)
  return activate(activation, add(sum, mul(low, alphaMicro / 1e6 / rank)))
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
  return (x.rank === 2 ? x : reshape(x, [-1, width])) as Tensor2D
}
