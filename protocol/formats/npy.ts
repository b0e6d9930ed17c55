import { assert } from '../assert.ts'
import { utf8 } from '../bytes.ts'
import type { Bytes } from '../ids.ts'

/** \x93NUMPY, version 1.0. */
const MAGIC = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0)
const ALIGNMENT = 64

/**
 * The header of a float32 array, little-endian, in C order, in NumPy's format NPY 1.0 (NEP 1): what follows it is the array.
 * It is as long as a multiple of 64 bytes, so that the array can be mapped.
 */
export function npyHeader(shape: readonly number[]): Bytes {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`
  const lengthAt = MAGIC.length
  const from = lengthAt + 2
  const size = Math.ceil((from + text.length + 1) / ALIGNMENT) * ALIGNMENT
  assert(size - from < 2 ** 16, 'a shape has a few sides')
  const header = new Uint8Array(size).fill(0x20)
  header.set(MAGIC)
  new DataView(header.buffer).setUint16(lengthAt, size - from, true)
  header.set(utf8(text), from)
  header[size - 1] = 0x0a
  return header
}
