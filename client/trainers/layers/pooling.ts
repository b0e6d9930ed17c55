import {
  avgPool,
  max,
  maxPool,
  mean,
  mul,
  pad,
  reshape,
  type Tensor,
  type Tensor4D,
  tensor,
} from '@tensorflow/tfjs-core'
import type { Layer } from '#protocol/layers.ts'

type Of<K extends Layer['layer']> = Extract<Layer, { layer: K }>
type Pooled = Of<'maxPooling2d' | 'averagePooling2d'>
type Pair = readonly [number, number]

export function applyPooling2d({ layer, pool, strides, padding }: Pooled, x: Tensor): Tensor {
  const image = x as Tensor4D
  if (layer === 'maxPooling2d') return maxPool(image, [...pool], [...strides], padding ?? 'valid')
  return padding === 'same' ? averageSame(image, pool, strides) : avgPool(image, [...pool], [...strides], 'valid')
}

/** An image one pixel high. */
export function applyPooling1d(layer: Of<'maxPooling1d' | 'averagePooling1d'>, x: Tensor): Tensor {
  const [rows, steps, channels] = x.shape as [number, number, number]
  const image = reshape(x, [rows, 1, steps, channels])
  const kind = layer.layer === 'maxPooling1d' ? 'maxPooling2d' : 'averagePooling2d'
  const sides = { pool: [1, layer.pool] as const, strides: [1, layer.stride] as const, padding: layer.padding }
  const y = applyPooling2d({ layer: kind, name: layer.name, ...sides }, image)
  return reshape(y, [rows, y.shape[2] as number, channels])
}

/** Over every axis but the last. */
export function applyGlobalPooling({ of }: Of<'globalPooling'>, x: Tensor): Tensor {
  const axes = x.shape.map((_, axis) => axis).slice(1, -1)
  return of === 'max' ? max(x, axes) : mean(x, axes)
}

/**
 * Means of those pixels of each window that lie inside the image. TF.js takes them so, and yet its gradient divides by the
 * whole window: so the image is padded here, and what the padding makes too small is scaled up.
 */
function averageSame(x: Tensor4D, pool: Pair, strides: Pair): Tensor {
  const down = inside(x.shape[1], pool[0], strides[0])
  const right = inside(x.shape[2], pool[1], strides[1])
  const padded = pad(x, [[0, 0], down.padding, right.padding, [0, 0]])
  const means = avgPool(padded, [...pool], [...strides], 'valid')
  const whole = pool[0] * pool[1]
  const scales = down.counts.flatMap((rows) => right.counts.map((columns) => whole / (rows * columns)))
  return mul(means, tensor(scales, [1, down.counts.length, right.counts.length, 1]))
}

/** How TensorFlow pads one side, the odd pixel at its end, and how many pixels of each window are then none of its padding. */
function inside(side: number, window: number, stride: number) {
  const positions = Math.ceil(side / stride)
  const whole = Math.max((positions - 1) * stride + window - side, 0)
  const before = Math.floor(whole / 2)
  const counts = Array.from({ length: positions }, (_, position) => {
    const from = position * stride - before
    return Math.min(from + window, side) - Math.max(from, 0)
  })
  return { padding: [before, whole - before] as [number, number], counts }
}
