import { sizeOf } from '#protocol/shapes.ts'
import type { Dataset } from '../data/dataset.ts'

/** Rows that are gone through together, and their values, one row after another: until the next batch is asked for. */
export type Batch = { readonly rows: Int32Array; readonly values: Float32Array }

/**
 * In this order; the last one may be short. While one is worked on, the next is read, and into the memory of the one before:
 * a new array of every batch's size costs more than to fill it.
 */
export async function* batchesOf(dataset: Dataset, rows: Int32Array, size: number): AsyncGenerator<Batch, void, void> {
  const floats = Math.min(size, rows.length) * sizeOf(dataset)
  let free = new Float32Array(floats)
  let taken = new Float32Array(rows.length > size ? floats : 0)
  const read = (from: number) => {
    const batch = rows.subarray(from, from + size)
    const values = free.subarray(0, batch.length * sizeOf(dataset))
    const reading = dataset.read(batch, values)
    // It is awaited when its turn comes, and by then it may long have failed.
    reading.catch(() => undefined)
    return { rows: batch, values, reading }
  }
  let ahead = rows.length > 0 ? read(0) : undefined
  for (let from = size; ahead; from += size) {
    const { rows: batch, values, reading } = ahead
    await reading
    ;[free, taken] = [taken, free]
    ahead = from < rows.length ? read(from) : undefined
    yield { rows: batch, values }
  }
}
