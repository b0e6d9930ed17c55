import { assert } from '#protocol/assert.ts'
import { sizeOf } from '#protocol/shapes.ts'
import type { Dataset } from '../data/dataset.ts'

/** Rows that are gone through together. */
export type Batch = {
  readonly rows: Int32Array
  /**
   * Their values, one row after another: written into what is given, or else in memory that the batches share, until the next one
   * is asked for.
   */
  readonly values: (into?: Float32Array) => Float32Array
}

/**
 * In this order; the last one may be short. Of rows that are waited for, the next batch is read while one is worked on; those in
 * memory are read when they are wanted, to where they are wanted, and are then still in the cache.
 */
export function batchesOf(dataset: Dataset, rows: Int32Array, size: number): AsyncIterable<Batch> | Iterable<Batch> {
  return dataset.inMemory ? batchesInMemory(dataset, rows, size) : batchesAhead(dataset, rows, size)
}

/** Memory for batches, made once: a new array of a batch's size costs more than to fill it. */
function roomFor(dataset: Dataset, rows: Int32Array, size: number): (batch: Int32Array) => Float32Array {
  const floats = new Float32Array(Math.min(size, rows.length) * sizeOf(dataset))
  return (batch) => floats.subarray(0, batch.length * sizeOf(dataset))
}

function* batchesInMemory(dataset: Dataset, rows: Int32Array, size: number): Generator<Batch, void, void> {
  let room: ReturnType<typeof roomFor> | undefined
  for (let from = 0; from < rows.length; from += size) {
    const batch = rows.subarray(from, from + size)
    const ownRoom = () => {
      room ??= roomFor(dataset, rows, size)
      return room(batch)
    }
    const values = (into = ownRoom()) => {
      const reading = dataset.read(batch, into)
      assert(!reading, 'rows in memory are there at once')
      return into
    }
    yield { rows: batch, values }
  }
}

/** Read into the memory of the batch before. */
async function* batchesAhead(dataset: Dataset, rows: Int32Array, size: number): AsyncGenerator<Batch, void, void> {
  let free = roomFor(dataset, rows, size)
  let taken = rows.length <= size ? free : roomFor(dataset, rows, size)
  const read = (from: number) => {
    const batch = rows.subarray(from, from + size)
    const values = free(batch)
    const reading = Promise.resolve(dataset.read(batch, values))
    // It is awaited when its turn comes, and by then it may long have failed.
    reading.catch(() => undefined)
    return { rows: batch, values, reading }
  }
  let next = rows.length > 0 ? read(0) : undefined
  for (let from = size; next; from += size) {
    const { rows: batch, values: held, reading } = next
    await reading
    ;[free, taken] = [taken, free]
    next = from < rows.length ? read(from) : undefined
    const values = (into?: Float32Array) => {
      into?.set(held)
      return into ?? held
    }
    yield { rows: batch, values }
  }
}
