import { cidOf, codecOf, DAG_PB } from '#protocol/cid.ts'
import { partsOf } from '#protocol/file-node.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing, type BlobStore, BlobTooLarge } from '#protocol/ports.ts'
import { accept } from '#protocol/result.ts'
import { fileSizeOf, NotAFile, readFile } from '#protocol/unixfs.ts'

/** A block as the store has it, unchecked; undefined when it has none. May stop reading a byte past `limitBytes`. */
export type Load = (cid: Cid, limitBytes: number, signal?: AbortSignal) => Promise<Bytes | undefined>

/** A block that was hashed: what it answers is what the CID says. Throws as {@link checkedBlock} does. */
export type LoadChecked = (cid: Cid, limitBytes: number, signal?: AbortSignal) => Promise<Bytes>

/**
 * The reading half of every store. Each block is hashed before any of it is passed on, so wrong bytes never come out,
 * wherever they were kept. Only the blocks that the range touches are loaded.
 *
 * @param damaged hears of a block that is not what its name says, before the reader does
 * @param ahead as of {@link readFile}
 */
export function readingOf(
  load: Load,
  damaged: (cid: Cid) => Promise<void> = async () => undefined,
  ahead?: () => number,
): Reading {
  const block: LoadChecked = async (cid, limitBytes, signal) => {
    try {
      return await checkedBlock(load, cid, limitBytes, signal)
    } catch (cause) {
      if (cause instanceof BlobCorrupt) await damaged(cid)
      throw cause
    }
  }
  return readingFrom(block, ahead)
}

export type Reading = Pick<BlobStore, 'get' | 'getBlock'>

/** The same over blocks that come hashed. A reader that stops early stops what was asked for ahead of it. */
export function readingFrom(block: LoadChecked, ahead?: () => number): Reading {
  return {
    async *get(cid, { offset = 0, length = Number.MAX_SAFE_INTEGER, limitBytes }, signal) {
      const stop = new AbortController()
      const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
      try {
        const root = await block(cid, BLOCK_BYTES_MAX, either)
        const size = fileSizeOf({ cid, bytes: root })
        if (!size.ok) throw new NotAFile(`${cid} is not a file`)
        if (size.value > limitBytes) throw new BlobTooLarge(`${cid} is ${size.value} bytes, at most ${limitBytes}`)
        const end = Math.min(size.value, offset + length)
        const part = async (one: Cid) => (one === cid ? root : block(one, BLOCK_BYTES_MAX, either))
        if (offset < end) yield* readFile(cid, offset, end - offset, part, ahead)
      } catch (cause) {
        throw cause instanceof NotAFile ? new BlobCorrupt(cause.message, { cause }) : cause
      } finally {
        stop.abort(OVER)
      }
    },
    getBlock: (cid, limitBytes) => block(cid, limitBytes),
  }
}

/** Made once: an abort without a reason makes an exception, with a stack, for every file that is read. */
const OVER = new Error('the reader has gone')

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

/**
 * Whether every block of it is here. Throws {@link BlobCorrupt} where one is not as large as its parent says: a tree that
 * somebody else made, and that nobody could read as a file.
 *
 * @param sizeOf a block's own size; undefined where it is not here
 */
export async function isWholeFile(
  root: Cid,
  load: Load,
  sizeOf: (cid: Cid) => Promise<number | undefined>,
): Promise<boolean> {
  /** What each block's parents say of it: those that are found are looked at in turn. */
  const said = new Map<Cid, number | undefined>([[root, undefined]])
  for (const [cid, due] of said) {
    const ownBytes = await sizeOf(cid)
    if (ownBytes === undefined) return false
    const parts = codecOf(cid) === DAG_PB ? partsOf({ cid, bytes: await innerNode(load, cid) }) : accept([])
    if (!parts.ok) continue
    const leaf = codecOf(cid) !== DAG_PB
    const sizeBytes = leaf ? ownBytes : parts.value.reduce((sum, part) => sum + part.sizeBytes, 0)
    if (due !== undefined && due !== sizeBytes) throw new BlobCorrupt(`${cid} is not of ${due} bytes`)
    for (const part of parts.value) {
      if ((said.get(part.cid) ?? part.sizeBytes) !== part.sizeBytes)
        throw new BlobCorrupt(`${part.cid} has two sizes in one file`)
      said.set(part.cid, part.sizeBytes)
    }
  }
  return true
}

async function innerNode(load: Load, cid: Cid): Promise<Bytes> {
  try {
    return await checkedBlock(load, cid, BLOCK_BYTES_MAX)
  } catch (cause) {
    if (cause instanceof BlobMissing || cause instanceof BlobCorrupt) return new Uint8Array(0)
    throw cause
  }
}
