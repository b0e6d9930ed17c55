import type { Bytes } from '#protocol/ids.ts'
import { PUBLIC_FILE_BYTES_MAX } from '#protocol/limits.ts'
import { DataFault } from './fault.ts'

/** A file that is read by position: a site's disk, a file that a page was given, or bytes in memory. */
export type RandomAccess = {
  readonly path: string
  readonly sizeBytes: number
  /** Fills each of them from its place on, or throws {@link DataFault} where the file is no longer what was opened. */
  read(pieces: readonly Piece[]): Promise<void>
}
export type Piece = { readonly offset: number; readonly into: Bytes }

/** Throws the world's faults. */
export type OpenFile = (path: string) => Promise<RandomAccess>

/** A site's file that is read into memory whole: 65,536 rows of 28 × 28 images are 51 MB. */
export const FILE_BYTES_MAX = PUBLIC_FILE_BYTES_MAX

/** All of it; its size is checked before anything is allocated. */
export async function readWhole(file: RandomAccess): Promise<Bytes> {
  checkSize(file, FILE_BYTES_MAX)
  const into = new Uint8Array(file.sizeBytes)
  await file.read([{ offset: 0, into }])
  return into
}

export function checkSize({ path, sizeBytes }: RandomAccess, bytesMax: number): void {
  if (sizeBytes > bytesMax) throw new DataFault(`${path}: ${sizeBytes} bytes, at most ${bytesMax}`)
}

/** The same file: each reading of it waits for the checkpoint, or ends by what that throws. */
export function paced(file: RandomAccess, checkpoint: () => void): RandomAccess {
  return {
    ...file,
    async read(pieces) {
      checkpoint()
      await file.read(pieces)
    },
  }
}

/** From its beginning to its end, a piece at a time: each is overwritten by the next one. */
export async function* piecesOf(file: RandomAccess): AsyncIterable<Bytes> {
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, file.sizeBytes))
  for (let offset = 0; offset < file.sizeBytes; offset += buffer.length) {
    const into = buffer.subarray(0, Math.min(buffer.length, file.sizeBytes - offset))
    await file.read([{ offset, into }])
    yield into
  }
}

const PIECE_BYTES = 256 * 1024

export function inMemory(path: string, bytes: Bytes): RandomAccess {
  return {
    path,
    sizeBytes: bytes.length,
    async read(pieces) {
      for (const { offset, into } of pieces) into.set(bytes.subarray(offset, offset + into.length))
    },
  }
}
