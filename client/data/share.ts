import { uint32Stream } from '#aggregation/rng.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { Column, Table } from './csv.ts'
import { type Idx, rowsOf } from './idx.ts'
import { shuffle } from './shuffle.ts'

/**
 * The rows of public data that one node trains on, ascending: at most so many of all there are, every choice equally likely.
 * The seed is public, so anybody can say which they were.
 */
export function shareOf(rows: number, most: number, seed: Bytes): readonly number[] {
  const order = shuffle(
    Array.from({ length: rows }, (_, row) => row),
    uint32Stream(seed),
  )
  return order.slice(0, most).sort((a, b) => a - b)
}

/** Those rows of a table. */
export function tableShare(table: Table, most: number, seed: Bytes): Table {
  const chosen = shareOf(table.rows, most, seed)
  const columns = [...table.columns].map(([name, { values, textLine }]): [string, Column] => [
    name,
    { values: Float64Array.from(chosen, (row) => values[row] as number), textLine },
  ])
  return { path: table.path, rows: chosen.length, columns: new Map(columns) }
}

/** The same rows' tokens, `length` of each row of all. */
export function tokensShare(
  tokens: Uint16Array,
  { rows, length }: { readonly rows: number; readonly length: number },
  most: number,
  seed: Bytes,
): Uint16Array {
  const chosen = shareOf(rows, most, seed)
  const shared = new Uint16Array(chosen.length * length)
  for (const [index, row] of chosen.entries())
    shared.set(tokens.subarray(row * length, (row + 1) * length), index * length)
  return shared
}

/** Those rows of images, and of their labels. */
export function imageShare(
  { images, labels }: { readonly images: Idx; readonly labels: Idx },
  most: number,
  seed: Bytes,
): { readonly images: Idx; readonly labels: Idx } {
  const rows = Math.min(images.sides[0] as number, labels.sides[0] as number)
  const chosen = shareOf(rows, most, seed)
  return { images: rowsOf(images, chosen), labels: rowsOf(labels, chosen) }
}
