import {
  add,
  div,
  exp,
  logSoftmax,
  mean as meanOf,
  moments,
  mul,
  neg,
  rsqrt,
  sqrt,
  step,
  sub,
  sum,
  type Tensor,
} from '@tensorflow/tfjs-core'
import type { AdamAttrs } from './fused.ts'

/** The kernels of {@link file://./fused.ts} as operations that every backend of TF.js has. */
export const PLAIN = {
  ConsiliumSoftmaxLoss({ logits, targets }: Inputs<'logits' | 'targets'>) {
    const logs = logSoftmax(logits)
    return [neg(sum(mul(logs, targets))), sub(exp(logs), targets)]
  },
  ConsiliumReluGradient: ({ dy, y }: Inputs<'dy' | 'y'>) => [mul(dy, step(y))],
  ConsiliumMomentumStep(
    { weights, gradient, velocity }: Inputs<'weights' | 'gradient' | 'velocity'>,
    { rate, momentum }: { readonly rate: number; readonly momentum: number },
  ) {
    const next = add(mul(velocity, momentum), gradient)
    return [sub(weights, mul(next, rate)), next]
  },
  ConsiliumAdamStep(
    { weights, gradient, mean, square }: Inputs<'weights' | 'gradient' | 'mean' | 'square'>,
    { rate, meanShare, squareShare, squareScale, epsilon, decay }: AdamAttrs,
  ) {
    const nextMean = add(mean, mul(sub(gradient, mean), meanShare))
    const nextSquare = add(square, mul(sub(mul(gradient, gradient), square), squareShare))
    const move = div(mul(nextMean, rate), add(sqrt(mul(nextSquare, squareScale)), epsilon))
    return [sub(mul(weights, 1 - decay), move), nextMean, nextSquare]
  },
  ConsiliumBatchNorm({ x, scale, offset }: Inputs<'x' | 'scale' | 'offset'>, { epsilon }: Epsilon) {
    const { mean, variance } = moments(x, [...x.shape.keys()].slice(0, -1))
    const factor = mul(rsqrt(add(variance, epsilon)), scale)
    return [add(mul(sub(x, mean), factor), offset), mean, variance]
  },
  ConsiliumBatchNormGradient(
    { dy, x, mean, variance, scale }: Inputs<'dy' | 'x' | 'mean' | 'variance' | 'scale'>,
    { epsilon }: Epsilon,
  ) {
    const axes = [...x.shape.keys()].slice(0, -1)
    const inverse = rsqrt(add(variance, epsilon))
    return gradientsBy({ dy, standard: mul(sub(x, mean), inverse), inverse, scale }, { own: axes, shared: axes })
  },
  ConsiliumLayerNorm({ x, scale, offset }: Inputs<'x' | 'scale' | 'offset'>, { epsilon }: Epsilon) {
    const { standard } = standardRows(x, epsilon)
    return [add(mul(standard, scale), offset)]
  },
  ConsiliumLayerNormGradient({ dy, x, scale }: Inputs<'dy' | 'x' | 'scale'>, { epsilon }: Epsilon) {
    const last = x.shape.length - 1
    const shared = [...x.shape.keys()].slice(0, -1)
    return gradientsBy({ dy, ...standardRows(x, epsilon), scale }, { own: [last], shared })
  },
} as const

type Inputs<Names extends string> = Readonly<Record<Names, Tensor>>
type Epsilon = { readonly epsilon: number }

function standardRows(x: Tensor, epsilon: number): { readonly standard: Tensor; readonly inverse: Tensor } {
  const { mean, variance } = moments(x, x.shape.length - 1, true)
  const inverse = rsqrt(add(variance, epsilon))
  return { standard: mul(sub(x, mean), inverse), inverse }
}

/** By x, scale and offset. @param axes those that a mean was taken over, and those that share a scale and an offset */
function gradientsBy(
  { dy, standard, inverse, scale }: Inputs<'dy' | 'standard' | 'inverse' | 'scale'>,
  { own, shared }: { readonly own: readonly number[]; readonly shared: readonly number[] },
) {
  const mean = (x: Tensor) => meanOf(x, [...own], true)
  const scaled = mul(dy, scale)
  const left = sub(sub(scaled, mean(scaled)), mul(standard, mean(mul(scaled, standard))))
  return [mul(left, inverse), sum(mul(dy, standard), [...shared]), sum(dy, [...shared])]
}
