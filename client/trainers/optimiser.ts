import {
  add,
  div,
  keep,
  mul,
  relu,
  type Scalar,
  scalar,
  sqrt,
  square,
  sub,
  type Tensor,
  tidy,
  type Variable,
  zerosLike,
} from '@tensorflow/tfjs-core'
import { rememberedBy } from '#aggregation/needs.ts'
import { assert, unreachable } from '#protocol/assert.ts'
import type { Optimiser as Terms } from '#protocol/task.ts'
import { adamStep, momentumStep } from './kernels/fused.ts'

/** Moves weights along their gradients. What it remembers from step to step starts at zero, and ends with it. */
export type Optimiser = {
  /** @param gradients in the order of the variables */
  step(gradients: readonly Tensor[]): void
  dispose(): void
}

/** TF.js's own ones leave a tensor behind each time they are disposed of, and know no decoupled decay. */
export function openOptimiser(variables: readonly Variable[], terms: Terms): Optimiser {
  const constants: Scalar[] = []
  const rule = ruleOf(terms, (value) => {
    const constant = keep(scalar(value))
    constants.push(constant)
    return constant
  })
  const memories: (readonly Tensor[])[] = variables.map((weights) =>
    Array.from({ length: rememberedBy(terms) }, () => keep(zerosLike(weights))),
  )
  let steps = 0
  return {
    step(gradients) {
      assert(gradients.length === variables.length, 'a step has a gradient for every weight')
      const move = rule(++steps)
      variables.forEach((weights, index) => {
        const before = memories[index] as readonly Tensor[]
        const [moved, ...after] = move(weights, gradients[index] as Tensor, before) as readonly [Tensor, ...Tensor[]]
        weights.assign(moved)
        moved.dispose()
        for (const each of before) each.dispose()
        for (const each of after) keep(each)
        memories[index] = after
      })
    },
    dispose() {
      for (const each of [...constants, ...memories.flat()]) each.dispose()
    },
  }
}

/** What one tensor of weights becomes, followed by what is remembered of it. It leaves no other tensor behind. */
type Move = (weights: Tensor, gradient: Tensor, memory: readonly Tensor[]) => readonly Tensor[]
/** @param steps how many there are with this one; called once for all tensors */
type Rule = (steps: number) => Move
/** A number that stays until the optimiser is disposed of: made once, and not for every tensor of every step. */
type Constant = (value: number) => Scalar

function ruleOf(terms: Terms, constant: Constant): Rule {
  switch (terms.kind) {
    case 'sgd':
      return sgd(terms, constant)
    case 'adam':
      return adam(terms, 0)
    case 'adamw':
      return adam(terms, terms.weightDecayMicro)
    case 'rmsprop':
      return rmsProp(terms, constant)
    default:
      return unreachable(terms)
  }
}

type Of<K extends Terms['kind']> = Extract<Terms, { kind: K }>

/**
 *     v ← μ·v + g      w ← w − η·v
 *
 * Sutskever et al. 2013, equations 1 and 2, with the rate outside the velocity. Nesterov's, as Bengio et al. 2013
 * (arXiv:1212.0901), equation 7, turn it around, so that the weights are those that the gradient is taken at:
 * w ← w − η·(g + μ·v).
 */
function sgd({ rateMicro, momentumMicro, nesterov }: Of<'sgd'>, constant: Constant): Rule {
  const attrs = { rate: rateMicro / 1e6, momentum: momentumMicro / 1e6, nesterov: nesterov === true }
  const rate = constant(attrs.rate)
  if (momentumMicro === 0) return () => (weights, gradient) => [tidy(() => sub(weights, mul(gradient, rate)))]
  return () =>
    (weights, gradient, [velocity]) =>
      momentumStep({ weights, gradient, velocity: velocity as Tensor }, attrs)
}

/**
 *     m ← β₁·m + (1 − β₁)·g      v ← β₂·v + (1 − β₂)·g²
 *     w ← w − η·m̂ ÷ (√v̂ + ε)      m̂ = m ÷ (1 − β₁ᵗ)      v̂ = v ÷ (1 − β₂ᵗ)
 *
 * Kingma and Ba 2015 (arXiv:1412.6980), algorithm 1. The corrections of m and v are taken into rate and ε, which changes
 * nothing but how often a tensor is gone over: m̂ ÷ (√v̂ + ε) = (√(1 − β₂ᵗ) ÷ (1 − β₁ᵗ))·m ÷ (√v + √(1 − β₂ᵗ)·ε).
 *
 * With decay, w ← w − η·(m̂ ÷ (√v̂ + ε) + λ·w): Loshchilov and Hutter 2019 (arXiv:1711.05101), algorithm 2, line 12, with
 * α = 1 and the rate as its η. Decayed are tensors of two axes or more: kernels and embeddings. Biases and what normalises
 * have one and are not, since to pull them to zero regularises nothing.
 */
function adam({ rateMicro, beta1Micro, beta2Micro, epsilonNano }: Of<'adam' | 'adamw'>, decayMicro: number): Rule {
  const [rate, beta1, beta2, decay] = [rateMicro / 1e6, beta1Micro / 1e6, beta2Micro / 1e6, decayMicro / 1e6]
  return (steps) => {
    const correction = Math.sqrt(1 - beta2 ** steps)
    const attrs = {
      ...{ beta1, beta2 },
      rate: (rate * correction) / (1 - beta1 ** steps),
      epsilon: (epsilonNano / 1e9) * correction,
    }
    return (weights, gradient, memory) => {
      const [mean, square] = memory as [Tensor, Tensor]
      const kept = weights.rank > 1 ? 1 - rate * decay : 1
      return adamStep({ weights, gradient, mean, square }, { ...attrs, kept })
    }
  }
}

/**
 *     v ← ρ·v + (1 − ρ)·g²      u ← μ·u + η·g ÷ √(v + ε)      w ← w − u
 *
 * Tieleman and Hinton 2012 (lecture 6e); with momentum, and centred by the square of the mean gradient, as Graves 2013
 * (arXiv:1308.0850), equations 38 to 41: √(v − ḡ² + ε). A variance that rounding takes below zero is zero, or the step
 * would be no number.
 */
function rmsProp(
  { rateMicro, discountMicro, momentumMicro, epsilonNano, centred }: Of<'rmsprop'>,
  constant: Constant,
): Rule {
  const discounted = average(discountMicro, constant)
  const [rate, epsilon, momentum] = [rateMicro / 1e6, epsilonNano / 1e9, momentumMicro / 1e6].map(constant) as [
    Scalar,
    Scalar,
    Scalar,
  ]
  return () => (weights, gradient, memory) =>
    tidy(() => {
      const [v, ...others] = memory as [Tensor, ...Tensor[]]
      const squares = tidy(() => discounted(v, square(gradient)))
      const mean = centred && discounted(others.pop() as Tensor, gradient)
      const scaled = tidy(() => {
        const variance = mean ? relu(sub(squares, square(mean))) : squares
        return div(mul(gradient, rate), sqrt(add(variance, epsilon)))
      })
      const [before] = others
      const step = before ? tidy(() => add(mul(before, momentum), scaled)) : scaled
      return [sub(weights, step), squares, ...(before ? [step] : []), ...(mean ? [mean] : [])]
    })
}

/** Of what has been, `keptMicro` stays. */
function average(keptMicro: number, constant: Constant): (before: Tensor, now: Tensor) => Tensor {
  const [kept, taken] = [constant(keptMicro / 1e6), constant((1e6 - keptMicro) / 1e6)]
  return (before, now) => tidy(() => add(mul(before, kept), mul(now, taken)))
}
