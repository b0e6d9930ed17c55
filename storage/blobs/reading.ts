import { cidOf, codecOf, DAG_PB } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing, type BlobStore, BlobTooLarge } from '#protocol/ports.ts'
import { fileSizeOf, NotAFile, partsOf, readFile } from '#protocol/unixfs.ts'

/** A block as the store has it, unchecked; undefined when it has none. May stop reading a byte past `limitBytes`. */
export type Load = (cid: Cid, limitBytes: number, signal?: AbortSignal) => Promise<Bytes | undefined>

/**
 * The reading half of every store. Each block is hashed before any of it is passed on, so wrong bytes never come out,
 * wherever they were kept. Only the blocks that the range touches are loaded.
 *
 * @param damaged hears of a block that is not what its name says, before the reader does
 */
export function readingOf(
  load: Load,
  damaged: (cid: Cid) => Promise<void> = async () => undefined,
): Pick<BlobStore, 'get' | 'getBlock'> {
  const block = async (cid: Cid, limitBytes: number, signal?: AbortSignal) => {
    try {
      return await checkedBlock(load, cid, limitBytes, signal)
    } catch (cause) {
      if (cause instanceof BlobCorrupt) await damaged(cid)
      throw cause
    }
  }
  return {
    async *get(cid, { offset = 0, length = Number.MAX_SAFE_INTEGER, limitBytes }, signal) {
      try {
        const root = await block(cid, BLOCK_BYTES_MAX, signal)
        const size = fileSizeOf({ cid, bytes: root })
        if (!size.ok) throw new NotAFile(`${cid} is not a file`)
        if (size.value > limitBytes) throw new BlobTooLarge(`${cid} is ${size.value} bytes, at most ${limitBytes}`)
        const end = Math.min(size.value, offset + length)
        if (offset < end)
          yield* readFile(cid, offset, end - offset, async (part) =>
            part === cid ? root : block(part, BLOCK_BYTES_MAX, signal),
          )
      } catch (cause) {
        throw cause instanceof NotAFile ? new BlobCorrupt(cause.message, { cause }) : cause
      }
    },
    getBlock: (cid, limitBytes) => block(cid, limitBytes),
  }
}

/** Throws {@link BlobMissing}, {@link BlobTooLarge}, {@link BlobCorrupt}. */
export async function checkedBlock(load: Load, cid: Cid, limitBytes: number, signal?: AbortSignal): Promise<Bytes> {
  signal?.throwIfAborted()
  const block = await load(cid, limitBytes, signal)
  if (block === undefined) throw new BlobMissing(cid)
  if (block.length > BLOCK_BYTES_MAX) throw new BlobCorrupt(`the block kept as ${cid} is larger than any block`)
  if (block.length > limitBytes) throw new BlobTooLarge(`${cid} is ${block.length} bytes, at most ${limitBytes}`)
  if (cidOf(codecOf(cid), block) !== cid) throw new BlobCorrupt(`the block kept as ${cid} is another one`)
  return block
}

/**
 * The blob's blocks, each once, parents first, whether or not the store has them; below a missing or damaged block
 * nothing can be named. Loads only inner nodes: about 50 bytes for each MiB of the file.
 */
export async function* blocksUnder(root: Cid, load: Load): AsyncIterable<Cid> {
  const seen = new Set<Cid>()
  const ahead: Cid[] = [root]
  for (let cid = ahead.pop(); cid !== undefined; cid = ahead.pop()) {
    if (seen.has(cid)) continue
    seen.add(cid)
    yield cid
    if (codecOf(cid) !== DAG_PB) continue
    const parts = partsOf({ cid, bytes: await innerNode(load, cid) })
    if (parts.ok) ahead.push(...parts.value.map((part) => part.cid).toReversed())
  }
}

async function innerNode(load: Load, cid: Cid): Promise<Bytes> {
  try {
    return await checkedBlock(load, cid, BLOCK_BYTES_MAX)
  } catch (cause) {
    if (cause instanceof BlobMissing || cause instanceof BlobCorrupt) return new Uint8Array(0)
    throw cause
  }
}
