import { assert } from './assert.ts'
import { cidOf, codecOf, DAG_PB, RAW } from './cid.ts'
import type { Block } from './envelope.ts'
import { type Part, partsOf } from './file-node.ts'
import { nodeOf } from './file-tree.ts'
import type { Bytes, Cid } from './ids.ts'
import { BLOCK_BYTES_MAX, UNIXFS_DEPTH_MAX, UNIXFS_WIDTH } from './limits.ts'
import { accept, type Result } from './result.ts'

/**
 * Files as blocks, by the UnixFS profile unixfs-v1-2025 (IPIP-499): raw leaves of 1 MiB, 1,024 links a node, balanced;
 * a file of up to 1 MiB is one raw block. One file has one CID, whoever adds it.
 */

/** Four blocks in flight: a store takes many uploads at once, and this bounds each one's memory. */
const WRITES = 4

/** Cuts a file into blocks and hands each to `keep`, a parent when all that is under it is kept. @returns the file's CID */
export async function importFile(source: AsyncIterable<Bytes>, keep: (block: Block) => Promise<void>): Promise<Cid> {
  /** Those that failed stay, so that they are heard of. */
  const writing = new Set<Promise<void>>()
  let root: Cid | undefined
  for await (const block of blocksOf(source)) {
    if (codecOf(block.cid) === DAG_PB) await Promise.all(writing)
    const write = keep(block).then(() => void writing.delete(write))
    write.catch(() => undefined)
    writing.add(write)
    if (writing.size >= WRITES) await Promise.race(writing)
    root = block.cid
  }
  await Promise.all(writing)
  assert(root !== undefined, 'a file has a block')
  return root
}

/** The root last. Of a large file no more is held than a leaf, and the parts of one node for each level. */
async function* blocksOf(source: AsyncIterable<Bytes>): AsyncIterable<Block> {
  const levels: Part[][] = []
  for await (const bytes of leavesIn(source)) {
    const leaf = { cid: cidOf(RAW, bytes), bytes }
    yield* put(levels, 0, { cid: leaf.cid, sizeBytes: bytes.length })
    yield leaf
  }
  for (let height = 0; height < levels.length - 1 || (levels[height] as Part[]).length > 1; height++)
    yield* close(levels, height)
}

/** @returns the nodes that had no room for it */
function* put(levels: Part[][], height: number, part: Part): Iterable<Block> {
  if (levels[height]?.length === UNIXFS_WIDTH) yield* close(levels, height)
  levels[height] ??= []
  levels[height].push(part)
}

function* close(levels: Part[][], height: number): Iterable<Block> {
  const parts = (levels[height] as Part[]).splice(0)
  const sizeBytes = sumOf(parts)
  const cids = parts.map(({ cid }) => cid)
  const node = nodeOf(cids, { height: height + 1, sizeBytes })
  yield node
  yield* put(levels, height + 1, { cid: node.cid, sizeBytes })
}

/** Each of 1 MiB but the last, in memory of its own. A file of nothing has one, too. */
async function* leavesIn(source: AsyncIterable<Bytes>): AsyncIterable<Bytes> {
  let leaf: Bytes = new Uint8Array(0)
  let length = 0
  for await (const piece of source)
    for (let at = 0; at < piece.length; ) {
      if (length === BLOCK_BYTES_MAX) {
        yield leaf
        leaf = new Uint8Array(0)
        length = 0
      }
      const part = piece.subarray(at, at + BLOCK_BYTES_MAX - length)
      leaf = roomFor(leaf, length + part.length)
      leaf.set(part, length)
      length += part.length
      at += part.length
    }
  yield leaf.slice(0, length)
}

/** Twice as much, so that a file in small pieces is not copied for each of them. */
function roomFor(bytes: Bytes, length: number): Bytes {
  if (length <= bytes.length) return bytes
  const larger = new Uint8Array(Math.min(BLOCK_BYTES_MAX, Math.max(length, 2 * bytes.length)))
  larger.set(bytes)
  return larger
}

