import {
  add,
  customGrad,
  type GradSaveFunc,
  mul,
  relu,
  reshape,
  rsqrt,
  square,
  sub,
  sum,
  type Tensor,
  tidy,
  type Variable,
} from '@tensorflow/tfjs-core'
import type { Layer } from '#protocol/layers.ts'
import { rowsBy } from './dense.ts'
import type { Pass } from './pass.ts'

type Of<K extends Layer['layer']> = Extract<Layer, { layer: K }>

/** By the batch's statistics in training, which the moving ones then follow; by those elsewhere, and where it is frozen. */
export function applyBatchNormalization(layer: Of<'batchNormalization'>, x: Tensor, pass: Pass): Tensor {
  const { weight, training } = pass
  const epsilon = layer.epsilonNano / 1e9
  const [mean, variance] = [weight('moving_mean'), weight('moving_variance')]
  if (!training || layer.frozen) {
    // The mean of many noisy variances may lie below zero.
    const scale = mul(weight('gamma'), rsqrt(add(relu(variance), epsilon)))
    return add(mul(x, scale), sub(weight('beta'), mul(mean, scale)))
  }
  const flat = rowsBy(x, x.shape.at(-1) as number)
  const momentum = layer.momentumMicro / 1e6
  const count = flat.shape[0]
  const standard = standardize(flat, 'columns', epsilon, (batchMean, batchVariance) => {
    follow(mean, batchMean, momentum)
    // Unbiased: Ioffe and Szegedy 2015, algorithm 2.
    follow(variance, mul(batchVariance, count / Math.max(count - 1, 1)), momentum)
  })
  return reshape(add(mul(standard, weight('gamma')), weight('beta')), x.shape)
}

export function applyLayerNormalization(layer: Of<'layerNormalization'>, x: Tensor, { weight }: Pass): Tensor {
  const standard = standardize(rowsBy(x, x.shape.at(-1) as number), 'rows', layer.epsilonNano / 1e9)
  return reshape(add(mul(standard, weight('gamma')), weight('beta')), x.shape)
}

/**
 * (x − mean) ÷ √(variance + ε) of each row or each column, in one node of the tape, which would else keep every step of it.
 * Gradient: (dy − mean dy − ŷ · mean(dy · ŷ)) ÷ √(variance + ε), for the statistics depend on x as well.
 */
function standardize(
  x: Tensor,
  of: 'rows' | 'columns',
  epsilon: number,
  observe: (mean: Tensor, variance: Tensor) => void = () => undefined,
): Tensor {
  const [axis, count] = of === 'rows' ? [1, x.shape[1] as number] : [0, x.shape[0] as number]
  const mean = (values: Tensor) => mul(sum(values, [axis], of === 'rows'), 1 / count)
  const standardized = customGrad((input, save) => {
    const center = mean(input as Tensor)
    const centred = sub(input as Tensor, center)
    const variance = mean(square(centred))
    const scale = rsqrt(add(variance, epsilon))
    const value = mul(centred, scale)
    observe(center, variance)
    ;(save as GradSaveFunc)([value, scale])
    const gradFunc = (dy: Tensor, saved: readonly Tensor[]) => {
      const [y, by] = saved as readonly [Tensor, Tensor]
      return tidy(() => mul(sub(sub(dy, mean(dy)), mul(y, mean(mul(dy, y)))), by))
    }
    return { value, gradFunc: gradFunc as never }
  })
  return standardized(x)
}

function follow(moving: Variable, batch: Tensor, momentum: number): void {
  moving.assign(tidy(() => add(mul(moving, momentum), mul(batch, 1 - momentum))))
}
