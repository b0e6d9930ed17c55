import type { backend_util, TensorInfo } from '@tensorflow/tfjs-core'
import { crop, frame, framedSides, unframe } from './frame.ts'
import type { Heap } from './heap.ts'
import type { Geometry } from './wasm.ts'

export type ConvInfo = backend_util.Conv2DInfo

/** max(0, x · filter + bias), or without the max, or without the bias. */
export function convolve(
  heap: Heap,
  tensors: { readonly x: TensorInfo; readonly filter: TensorInfo; readonly bias: TensorInfo | undefined },
  info: ConvInfo,
  relu: boolean,
): TensorInfo {
  const { taps, filters } = sizesOf(info)
  const width = Math.ceil(filters / 8) * 8
  const image = frame(heap, tensors.x, info)
  const out = heap.tensor(info.outShape, 'anything')
  const packed = heap.tensor([taps + 1, width], 'anything')
  const packedBias = heap.address(packed) + 4 * taps * width
  heap.kernels.packFilters(
    heap.address(tensors.filter),
    tensors.bias ? heap.address(tensors.bias) : 0,
    heap.address(packed),
    packedBias,
    taps,
    filters,
  )
  heap.kernels.convolve(
    heap.address(image),
    heap.address(packed),
    packedBias,
    heap.address(out),
    ...geometryOf(info),
    relu ? 1 : 0,
  )
  heap.free(packed)
  unframe(heap, image, tensors.x)
  return out
}

/** The filter's gradient, [rows, columns, channels, filters]. */
export function backpropFilter(heap: Heap, x: TensorInfo, dy: TensorInfo, info: ConvInfo): TensorInfo {
  const image = frame(heap, x, info)
  const out = heap.tensor([info.filterHeight, info.filterWidth, info.inChannels, info.outChannels], 'zeros')
  heap.kernels.backpropFilter(heap.address(image), heap.address(dy), heap.address(out), ...geometryOf(info))
  unframe(heap, image, x)
  return out
}

/** The image's gradient. */
export function backpropInput(heap: Heap, dy: TensorInfo, filter: TensorInfo, info: ConvInfo): TensorInfo {
  const { taps, filters, rows, columns } = sizesOf(info)
  const turned = heap.tensor([filters, taps], 'anything')
  heap.kernels.transpose(heap.address(filter), heap.address(turned), taps, filters)
  const image = heap.tensor([info.batchSize, rows, columns, info.inChannels], 'zeros')
  heap.kernels.backpropInput(heap.address(image), heap.address(dy), heap.address(turned), ...geometryOf(info))
  heap.free(turned)
  return crop(heap, image, info)
}

/** What a convolution is to the kernels; the image counts with its padding. */
function geometryOf(info: ConvInfo): Geometry {
  const { rows, columns, filters } = sizesOf(info)
  const pixelBytes = 4 * info.inChannels
  const rowBytes = columns * pixelBytes
  return [
    info.batchSize,
    rows * rowBytes,
    rowBytes,
    info.filterHeight,
    info.filterWidth * info.inChannels,
    info.outHeight,
    info.outWidth,
    filters,
    info.strideHeight * rowBytes,
    info.strideWidth * pixelBytes,
  ]
}

function sizesOf(info: ConvInfo) {
  return {
    taps: info.filterHeight * info.filterWidth * info.inChannels,
    filters: info.outChannels,
    ...framedSides(info),
  }
}
