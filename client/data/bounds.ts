import { open } from 'node:fs/promises'
import type { Bytes } from '#protocol/ids.ts'
import { DataFault } from './fault.ts'

/** A site's table or image file: the most that is read into memory. 65,536 rows of 28 × 28 images are 51 MB. */
export const FILE_BYTES_MAX = 256 * 1024 * 1024

/** A file's bytes; its size is checked before anything is allocated, and no more than that is read. */
export async function readBounded(path: string): Promise<Bytes> {
  await using file = await open(path)
  const { size } = await file.stat()
  if (size > FILE_BYTES_MAX) throw new DataFault(`${path}: ${size} bytes, at most ${FILE_BYTES_MAX}`)
  const bytes = new Uint8Array(size)
  let length = 0
  while (length < size) {
    const { bytesRead } = await file.read(bytes, length, size - length, length)
    if (bytesRead === 0) throw new DataFault(`${path}: became shorter while it was read`)
    length += bytesRead
  }
  return bytes
}
