import type { Bytes } from '#protocol/ids.ts'
import { WEIGHT_MAX } from '#protocol/limits.ts'
import { DataFault } from './fault.ts'

/**
 * The IDX format of MNIST: two zero bytes, the element type (8 = unsigned byte), the number of sides, each side as a
 * big-endian u32, then the elements, the last side fastest.
 */
export type Idx = { readonly sides: readonly number[]; readonly bytes: Bytes }

const UNSIGNED_BYTE = 8
const SIDES_MAX = 4

/** Throws {@link DataFault}. The elements are not copied. */
export function parseIdx(path: string, file: Bytes): Idx {
  const view = new DataView(file.buffer, file.byteOffset, file.length)
  if (file.length < 4 || view.getUint16(0) !== 0) throw new DataFault(`${path}: not an IDX file`)
  if (file[2] !== UNSIGNED_BYTE) throw new DataFault(`${path}: IDX elements of type ${file[2]}, where bytes (8) belong`)
  const count = file[3] as number
  const header = 4 + 4 * count
  if (count < 1 || count > SIDES_MAX) throw new DataFault(`${path}: ${count} sides, at most ${SIDES_MAX}`)
  if (file.length < header) throw new DataFault(`${path}: ends within its header`)
  const sides = Array.from({ length: count }, (_, side) => view.getUint32(4 + 4 * side))
  if ((sides[0] as number) > WEIGHT_MAX) throw new DataFault(`${path}: ${sides[0]} rows, at most ${WEIGHT_MAX}`)
  const size = sides.reduce((product, side) => product * side, 1)
  if (file.length !== header + size) {
    throw new DataFault(`${path}: ${file.length} bytes, where [${sides.join(', ')}] takes ${header + size}`)
  }
  return { sides, bytes: file.subarray(header) }
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
export function rowsOf({ sides, bytes }: Idx, rows: readonly number[]): Idx {
  const [, ...rest] = sides
  const size = rest.reduce((product, side) => product * side, 1)
  const chosen = new Uint8Array(rows.length * size)
  for (const [index, row] of rows.entries()) chosen.set(bytes.subarray(row * size, (row + 1) * size), index * size)
  return { sides: [rows.length, ...rest], bytes: chosen }
}
