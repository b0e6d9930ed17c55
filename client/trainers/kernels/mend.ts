import {
  type _FusedMatMulAttrs,
  type BatchMatMulAttrs,
  backend_util,
  type Conv2DAttrs,
  type Conv2DBackpropFilterAttrs,
  type Conv2DBackpropInputAttrs,
  type DepthwiseConv2dNativeAttrs,
  type DepthwiseConv2dNativeBackpropFilterAttrs,
  type DepthwiseConv2dNativeBackpropInputAttrs,
  type FusedConv2DAttrs,
  getKernel,
  type MaxPoolGradAttrs,
  registerKernel,
  type SumAttrs,
  type TensorInfo,
  type UnsortedSegmentSumAttrs,
  unregisterKernel,
  util,
} from '@tensorflow/tfjs-core'
import { assert } from '#protocol/assert.ts'
import { backpropFilter, backpropInput, type ConvInfo, convolve } from './convolution.ts'
import { depthwise, depthwiseBackpropFilter, depthwiseBackpropInput } from './depthwise.ts'
import { FUSED } from './fused-wasm.ts'
import { type Heap, heapOf } from './heap.ts'
import { isPlainProduct, multiply, sumColumns } from './matrix.ts'
import { backpropMaxPool } from './pooling.ts'
import { sumSegments } from './segments.ts'

/**
 * Makes TF.js 4.22's wasm backend able to train, right, and fast. Stock, it has no gradient for a convolution's filter;
 * sends max pooling's gradient of all-negative windows to element 0; multiplies turned matrices by a naive loop; and
 * remembers packed weights by the id of a tensor, without its shape. Call before the backend is first set.
 */
export function mendWasm(): void {
  if (mended) return
  mended = true
  replace<Image & Filter, Conv2DAttrs>('Conv2D', ({ inputs: { x, filter }, attrs, backend }, stock) => {
    const info = convInfo(x.shape, filter.shape, attrs)
    return info ? convolve(heapOf(backend), { x, filter, bias: undefined }, info, false) : stock()
  })
  replace<Image & Filter & Bias, FusedConv2DAttrs>('FusedConv2D', ({ inputs, attrs, backend }, stock) => {
    const { x, filter, bias } = inputs
    const info = convInfo(x.shape, filter.shape, attrs)
    if (!info || !isOurs(attrs.activation, bias, info.outChannels)) return stock()
    return convolve(heapOf(backend), { x, filter, bias }, info, attrs.activation === 'relu')
  })
  replace<Image & Gradient, Conv2DBackpropFilterAttrs>('Conv2DBackpropFilter', ({ inputs, attrs, backend }, stock) => {
    const info = convInfo(inputs.x.shape, attrs.filterShape, { ...attrs, dilations: 1 })
    return info ? backpropFilter(heapOf(backend), inputs.x, inputs.dy, info) : stock()
  })
  replace<Gradient & Filter, Conv2DBackpropInputAttrs>('Conv2DBackpropInput', ({ inputs, attrs, backend }, stock) => {
    const info = convInfo(attrs.inputShape, inputs.filter.shape, { ...attrs, dilations: 1 })
    return info ? backpropInput(heapOf(backend), inputs.dy, inputs.filter, info) : stock()
  })
  replace<Image & Filter, DepthwiseConv2dNativeAttrs>('DepthwiseConv2dNative', ({ inputs, attrs, backend }, stock) => {
    if (attrs.dataFormat !== 'NHWC') return stock()
    const info = depthwiseInfo(inputs.x.shape, inputs.filter.shape, attrs)
    return depthwise(heapOf(backend), inputs.x, inputs.filter, info)
  })
  replace<Image & Gradient, DepthwiseConv2dNativeBackpropFilterAttrs>(
    'DepthwiseConv2dNativeBackpropFilter',
    ({ inputs, attrs, backend }) => {
      const info = depthwiseInfo(inputs.x.shape, attrs.filterShape, attrs)
      return depthwiseBackpropFilter(heapOf(backend), inputs, attrs.filterShape, info)
    },
  )
  replace<Gradient & Filter, DepthwiseConv2dNativeBackpropInputAttrs>(
    'DepthwiseConv2dNativeBackpropInput',
    ({ inputs, attrs, backend }) => {
      const info = depthwiseInfo(attrs.inputShape, inputs.filter.shape, attrs)
      return depthwiseBackpropInput(heapOf(backend), inputs.dy, inputs.filter, info)
    },
  )
  replace<Image & { readonly segmentIds: TensorInfo }, UnsortedSegmentSumAttrs>(
    'UnsortedSegmentSum',
    ({ inputs: { x, segmentIds }, attrs, backend }, stock) =>
      x.dtype === 'float32' ? sumSegments(heapOf(backend), x, segmentIds, attrs.numSegments) : stock(),
  )
  replace<Gradient & Pooled, MaxPoolGradAttrs>('MaxPoolGrad', ({ inputs, attrs, backend }) => {
    const { filterSize, strides, pad, dimRoundingMode } = attrs
    const shape = inputs.input.shape as Sides
    const info = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode)
    return backpropMaxPool(heapOf(backend), inputs, info)
  })
  replace<Factors, BatchMatMulAttrs>('BatchMatMul', ({ inputs: { a, b }, attrs, backend }, stock) =>
    isPlainProduct(a, b) ? multiply(heapOf(backend), { a, b, bias: undefined }, attrs, false) : stock(),
  )
  replace<Factors & Bias, _FusedMatMulAttrs>('_FusedMatMul', ({ inputs: { a, b, bias }, attrs, backend }, stock) => {
    const columns = b.shape.at(attrs.transposeB ? -2 : -1)
    if (!isPlainProduct(a, b) || !isOurs(attrs.activation, bias, columns)) return stock()
    return multiply(heapOf(backend), { a, b, bias }, attrs, attrs.activation === 'relu')
  })
  replace<{ readonly x: TensorInfo }, SumAttrs>('Sum', ({ inputs: { x }, attrs, backend }, stock) =>
    isColumnSum(x, attrs) ? sumColumns(heapOf(backend), x) : stock(),
  )
  // The tape keeps what a gradient needs by this; stock copies it all. Tensors do not change, so one copy serves both.
  replace<{ readonly x: TensorInfo }, object>('Identity', ({ inputs: { x }, backend }) => {
    const wasm = backend as { incRef(dataId: object): void }
    wasm.incRef(x.dataId)
    return { dataId: x.dataId, shape: x.shape, dtype: x.dtype }
  })
  for (const [kernelName, kernel] of Object.entries(FUSED)) {
    const fused = kernel as unknown as (heap: Heap, inputs: object, attrs: object | undefined) => TensorInfo[]
    registerKernel({
      kernelName,
      backendName: 'wasm',
      kernelFunc: ({ inputs, attrs, backend }) => fused(heapOf(backend), inputs, attrs),
    })
  }
}

