import { create } from '@web3-storage/data-segment/multihash'
import { fromDigest } from '@web3-storage/data-segment/piece'
import type { Bytes } from '#protocol/ids.ts'

/** What Filecoin calls a file: the commitment that a storage provider proves. */
export type Piece = {
  /** Piece CID v2 (FRC-0069): root, height and padding in one. */
  readonly piece: string
  /** Piece CID v1, `commP` of older deals: the root alone. */
  readonly commP: string
  /** What the file takes of a sector: a power of two. */
  readonly paddedBytes: bigint
  readonly sizeBytes: number
}

/** Hashed as it streams by: what is held is a piece of the file, and one node for each level of the tree. */
export async function pieceOf(file: AsyncIterable<Bytes>): Promise<Piece> {
  const hasher = create()
  let sizeBytes = 0
  for await (const bytes of file) {
    // Leaves of what is written at once are held at once.
    for (let at = 0; at < bytes.length; at += WRITTEN_BYTES) hasher.write(bytes.subarray(at, at + WRITTEN_BYTES))
    sizeBytes += bytes.length
  }
  const piece = fromDigest(hasher.digest())
  return { piece: piece.toString(), commP: piece.toInfo().link.toString(), paddedBytes: piece.size, sizeBytes }
}

const WRITTEN_BYTES = 65_536
