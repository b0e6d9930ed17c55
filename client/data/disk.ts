import { type FileHandle, open } from 'node:fs/promises'
import { DataFault } from './fault.ts'
import type { Piece, RandomAccess } from './source.ts'

/**
 * A file on this machine's disk. It is opened for each reading and closed after it, so that nobody has to close what a training
 * thread keeps for its life; that it is still the file whose size was checked is made sure of each time.
 */
export async function openDisk(path: string): Promise<RandomAccess> {
  const opened = await withFile(path, stampOf)
  return {
    path,
    sizeBytes: opened.size,
    read: (pieces) =>
      withFile(path, async (file) => {
        const { size, ino, mtimeMs } = await stampOf(file)
        if (size !== opened.size || ino !== opened.ino || mtimeMs !== opened.mtimeMs)
          throw new DataFault(`${path}: became another file while it was read`)
        await Promise.all(pieces.map((piece) => fill(file, path, piece)))
      }),
  }
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  await using file = await open(path)
  return await use(file)
}

function stampOf(file: FileHandle): Promise<{ readonly size: number; readonly ino: number; readonly mtimeMs: number }> {
  return file.stat()
}

async function fill(file: FileHandle, path: string, { offset, into }: Piece): Promise<void> {
  let length = 0
  while (length < into.length) {
    const { bytesRead } = await file.read(into, length, into.length - length, offset + length)
    if (bytesRead === 0) throw new DataFault(`${path}: became shorter while it was read`)
    length += bytesRead
  }
}
