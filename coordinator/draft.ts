import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { type BlobStore, BlobTooLarge } from '#protocol/ports.ts'
import { importFile } from '#protocol/unixfs.ts'

/**
 * A store in which everything can be read that another one has, and nothing is kept: what is put is there as long as this is,
 * and of a file no more than its name.
 */
export function draftOver(blobs: BlobStore): BlobStore {
  const made = new Map<Cid, Bytes>()
  return {
    ...blobs,
    put: (source, limitBytes) => importFile(upTo(limitBytes, source), async () => undefined),
    putBlocks: async (blocks: readonly Block[]) => {
      for (const { cid, bytes } of blocks) made.set(cid, bytes)
    },
    get: (cid, range, signal) => blobs.get(cid, range, signal),
    getBlock: async (cid, limitBytes) => made.get(cid) ?? blobs.getBlock(cid, limitBytes),
    has: async (cid) => made.has(cid) || blobs.has(cid),
    delete: async () => undefined,
  }
}

async function* upTo(limitBytes: number, source: AsyncIterable<Bytes>): AsyncIterable<Bytes> {
  let bytes = 0
  for await (const piece of source) {
    bytes += piece.length
    if (bytes > limitBytes) throw new BlobTooLarge(`more than ${limitBytes} bytes`)
    yield piece
  }
}
