import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { ConvInfo } from './convolution.ts'
import { crop, frame, framedSides, unframe } from './frame.ts'
import type { Heap } from './heap.ts'

/**
 * Each channel by its own filters. Where a channel has several (`outChannels` is a multiple of `inChannels`), it is first
 * repeated as often, and everything after that has one filter a channel; filters [rows, columns, channels, several] lie in
 * memory as they must for that.
 */
export function depthwise(heap: Heap, x: TensorInfo, filter: TensorInfo, info: ConvInfo): TensorInfo {
  const image = open(heap, x, info)
  const out = heap.tensor(info.outShape, 'anything')
  heap.kernels.depthwise(heap.address(image), heap.address(filter), heap.address(out), ...geometryOf(info))
  unframe(heap, image, x)
  return out
}

/** The filters' gradient. */
export function depthwiseBackpropFilter(
  heap: Heap,
  tensors: { readonly x: TensorInfo; readonly dy: TensorInfo },
  shape: readonly number[],
  info: ConvInfo,
): TensorInfo {
  const { x, dy } = tensors
  const image = open(heap, x, info)
  const out = heap.tensor(shape, 'zeros')
  heap.kernels.depthwiseBackpropFilter(heap.address(image), heap.address(dy), heap.address(out), ...geometryOf(info))
  unframe(heap, image, x)
  return out
}

/** The image's gradient. */
export function depthwiseBackpropInput(heap: Heap, dy: TensorInfo, filter: TensorInfo, info: ConvInfo): TensorInfo {
  const { rows, columns } = framedSides(info)
  const framed = heap.tensor([info.batchSize, rows, columns, info.outChannels], 'zeros')
  heap.kernels.depthwiseBackpropInput(heap.address(framed), heap.address(dy), heap.address(filter), ...geometryOf(info))
  const wide = crop(heap, framed, widened(info))
  const times = timesOf(info)
  if (times === 1) return wide
  const out = heap.tensor(info.inShape, 'anything')
  heap.kernels.sumEach(heap.address(wide), heap.address(out), heap.size(out), times)
  heap.free(wide)
  return out
}

/** The image as the kernels take it: a channel for each filter, with its frame. */
function open(heap: Heap, x: TensorInfo, info: ConvInfo): TensorInfo {
  const times = timesOf(info)
  if (times === 1) return frame(heap, x, info)
  const wide = heap.tensor(widened(info).inShape, 'anything')
  heap.kernels.repeatEach(heap.address(x), heap.address(wide), heap.size(x), times)
  const framed = frame(heap, wide, widened(info))
  unframe(heap, wide, framed)
  return framed
}

function timesOf({ inChannels, outChannels }: ConvInfo): number {
  return outChannels / inChannels
}

function widened(info: ConvInfo): ConvInfo {
  const [batch, rows, columns] = info.inShape
  return { ...info, inChannels: info.outChannels, inShape: [batch, rows, columns, info.outChannels] }
}

function geometryOf(info: ConvInfo) {
  const { rows, columns } = framedSides(info)
  const pixelBytes = 4 * info.outChannels
  const rowBytes = columns * pixelBytes
  return [
    info.batchSize,
    rows * rowBytes,
    info.filterHeight,
    info.filterWidth,
    info.dilationHeight * rowBytes,
    info.dilationWidth * pixelBytes,
    info.outHeight,
    info.outWidth,
    info.outChannels,
    info.strideHeight * rowBytes,
    info.strideWidth * pixelBytes,
  ] as const
}
