import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { AdamAttrs, FusedName, MomentumAttrs, TensorAttrs } from './fused.ts'
import type { Heap } from './heap.ts'

/** The kernels of {@link file://./fused.ts} on TF.js's wasm memory. */
export const FUSED = {
  ConsiliumTensor(heap, _: object, { shape, values }: TensorAttrs) {
    const out = heap.tensor(shape, 'anything')
    values(heap.view(out))
    return [out]
  },
  ConsiliumSoftmaxLoss(heap, { logits, targets }: Inputs<'logits' | 'targets'>) {
    const [value, gradient] = [heap.tensor([], 'anything'), heap.tensor(logits.shape, 'anything')]
    const classes = logits.shape.at(-1) as number
    const [at, to] = [heap.address(logits), heap.address(gradient)]
    heap.kernels.softmaxLoss(at, heap.address(targets), heap.address(value), to, heap.size(logits) / classes, classes)
    return [value, gradient]
  },
  ConsiliumReluGradient(heap, { dy, y }: Inputs<'dy' | 'y'>) {
    const out = heap.tensor(y.shape, 'anything')
    heap.kernels.reluGradient(heap.address(dy), heap.address(y), heap.address(out), heap.size(y))
    return [out]
  },
  ConsiliumMomentumStep(
    heap,
    { weights, gradient, velocity }: Inputs<'weights' | 'gradient' | 'velocity'>,
    { rate, momentum, nesterov }: MomentumAttrs,
  ) {
    const out = alike(heap, weights, 2)
    const addresses = [weights, gradient, velocity, ...out].map(heap.address)
    heap.kernels.momentumStep(...addresses, heap.size(weights), rate, momentum, nesterov ? 1 : 0)
    return out
  },
  ConsiliumAdamStep(
    heap,
    { weights, gradient, mean, square }: Inputs<'weights' | 'gradient' | 'mean' | 'square'>,
    { rate, beta1, beta2, epsilon, kept }: AdamAttrs,
  ) {
    const out = alike(heap, weights, 3)
    const addresses = [weights, gradient, mean, square, ...out].map(heap.address)
    const numbers = [rate, beta1, 1 - beta1, beta2, 1 - beta2, epsilon, kept]
    heap.kernels.adamStep(...addresses, heap.size(weights), ...numbers)
    return out
  },
  ConsiliumBatchNorm(heap, { x, scale, offset }: Inputs<'x' | 'scale' | 'offset'>, { epsilon }: Epsilon) {
    const y = heap.tensor(x.shape, 'anything')
    const [mean, variance, factor] = alike(heap, scale, 3) as [TensorInfo, TensorInfo, TensorInfo]
    const addresses = [x, scale, offset, y, mean, variance, factor].map(heap.address)
    heap.kernels.normalizeColumns(...addresses, ...sidesOf(x), epsilon)
    heap.free(factor)
    return [y, mean, variance]
  },
  ConsiliumBatchNormGradient(
    heap,
    { dy, x, mean, variance, scale }: Inputs<'dy' | 'x' | 'mean' | 'variance' | 'scale'>,
    { epsilon }: Epsilon,
  ) {
    const out = [heap.tensor(x.shape, 'anything'), ...alike(heap, scale, 2)]
    const room = alike(heap, scale, 3)
    const addresses = [dy, x, mean, variance, scale, ...out, ...room].map(heap.address)
    heap.kernels.normalizeColumnsGradient(...addresses, ...sidesOf(x), epsilon)
    for (const each of room) heap.free(each)
    return out
  },
  ConsiliumLayerNorm(heap, { x, scale, offset }: Inputs<'x' | 'scale' | 'offset'>, { epsilon }: Epsilon) {
    const out = heap.tensor(x.shape, 'anything')
    heap.kernels.normalizeRows(...[x, scale, offset, out].map(heap.address), ...sidesOf(x), epsilon)
    return [out]
  },
  ConsiliumLayerNormGradient(heap, { dy, x, scale }: Inputs<'dy' | 'x' | 'scale'>, { epsilon }: Epsilon) {
    const out = [heap.tensor(x.shape, 'anything'), ...alike(heap, scale, 2)]
    heap.kernels.normalizeRowsGradient(...[dy, x, scale, ...out].map(heap.address), ...sidesOf(x), epsilon)
    return out
  },
} as const satisfies Record<FusedName, (heap: Heap, inputs: never, attrs: never) => TensorInfo[]>

type Inputs<Names extends string> = Readonly<Record<Names, TensorInfo>>
type Epsilon = { readonly epsilon: number }

function alike(heap: Heap, { shape }: TensorInfo, count: number): TensorInfo[] {
  return Array.from({ length: count }, () => heap.tensor(shape, 'anything'))
}

/** Rows and columns: every axis but the last, and the last. */
function sidesOf({ shape }: TensorInfo): readonly [number, number] {
  return [shape.slice(0, -1).reduce((product, side) => product * side, 1), shape.at(-1) as number]
}
