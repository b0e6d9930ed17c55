import type { Dataset } from '../data/dataset.ts'

/** Rows that are gone through together, and their values, one row after another. */
export type Batch = { readonly rows: Int32Array; readonly values: Float32Array }

/** In this order; the last one may be short. While one is worked on, the next is read. */
export async function* batchesOf(dataset: Dataset, rows: Int32Array, size: number): AsyncGenerator<Batch, void, void> {
  const read = (from: number) => {
    const batch = rows.subarray(from, from + size)
    const values = dataset.read(batch)
    // It is awaited when its turn comes, and by then it may long have failed.
    values.catch(() => undefined)
    return { rows: batch, values }
  }
  let ahead = rows.length > 0 ? read(0) : undefined
  for (let from = size; ahead; from += size) {
    const { rows: batch, values } = ahead
    const here = await values
    ahead = from < rows.length ? read(from) : undefined
    yield { rows: batch, values: here }
  }
}
