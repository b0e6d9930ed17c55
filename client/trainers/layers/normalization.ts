import { add, mul, relu, rsqrt, sub, type Tensor, tidy, type Variable } from '@tensorflow/tfjs-core'
import type { Layer } from '#protocol/layers.ts'
import { normalizeBatch, normalizeLayer } from '../kernels/fused.ts'
import type { Pass } from './pass.ts'

type Of<K extends Layer['layer']> = Extract<Layer, { layer: K }>

/** By the batch's statistics in training, which the moving ones then follow; by those elsewhere, and where it is frozen. */
export function applyBatchNormalization(layer: Of<'batchNormalization'>, x: Tensor, pass: Pass): Tensor {
  const { weight, training } = pass
  const epsilon = layer.epsilonNano / 1e9
  const [moving, movingVariance] = [weight('moving_mean'), weight('moving_variance')]
  if (!training || layer.frozen) {
    // The mean of many noisy variances may lie below zero.
    const scale = mul(weight('gamma'), rsqrt(add(relu(movingVariance), epsilon)))
    return add(mul(x, scale), sub(weight('beta'), mul(moving, scale)))
  }
  const { y, mean, variance } = normalizeBatch({ x, scale: weight('gamma'), offset: weight('beta') }, epsilon)
  const momentum = layer.momentumMicro / 1e6
  const count = x.size / moving.size
  follow(moving, mean, momentum)
  // Unbiased: Ioffe and Szegedy 2015, algorithm 2.
  follow(movingVariance, mul(variance, count / Math.max(count - 1, 1)), momentum)
  return y
}

export function applyLayerNormalization(layer: Of<'layerNormalization'>, x: Tensor, { weight }: Pass): Tensor {
  return normalizeLayer({ x, scale: weight('gamma'), offset: weight('beta') }, layer.epsilonNano / 1e9)
}

function follow(moving: Variable, batch: Tensor, momentum: number): void {
  moving.assign(tidy(() => add(mul(moving, momentum), mul(batch, 1 - momentum))))
}
