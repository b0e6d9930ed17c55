import { sizeOf } from '#protocol/shapes.ts'
import type { Dataset } from '../data/dataset.ts'

/** Rows that are gone through together, and their values, one row after another: until the next batch is asked for. */
export type Batch = { readonly rows: Int32Array; readonly values: Float32Array }

/**
 * In this order; the last one may be short. They come in the same memory again and again: a new array of a batch's size costs
 * more than to fill it. Of rows that are waited for, the next batch is read while one is worked on, into the memory of the one
 * before; those in memory are read when their turn comes, and are then still in the cache.
 */
export async function* batchesOf(dataset: Dataset, rows: Int32Array, size: number): AsyncGenerator<Batch, void, void> {
  const floats = Math.min(size, rows.length) * sizeOf(dataset)
  let free = new Float32Array(floats)
  let taken = dataset.inMemory || rows.length <= size ? free : new Float32Array(floats)
  const read = (from: number) => {
    const batch = rows.subarray(from, from + size)
    const values = free.subarray(0, batch.length * sizeOf(dataset))
    const reading = dataset.read(batch, values)
    // It is awaited when its turn comes, and by then it may long have failed.
    reading.catch(() => undefined)
    return { rows: batch, values, reading }
  }
  let next = rows.length > 0 ? read(0) : undefined
  for (let from = size; next; from += size) {
    const { rows: batch, values, reading } = next
    await reading
    ;[free, taken] = [taken, free]
    const isLast = from >= rows.length
    next = isLast || dataset.inMemory ? undefined : read(from)
    yield { rows: batch, values }
    if (!isLast) next ??= read(from)
  }
}
