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
  const momentum = layer.momentumMicro / 1e6
  return normalize(x, 'columns', epsilon, weight, (batchMean, batchVariance, count) => {
    follow(mean, batchMean, momentum)
    // Unbiased: Ioffe and Szegedy 2015, algorithm 2.
    follow(variance, mul(batchVariance, count / Math.max(count - 1, 1)), momentum)
  })
}

export function applyLayerNormalization(layer: Of<'layerNormalization'>, x: Tensor, { weight }: Pass): Tensor {
  return normalize(x, 'rows', layer.epsilonNano / 1e9, weight, () => undefined)
}

/**
 * ŷ · γ + β, where ŷ = (x − mean) ÷ √(variance + ε) over each row or each column, in one node of the tape, which would else
 * keep every step of it. Of dŷ = dy · γ, x's gradient is (dŷ − mean dŷ − ŷ · mean(dŷ · ŷ)) ÷ √(variance + ε), for the
 * statistics depend on x as well.
 */
function normalize(
  x: Tensor,
  of: 'rows' | 'columns',
  epsilon: number,
  weight: Pass['weight'],
  observe: (mean: Tensor, variance: Tensor, count: number) => void,
): Tensor {
  const flat = rowsBy(x, x.shape.at(-1) as number)
  const [axis, count] = of === 'rows' ? [1, flat.shape[1]] : [0, flat.shape[0]]
  const mean = (values: Tensor) => mul(sum(values, [axis], of === 'rows'), 1 / count)
  const normalized = customGrad((...args) => {
    const [input, gamma, beta, save] = args as unknown as [Tensor, Tensor, Tensor, GradSaveFunc]
    const center = mean(input)
    const centred = sub(input, center)
    const variance = mean(square(centred))
    const scale = rsqrt(add(variance, epsilon))
    const standard = mul(centred, scale)
    observe(center, variance, count)
    save([standard, scale, gamma])
    const gradFunc = (dy: Tensor, saved: readonly Tensor[]) => {
      const [y, by, times] = saved as readonly [Tensor, Tensor, Tensor]
      const dx = tidy(() => {
        const dStandard = mul(dy, times)
        return mul(sub(sub(dStandard, mean(dStandard)), mul(y, mean(mul(dStandard, y)))), by)
      })
      return [dx, tidy(() => sum(mul(dy, y), [0])), sum(dy, [0])]
    }
    return { value: add(mul(standard, gamma), beta), gradFunc: gradFunc as never }
  })
  const out = normalized(flat, weight('gamma'), weight('beta'))
  return x.rank === 2 ? out : reshape(out, x.shape)
}

function follow(moving: Variable, batch: Tensor, momentum: number): void {
  moving.assign(tidy(() => add(mul(moving, momentum), mul(batch, 1 - momentum))))
}
