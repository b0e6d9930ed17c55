import {
  customGrad,
  engine,
  type GradSaveFunc,
  getBackend,
  getGradient,
  getKernel,
  mul,
  type NamedAttrMap,
  registerGradient,
  registerKernel,
  type Scalar,
  type Tensor,
  tidy,
} from '@tensorflow/tfjs-core'
import { PLAIN } from './plain.ts'

/**
 * What training asks for again and again as one kernel each, where TF.js takes several operations: on wasm by kernels of our
 * own, which go over memory once, and on any other backend by those operations, registered there under the same name.
 */
export type FusedName = keyof typeof PLAIN

export type TensorAttrs = {
  readonly shape: readonly number[]
  /** As many, written into what is given, or else where they already lie. It makes no tensors. */
  readonly values: (into?: Float32Array) => Float32Array
}

/** A tensor of numbers that are written where it will lie, where that is memory of this process. */
export function tensorOf(attrs: TensorAttrs): Tensor {
  return run('ConsiliumTensor', {}, attrs)[0] as Tensor
}

/**
 * Σ over rows of −Σ targets · log softmax(logits).
 * @param targets [rows, classes] as the logits; one-hot, or anything whose rows sum to 1
 */
export function softmaxLoss(logits: Tensor, targets: Tensor): Scalar {
  const summed = customGrad((z, save) => {
    const [value, gradient] = run('ConsiliumSoftmaxLoss', { logits: z as Tensor, targets }, {}) as [Scalar, Tensor]
    ;(save as GradSaveFunc)([gradient])
    const gradFunc = (dy: Tensor, [saved]: readonly Tensor[]) => mul(saved as Tensor, dy)
    return { value, gradFunc: gradFunc as never }
  })
  return summed(logits) as Scalar
}

/** dy where y > 0, else 0. */
export function reluGradient(dy: Tensor, y: Tensor): Tensor {
  return run('ConsiliumReluGradient', { dy, y }, {})[0] as Tensor
}

export type MomentumAttrs = { readonly rate: number; readonly momentum: number; readonly nesterov: boolean }

/**
 * velocity ← momentum · velocity + gradient; weight ← weight − rate · velocity, or Nesterov's − rate · (gradient + momentum ·
 * velocity). New tensors, here and below: what others hold stays as it is.
 */
export function momentumStep(
  tensors: { readonly weights: Tensor; readonly gradient: Tensor; readonly velocity: Tensor },
  attrs: MomentumAttrs,
): readonly [weights: Tensor, velocity: Tensor] {
  return run('ConsiliumMomentumStep', tensors, attrs) as [Tensor, Tensor]
}

/** The corrections for the first steps are taken into rate and ε; `kept` is what a decay leaves of a weight, 1 without. */
export type AdamAttrs = {
  readonly rate: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly kept: number
}

/**
 * mean ← β₁ · mean + (1 − β₁) · gradient; square ← β₂ · square + (1 − β₂) · gradient²;
 * weight ← kept · weight − rate · mean ÷ (√square + ε): Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019.
 */
export function adamStep(
  tensors: { readonly weights: Tensor; readonly gradient: Tensor; readonly mean: Tensor; readonly square: Tensor },
  attrs: AdamAttrs,
): readonly [weights: Tensor, mean: Tensor, square: Tensor] {
  return run('ConsiliumAdamStep', tensors, attrs) as [Tensor, Tensor, Tensor]
}

/**
 * Batch normalisation while training (Ioffe and Szegedy 2015), over every axis but the last; differentiable by x, scale and
 * offset. Mean and variance are the batch's own, the variance divided by the number of its values.
 */
export function normalizeBatch(
  tensors: { readonly x: Tensor; readonly scale: Tensor; readonly offset: Tensor },
  epsilon: number,
): { readonly y: Tensor; readonly mean: Tensor; readonly variance: Tensor } {
  const [y, mean, variance] = run('ConsiliumBatchNorm', tensors, { epsilon }) as [Tensor, Tensor, Tensor]
  return { y, mean, variance }
}

/** Layer normalisation (Ba et al. 2016), over the last axis; differentiable by x, scale and offset. */
export function normalizeLayer(
  tensors: { readonly x: Tensor; readonly scale: Tensor; readonly offset: Tensor },
  epsilon: number,
): Tensor {
  return run('ConsiliumLayerNorm', tensors, { epsilon })[0] as Tensor
}

/** Of the two above. Call once, before the first of them is differentiated. */
export function registerFusedGradients(): void {
  if (getGradient('ConsiliumBatchNorm')) return
  registerGradient({
    kernelName: 'ConsiliumBatchNorm',
    inputsToSave: ['x', 'scale'],
    outputsToSave: [false, true, true],
    gradFunc: (dys, saved, attrs) => {
      const [x, scale, mean, variance] = saved as [Tensor, Tensor, Tensor, Tensor]
      // Mean and variance go into the moving statistics, which nothing differentiates.
      const [dy] = dys as Tensor[]
      return gradientsOf(run('ConsiliumBatchNormGradient', { dy: dy as Tensor, x, mean, variance, scale }, attrs))
    },
  })
  registerGradient({
    kernelName: 'ConsiliumLayerNorm',
    inputsToSave: ['x', 'scale'],
    gradFunc: (dy, saved, attrs) => {
      const [x, scale] = saved as [Tensor, Tensor]
      return gradientsOf(run('ConsiliumLayerNormGradient', { dy: dy as Tensor, x, scale }, attrs))
    },
  })
}

function gradientsOf([x, scale, offset]: readonly Tensor[]) {
  return { x: () => x as Tensor, scale: () => scale as Tensor, offset: () => offset as Tensor }
}

function run(kernelName: FusedName, inputs: Record<string, Tensor>, attrs: object): readonly Tensor[] {
  const backendName = getBackend()
  if (!getKernel(kernelName, backendName)) {
    const plain = PLAIN[kernelName] as (inputs: object, attrs: object) => Tensor[]
    registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs }) => tidy(() => plain(inputs, attrs as object)),
    })
  }
  const out: unknown = engine().runKernel(kernelName, inputs, attrs as NamedAttrMap)
  return (Array.isArray(out) ? out : [out]) as readonly Tensor[]
}
