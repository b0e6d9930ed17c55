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
  tensor,
  tidy,
} from '@tensorflow/tfjs-core'
import type { AdamAttrs, MomentumAttrs, TensorAttrs } from './fused.ts'

/** The kernels of {@link file://./fused.ts} as operations that every backend of TF.js has. */
export const PLAIN = {
  ConsiliumTensor: (_: object, { shape, values }: TensorAttrs) => [tensor(values(), [...shape])],
  ConsiliumSoftmaxLoss({ logits, targets }: Inputs<'logits' | 'targets'>) {
    const logs = logSoftmax(logits)
    return [neg(sum(mul(logs, targets))), sub(exp(logs), targets)]
  },
  ConsiliumReluGradient: ({ dy, y }: Inputs<'dy' | 'y'>) => [mul(dy, step(y))],
  ConsiliumMomentumStep(
    { weights, gradient, velocity }: Inputs<'weights' | 'gradient' | 'velocity'>,
    { rate, momentum, nesterov }: MomentumAttrs,
  ) {
    const next = add(mul(velocity, momentum), gradient)
    const along = nesterov ? add(gradient, mul(next, momentum)) : next
    return [sub(weights, mul(along, rate)), next]
  },
  ConsiliumAdamStep(
    { weights, gradient, mean, square }: Inputs<'weights' | 'gradient' | 'mean' | 'square'>,
    { rate, beta1, beta2, epsilon, kept }: AdamAttrs,
  ) {
    // What each takes is let go of before the next: of a large tensor there would be a dozen copies.
    const nextMean = tidy(() => add(mul(mean, beta1), mul(gradient, 1 - beta1)))
    const nextSquare = tidy(() => add(mul(square, beta2), mul(mul(gradient, gradient), 1 - beta2)))
    const move = tidy(() => div(mul(nextMean, rate), add(sqrt(nextSquare), epsilon)))
    return [sub(kept === 1 ? weights : mul(weights, kept), move), nextMean, nextSquare]
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

/** By x, scale and offset. @param own axes that a mean was taken over @param shared axes that share a scale and an offset */
function gradientsBy(
  { dy, standard, inverse, scale }: Inputs<'dy' | 'standard' | 'inverse' | 'scale'>,
  { own, shared }: { readonly own: readonly number[]; readonly shared: readonly number[] },
) {
  const mean = (x: Tensor) => meanOf(x, [...own], true)
  const scaled = mul(dy, scale)
  const left = sub(sub(scaled, mean(scaled)), mul(standard, mean(mul(scaled, standard))))
  return [mul(left, inverse), sum(mul(dy, standard), [...shared]), sum(dy, [...shared])]
}
