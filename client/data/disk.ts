import { open } from 'node:fs/promises'
import type { Bytes } from '#protocol/ids.ts'
import { checkFileSize } from './bounds.ts'
import { DataFault } from './fault.ts'

/** A file's bytes; its size is checked before anything is allocated, and no more than that is read. */
export async function readBounded(path: string): Promise<Bytes> {
  await using file = await open(path)
  const { size } = await file.stat()
  checkFileSize(path, size)
  const bytes = new Uint8Array(size)
  let length = 0
  while (length < size) {
    const { bytesRead } = await file.read(bytes, length, size - length, length)
    if (bytesRead === 0) throw new DataFault(`${path}: became shorter while it was read`)
    length += bytesRead
  }
  return bytes
}