let mended = false

type Sides = [number, number, number, number]
type Image = { readonly x: TensorInfo }
type Filter = { readonly filter: TensorInfo }
type Bias = { readonly bias?: TensorInfo }
type Gradient = { readonly dy: TensorInfo }
type Pooled = { readonly input: TensorInfo; readonly output: TensorInfo }
type Factors = { readonly a: TensorInfo; readonly b: TensorInfo }

/** Geometry of a convolution that our kernels take: NHWC, not dilated. */
function convInfo(
  x: readonly number[],
  filter: readonly number[],
  attrs: Pick<Conv2DAttrs, 'strides' | 'pad' | 'dimRoundingMode' | 'dilations' | 'dataFormat'>,
) {
  const { strides, pad, dimRoundingMode, dilations, dataFormat } = attrs
  if (dataFormat !== 'NHWC' || [dilations].flat().some((dilation) => dilation !== 1)) return undefined
  return backend_util.computeConv2DInfo(x as Sides, filter as Sides, strides, dilations, pad, dimRoundingMode)
}

function isOurs(activation: string | undefined, bias: TensorInfo | undefined, columns: number | undefined): boolean {
  const known = activation === undefined || activation === 'linear' || activation === 'relu'
  return known && (bias === undefined || (bias.shape.length === 1 && bias.shape[0] === columns))
}

/** One channel by one or several filters of its own, dilated or not. */
function depthwiseInfo(
  x: readonly number[],
  filter: readonly number[],
  attrs: Pick<DepthwiseConv2dNativeAttrs, 'strides' | 'pad' | 'dimRoundingMode' | 'dilations'>,
): ConvInfo {
  const { strides, dilations = 1, pad, dimRoundingMode } = attrs
  return backend_util.computeConv2DInfo(x as Sides, filter as Sides, strides, dilations, pad, dimRoundingMode, true)
}

/** Over every axis but the last: a bias's gradient. Stock turns the whole tensor over first. */
function isColumnSum(x: TensorInfo, { axis, keepDims }: SumAttrs): boolean {
  const axes = util.parseAxisParam(axis as number | number[], x.shape)
  const last = x.shape.length - 1
  return !keepDims && last > 0 && axes.length === last && !axes.includes(last) && x.dtype === 'float32'
}

type Call<Inputs, Attrs> = { readonly inputs: Inputs; readonly attrs: Attrs; readonly backend: unknown }

/** Puts a kernel in the place of TF.js's own and keeps that one's set-up, without which `stock()` could not run. */
function replace<Inputs, Attrs>(
  kernelName: string,
  kernel: (call: Call<Inputs, Attrs>, stock: () => TensorInfo) => TensorInfo,
): void {
  const old = getKernel(kernelName, 'wasm')
  if (old) unregisterKernel(kernelName, 'wasm')
  registerKernel({
    kernelName,
    backendName: 'wasm',
    kernelFunc: (call) =>
      kernel(call as unknown as Call<Inputs, Attrs>, () => {
        assert(old, `TF.js's wasm backend has no ${kernelName} for these arguments`)
        return old.kernelFunc(call) as TensorInfo
      }),
    ...(old?.setupFunc ? { setupFunc: old.setupFunc } : {}),
  })
}
