import { copyOf } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { FILE_ROWS_MAX } from '#protocol/limits.ts'
import { DataFault } from './fault.ts'
import { FILE_BYTES_MAX, type Piece, type RandomAccess, readWhole } from './source.ts'

/**
 * The IDX format of MNIST: two zero bytes, the element type (8 = unsigned byte), the number of sides, each side as a
 * big-endian u32, then the elements, the last side fastest.
 */
export type Idx = { readonly sides: readonly number[]; readonly bytes: Bytes }

const UNSIGNED_BYTE = 8
const SIDES_MAX = 4

/** The elements, all of them in memory. Throws {@link DataFault}, and the world's faults. */
export async function readIdx(file: RandomAccess): Promise<Idx> {
  return parseIdx(file.path, await readWhole(file))
}

/** Throws {@link DataFault}. The elements are not copied. */
export function parseIdx(path: string, file: Bytes): Idx {
  const { sides, header } = parseHeader(path, file.subarray(0, HEADER_BYTES_MAX), file.length)
  return { sides, bytes: file.subarray(header) }
}

/** A file's elements, row by row: one row after another. */
export type IdxRows = { readonly sides: readonly number[] } & (
  | { readonly inMemory: true; readonly read: (rows: Int32Array) => Bytes }
  | { readonly inMemory: false; readonly read: (rows: Int32Array) => Promise<Bytes> }
)

/**
 * A file that fits is read whole, by whoever first asks for a row. Of a larger one rows are read by their position; the first
 * that are read stay in memory, as many as fit, which serves rows that are asked for in random order as well as any other choice.
 * Throws {@link DataFault}, and the world's faults.
 */
export async function openIdx(file: RandomAccess, keptBytesMax = FILE_BYTES_MAX): Promise<IdxRows> {
  const head = new Uint8Array(Math.min(HEADER_BYTES_MAX, file.sizeBytes))
  await file.read([{ offset: 0, into: head }])
  const { sides, header } = parseHeader(file.path, head, file.sizeBytes)
  if (file.sizeBytes <= keptBytesMax) return rowsIn(await readIdx(file))
  const size = rowSizeOf(sides)
  const kept = new Map<number, Bytes>()
  return {
    sides,
    inMemory: false,
    async read(rows) {
      const bytes = new Uint8Array(rows.length * size)
      const missing: Piece[] = []
      for (const [index, row] of rows.entries()) {
        const into = bytes.subarray(index * size, (index + 1) * size)
        const known = kept.get(row)
        if (known) into.set(known)
        else missing.push({ offset: header + row * size, into })
      }
      await file.read(missing)
      for (const { offset, into } of missing)
        if ((kept.size + 1) * size <= keptBytesMax) kept.set((offset - header) / size, copyOf(into))
      return bytes
    },
  }
}

/** Of elements in memory. */
export function rowsIn(idx: Idx): IdxRows {
  return { sides: idx.sides, inMemory: true, read: (rows) => rowsOf(idx, rows).bytes }
}

const HEADER_BYTES_MAX = 4 + 4 * SIDES_MAX

function parseHeader(
  path: string,
  head: Bytes,
  sizeBytes: number,
): { readonly sides: readonly number[]; readonly header: number } {
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  if (head.length < 4 || view.getUint16(0) !== 0) throw new DataFault(`${path}: not an IDX file`)
  if (head[2] !== UNSIGNED_BYTE) throw new DataFault(`${path}: IDX elements of type ${head[2]}, where bytes (8) belong`)
  const count = head[3] as number
  const header = 4 + 4 * count
  if (count < 1 || count > SIDES_MAX) throw new DataFault(`${path}: ${count} sides, at most ${SIDES_MAX}`)
  if (sizeBytes < header) throw new DataFault(`${path}: ends within its header`)
  const sides = Array.from({ length: count }, (_, side) => view.getUint32(4 + 4 * side))
  if ((sides[0] as number) > FILE_ROWS_MAX) throw new DataFault(`${path}: ${sides[0]} rows, at most ${FILE_ROWS_MAX}`)
  const size = sides.reduce((product, side) => product * side, 1)
  if (sizeBytes !== header + size)
    throw new DataFault(`${path}: ${sizeBytes} bytes, where [${sides.join(', ')}] takes ${header + size}`)
  return { sides, header }
}

function rowSizeOf([, ...rest]: readonly number[]): number {
  return rest.reduce((product, side) => product * side, 1)
}

/** The file for these elements. */
export function formatIdx({ sides, bytes }: Idx): Bytes {
  const header = 4 + 4 * sides.length
  const file = new Uint8Array(header + bytes.length)
  const view = new DataView(file.buffer)
  view.setUint8(2, UNSIGNED_BYTE)
  view.setUint8(3, sides.length)
  for (const [index, side] of sides.entries()) view.setUint32(4 + 4 * index, side)
  file.set(bytes, header)
  return file
}

/** Some of the rows, in this order: all that lies under one index of the first side. */
export function rowsOf({ sides, bytes }: Idx, rows: ArrayLike<number>): Idx {
  const [, ...rest] = sides
  const size = rowSizeOf(sides)
  const chosen = new Uint8Array(rows.length * size)
  for (let index = 0; index < rows.length; index++) {
    const from = (rows[index] as number) * size
    chosen.set(bytes.subarray(from, from + size), index * size)
  }
  return { sides: [rows.length, ...rest], bytes: chosen }
}
