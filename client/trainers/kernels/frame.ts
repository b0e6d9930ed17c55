import type { backend_util, TensorInfo } from '@tensorflow/tfjs-core'
import { assert } from '#protocol/assert.ts'
import type { Heap } from './heap.ts'

/** An image that a convolution slides over, and the frame of zeros that its padding asks for. */
export type Framed = Pick<
  backend_util.Conv2DInfo,
  'batchSize' | 'inHeight' | 'inWidth' | 'inChannels' | 'inShape' | 'padInfo'
>

/** Sides of the image with its frame. */
export function framedSides({ inHeight, inWidth, padInfo }: Framed): {
  readonly rows: number
  readonly columns: number
} {
  return { rows: inHeight + padInfo.top + padInfo.bottom, columns: inWidth + padInfo.left + padInfo.right }
}

/** The image inside its frame of zeros; the image itself where no frame is asked for. */
export function frame(heap: Heap, x: TensorInfo, info: Framed): TensorInfo {
  if (!isFramed(info)) return x
  const { rows, columns } = framedSides(info)
  const framed = heap.tensor([info.batchSize, rows, columns, info.inChannels], 'zeros')
  copyInside(heap, { framed, bare: x }, info, 'frame')
  return framed
}

/** Frees what {@link frame} made. */
export function unframe(heap: Heap, framed: TensorInfo, x: TensorInfo): void {
  if (framed !== x) heap.free(framed)
}

/** The inside of a framed image, which is then freed. */
export function crop(heap: Heap, framed: TensorInfo, info: Framed): TensorInfo {
  if (!isFramed(info)) return framed
  const bare = heap.tensor(info.inShape, 'anything')
  copyInside(heap, { framed, bare }, info, 'crop')
  heap.free(framed)
  return bare
}

function isFramed({ padInfo: { top, bottom, left, right } }: Framed): boolean {
  return top + bottom + left + right > 0
}

function copyInside(
  heap: Heap,
  images: { readonly framed: TensorInfo; readonly bare: TensorInfo },
  info: Framed,
  way: 'frame' | 'crop',
): void {
  const { rows, columns } = framedSides(info)
  const line = info.inWidth * info.inChannels
  assert(line > 0, 'an image has pixels')
  const floats = heap.floats()
  let bare = heap.address(images.bare) / 4
  for (let sample = 0; sample < info.batchSize; sample++) {
    for (let row = 0; row < info.inHeight; row++) {
      const pixel = (sample * rows + row + info.padInfo.top) * columns + info.padInfo.left
      const framed = heap.address(images.framed) / 4 + pixel * info.inChannels
      if (way === 'frame') floats.copyWithin(framed, bare, bare + line)
      else floats.copyWithin(bare, framed, framed + line)
      bare += line
    }
  }
}
