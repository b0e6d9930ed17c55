import { type backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core'
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
  const image = pad(heap, tensors.x, info)
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
  if (image !== tensors.x) heap.free(image)
  return out
}

/** The filter's gradient, [rows, columns, channels, filters]. */
export function backpropFilter(heap: Heap, x: TensorInfo, dy: TensorInfo, info: ConvInfo): TensorInfo {
  const { taps, filters } = sizesOf(info)
  const image = pad(heap, x, info)
  const turned = heap.tensor([filters, taps], 'zeros')
  heap.kernels.backpropFilter(heap.address(image), heap.address(dy), heap.address(turned), ...geometryOf(info))
  const out = heap.tensor([info.filterHeight, info.filterWidth, info.inChannels, filters], 'anything')
  heap.kernels.transpose(heap.address(turned), heap.address(out), filters, taps)
  heap.free(turned)
  if (image !== x) heap.free(image)
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
  if (!isPadded(info)) return image
  const out = heap.tensor(info.inShape, 'anything')
  copyInside(heap, { padded: image, bare: out }, info, 'crop')
  heap.free(image)
  return out
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
    rows: info.inHeight + info.padInfo.top + info.padInfo.bottom,
    columns: info.inWidth + info.padInfo.left + info.padInfo.right,
  }
}

function isPadded(info: ConvInfo): boolean {
  const { top, bottom, left, right } = info.padInfo
  return top + bottom + left + right > 0
}

/** The image inside a frame of zeros; the image itself where no frame is asked for. */
function pad(heap: Heap, x: TensorInfo, info: ConvInfo): TensorInfo {
  if (!isPadded(info)) return x
  const { rows, columns } = sizesOf(info)
  const padded = heap.tensor([info.batchSize, rows, columns, info.inChannels], 'zeros')
  copyInside(heap, { padded, bare: x }, info, 'frame')
  return padded
}

function copyInside(
  heap: Heap,
  images: { readonly padded: TensorInfo; readonly bare: TensorInfo },
  info: ConvInfo,
  way: 'frame' | 'crop',
): void {
  const { rows, columns } = sizesOf(info)
  const line = info.inWidth * info.inChannels
  util.assert(line > 0, () => 'an image has pixels')
  const floats = heap.floats()
  let bare = heap.address(images.bare) / 4
  for (let sample = 0; sample < info.batchSize; sample++) {
    for (let row = 0; row < info.inHeight; row++) {
      const pixel = (sample * rows + row + info.padInfo.top) * columns + info.padInfo.left
      const padded = heap.address(images.padded) / 4 + pixel * info.inChannels
      if (way === 'frame') floats.copyWithin(padded, bare, bare + line)
      else floats.copyWithin(bare, padded, padded + line)
      bare += line
    }
  }
}
