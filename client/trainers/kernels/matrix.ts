import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { Heap } from './heap.ts'

export type Turned = { readonly transposeA: boolean; readonly transposeB: boolean }

/** a · b for the last two axes; `shape` is the product's. One axis of a batch in front may be there in both, or in neither. */
export function multiply(
  heap: Heap,
  tensors: { readonly a: TensorInfo; readonly b: TensorInfo; readonly bias: TensorInfo | undefined },
  turned: Turned,
  relu: boolean,
): TensorInfo {
  const { kernels } = heap
  const { a, b, bias } = tensors
  const { batch, rows, inner, columns } = productOf(a, b, turned)
  const out = heap.tensor([...a.shape.slice(0, -2), rows, columns], 'anything')
  const left = turned.transposeA ? turn(heap, a, batch, inner, rows) : a
  const right = turned.transposeB ? turn(heap, b, batch, columns, inner) : b
  const width = Math.ceil(columns / 8) * 8
  const packed = heap.tensor([inner + 1, width], 'anything')
  const at = heap.address(packed)
  for (let index = 0; index < batch; index++) {
    const matrix = heap.address(right) + 4 * index * inner * columns
    kernels.packFilters(matrix, bias ? heap.address(bias) : 0, at, at + 4 * inner * width, inner, columns)
    kernels.convolve(
      heap.address(left) + 4 * index * rows * inner,
      at,
      at + 4 * inner * width,
      heap.address(out) + 4 * index * rows * columns,
      1,
      0,
      0,
      1,
      inner,
      1,
      rows,
      columns,
      0,
      4 * inner,
      relu ? 1 : 0,
    )
  }
  heap.free(packed)
  if (left !== a) heap.free(left)
  if (right !== b) heap.free(right)
  return out
}

/** Sums over every axis but the last. */
export function sumColumns(heap: Heap, x: TensorInfo): TensorInfo {
  const columns = x.shape.at(-1) as number
  const out = heap.tensor([columns], 'anything')
  const rows = x.shape.slice(0, -1).reduce((product, side) => product * side, 1)
  heap.kernels.columnSums(heap.address(x), heap.address(out), rows, columns)
  return out
}

/** Whether {@link multiply} takes these: equal batches, equal inner sides. */
export function isPlainProduct(a: TensorInfo, b: TensorInfo): boolean {
  const batches = [a, b].map(({ shape }) => shape.slice(0, -2))
  return (
    a.dtype === 'float32' && b.dtype === 'float32' && a.shape.length >= 2 && String(batches[0]) === String(batches[1])
  )
}

function productOf(a: TensorInfo, b: TensorInfo, { transposeA, transposeB }: Turned) {
  const [aRows, aColumns] = a.shape.slice(-2) as [number, number]
  const [bRows, bColumns] = b.shape.slice(-2) as [number, number]
  return {
    batch: a.shape.slice(0, -2).reduce((product, side) => product * side, 1),
    rows: transposeA ? aColumns : aRows,
    inner: transposeA ? aRows : aColumns,
    columns: transposeB ? bRows : bColumns,
  }
}

function turn(heap: Heap, matrix: TensorInfo, batch: number, rows: number, columns: number): TensorInfo {
  const out = heap.tensor([batch, columns, rows], 'anything')
  for (let index = 0; index < batch; index++) {
    const offset = 4 * index * rows * columns
    heap.kernels.transpose(heap.address(matrix) + offset, heap.address(out) + offset, rows, columns)
  }
  return out
}
