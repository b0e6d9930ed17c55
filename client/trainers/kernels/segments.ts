import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { Heap } from './heap.ts'

/** Rows of `x` summed by their ids: the gradient of looking rows up in a table, as an embedding does. */
export function sumSegments(heap: Heap, x: TensorInfo, ids: TensorInfo, segments: number): TensorInfo {
  const inner = x.shape.slice(ids.shape.length)
  const out = heap.tensor([segments, ...inner], 'anything')
  const width = inner.reduce((product, side) => product * side, 1)
  heap.kernels.sumSegments(heap.address(x), heap.address(ids), heap.address(out), heap.size(ids), width, segments)
  return out
}
