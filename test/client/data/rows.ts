import type { Dataset } from '#client/data/dataset.ts'
import { sizeOf } from '#protocol/shapes.ts'

/** Values of some rows, one row after another, read into memory that something else was in. */
export async function valuesOf(dataset: Dataset, rows: Int32Array): Promise<Float32Array> {
  const values = new Float32Array(rows.length * sizeOf(dataset)).fill(Number.NaN)
  await dataset.read(rows, values)
  return values
}
