import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { importByteStream } from 'ipfs-unixfs-importer'
import { concat } from './bytes.ts'
import { checkCid, codecOf, DAG_CBOR, DAG_PB, textOf } from './cid.ts'
import type { Block } from './envelope.ts'
import type { Bytes, Cid } from './ids.ts'
import { BLOCK_BYTES_MAX, UNIXFS_DEPTH_MAX, UNIXFS_WIDTH } from './limits.ts'
import { accept, type Result, refuse } from './result.ts'

/**
 * Files as blocks, by the UnixFS profile unixfs-v1-2025 (IPIP-499): raw leaves of 1 MiB, 1,024 links a node, balanced;
 * a file of up to 1 MiB is one raw block. One file has one CID, whoever adds it.
 */

/** Cuts a file into blocks and hands each to `keep`, leaves before their parents. @returns the file's CID */
export async function importFile(source: AsyncIterable<Bytes>, keep: (block: Block) => Promise<void>): Promise<Cid> {
  const { cid } = await importByteStream(
    source,
    {
      put: async (cid, block) => {
        await keep({ cid: textOf(cid), bytes: await whole(block) })
        return cid
      },
    },
    // Four blocks in flight, not the library's ten: a store takes many uploads at once, and this bounds each one's memory.
    { profile: 'unixfs-v1-2025', blockWriteConcurrency: 4 },
  )
  return textOf(cid)
}

/** A part of a file: a block's CID and the bytes of the file under it. */
export type Part = { readonly cid: Cid; readonly sizeBytes: number }

/** The parts that a block of a file names, in order; none for a leaf. */
export function partsOf(block: Block): Result<readonly Part[], 'not-a-file'> {
  if (codecOf(block.cid) !== DAG_PB) return accept([])
  try {
    const node = dagPb.decode(block.bytes)
    const file = UnixFS.unmarshal(node.Data ?? new Uint8Array(0))
    const inner = file.type === 'file' && (file.data === undefined || file.data.length === 0)
    if (!inner || node.Links.length === 0 || node.Links.length > UNIXFS_WIDTH) return refuse('not-a-file')
    if (file.blockSizes.length !== node.Links.length) return refuse('not-a-file', 'sizes and links differ in number')
    const parts: Part[] = []
    for (const [index, link] of node.Links.entries()) {
      const cid = checkCid(link.Hash)
      const size = file.blockSizes[index] as bigint
      if (!cid.ok || codecOf(cid.value) === DAG_CBOR || size > BigInt(Number.MAX_SAFE_INTEGER))
        return refuse('not-a-file', 'a link that is not ours')
      parts.push({ cid: cid.value, sizeBytes: Number(size) })
    }
    return accept(parts)
  } catch {
    return refuse('not-a-file', 'not UnixFS')
  }
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

async function whole(bytes: Uint8Array | Iterable<Bytes> | AsyncIterable<Bytes>): Promise<Bytes> {
  if (ArrayBuffer.isView(bytes)) return bytes as Bytes
  const parts: Bytes[] = []
  for await (const part of bytes) parts.push(part)
  return concat(...parts)
}
