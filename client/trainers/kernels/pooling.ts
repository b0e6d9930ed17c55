import type { backend_util, TensorInfo } from '@tensorflow/tfjs-core'
import type { Heap } from './heap.ts'

/** Max pooling's gradient, of the input's shape: each window's goes to its first largest value. */
export function backpropMaxPool(
  heap: Heap,
  tensors: { readonly dy: TensorInfo; readonly input: TensorInfo; readonly output: TensorInfo },
  info: backend_util.Conv2DInfo,
): TensorInfo {
  const out = heap.tensor(tensors.input.shape, 'zeros')
  heap.kernels.maxPoolGradient(
    heap.address(tensors.input),
    heap.address(tensors.output),
    heap.address(tensors.dy),
    heap.address(out),
    info.batchSize,
    info.inHeight,
    info.inWidth,
    info.inChannels,
    info.outHeight,
    info.outWidth,
    info.filterHeight,
    info.filterWidth,
    info.strideHeight,
    info.strideWidth,
    info.padInfo.top,
    info.padInfo.left,
  )
  return out
}