/** Bytes of the file under a block. */
export function fileSizeOf(block: Block): Result<number, 'not-a-file'> {
  if (codecOf(block.cid) !== DAG_PB) return accept(block.bytes.length)
  const parts = partsOf(block)
  return parts.ok ? accept(sumOf(parts.value)) : parts
}

/** Thrown where a tree of blocks is not a file, or promises other sizes than it has. */
export class NotAFile extends Error {
  override name = 'NotAFile'
}

type Source = (cid: Cid, limitBytes: number) => Promise<Bytes>

/**
 * The file's bytes from `offset` on, `length` of them, leaf by leaf. `block` must answer bytes that hash to the CID.
 * Only the blocks on the way are asked for, and each must hold what its parent says it does.
 *
 * @param ahead bytes of leaves to have asked for beyond the one that is waited for, asked anew at each: 0 on a disk of one's
 *   own; where every question is a journey, as many as fit the memory. A small leaf counts for more than it is.
 */
export async function* readFile(
  cid: Cid,
  offset: number,
  length: number,
  block: Source,
  ahead: () => number = () => 0,
): AsyncIterable<Bytes> {
  const leaves = leavesOf({ cid, sizeBytes: undefined }, offset, length, block, 0)[Symbol.asyncIterator]()
  const coming: { readonly leaf: Leaf; readonly bytes: Promise<Bytes> }[] = []
  for (;;) {
    while (coming.length === 0 || costOf(coming.slice(1).map(({ leaf }) => leaf)) < ahead()) {
      const next = await leaves.next()
      if (next.done) break
      const bytes = block(next.value.cid, BLOCK_BYTES_MAX)
      // Heard when its turn comes; whoever stopped reading before that does not want to know.
      bytes.catch(() => undefined)
      coming.push({ leaf: next.value, bytes })
    }
    const first = coming[0]
    if (!first) return
    const piece = pieceOf(first.leaf, await first.bytes)
    coming.shift()
    if (piece.length > 0) yield piece
  }
}

/** A leaf, and which of its bytes are wanted. */
type Leaf = Expected & { readonly offset: number; readonly length: number }
/** What its parent says of a block. A root has none. */
type Expected = { readonly cid: Cid; readonly sizeBytes: number | undefined }

/** The leaves that the range touches, in order. Inner nodes are asked for on the way. */
async function* leavesOf(
  expected: Expected,
  offset: number,
  length: number,
  block: Source,
  depth: number,
): AsyncIterable<Leaf> {
  const { cid } = expected
  if (depth > UNIXFS_DEPTH_MAX) throw new NotAFile(`a tree of more than ${UNIXFS_DEPTH_MAX} levels`)
  if (codecOf(cid) !== DAG_PB) return yield { ...expected, offset, length }
  const parts = partsOf({ cid, bytes: await block(cid, BLOCK_BYTES_MAX) })
  if (!parts.ok) throw new NotAFile(`${cid}: ${parts.detail ?? parts.refusal}`)
  checkSize(expected, sumOf(parts.value))
  let start = 0
  for (const part of parts.value) {
    const from = Math.max(offset - start, 0)
    const to = Math.min(offset + length - start, part.sizeBytes)
    if (from < to) yield* leavesOf(part, from, to - from, block, depth + 1)
    start += part.sizeBytes
  }
}

function pieceOf(leaf: Leaf, bytes: Bytes): Bytes {
  checkSize(leaf, bytes.length)
  return bytes.subarray(leaf.offset, leaf.offset + leaf.length)
}

function checkSize({ cid, sizeBytes }: Expected, holds: number): void {
  if (sizeBytes !== undefined && holds !== sizeBytes)
    throw new NotAFile(`${cid} holds ${holds} bytes, its parent says ${sizeBytes}`)
}

/** A question costs something too, so that a file of tiny leaves does not ask for all of them at once. */
function costOf(leaves: readonly Expected[]): number {
  return leaves.reduce((sum, { sizeBytes }) => sum + Math.max(sizeBytes ?? 0, BLOCK_BYTES_MAX / 2), 0)
}

function sumOf(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + part.sizeBytes, 0)
}
