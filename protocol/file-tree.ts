import { CID } from 'multiformats/cid'
import { equalBytes } from './bytes.ts'
import { cidOf, codecOf, DAG_PB, RAW } from './cid.ts'
import type { Block } from './envelope.ts'
import { encodeFileNode, type Part, partsOf } from './file-node.ts'
import type { Bytes, Cid } from './ids.ts'
import { BLOCK_BYTES_MAX, UNIXFS_WIDTH } from './limits.ts'
import { accept, type Result, refuse } from './result.ts'

/**
 * The shape that the profile gives a file: it follows from the file's size alone, so that whoever is sent a file block by
 * block knows of each, before it comes, what it is and how large, and a file of n bytes has no more blocks than it must.
 */

/** What a node stands for: so many bytes of the file, so many levels above its leaves. A leaf's height is 0. */
export type Extent = { readonly height: number; readonly sizeBytes: number }
export type FilePart = Part & Extent

/** Of the whole file: where its root is. */
export function extentOf(sizeBytes: number): Extent {
  let height = 0
  while (spanOf(height) < sizeBytes) height++
  return { height, sizeBytes }
}

/** The parts of a node, if it is, byte for byte, the one that the profile makes of such an extent; none of a leaf. */
export function filePartsOf(block: Block, extent: Extent): Result<readonly FilePart[], 'not-a-file'> {
  const { height, sizeBytes } = extent
  if (codecOf(block.cid) !== codecAt(height)) return refuse('not-a-file', 'a leaf and a node are not the same')
  if (height === 0) return block.bytes.length === sizeBytes ? accept([]) : refuse('not-a-file', 'of another size')
  const parts = partsOf(block)
  if (!parts.ok) return parts
  const extents = extentsUnder(extent)
  if (parts.value.length !== extents.length) return refuse('not-a-file', `${extents.length} parts make it`)
  const found = extents.map((part, index) => ({ ...part, cid: (parts.value[index] as Part).cid }))
  if (found.some((part) => codecOf(part.cid) !== codecAt(part.height))) return refuse('not-a-file', 'uneven')
  const due = nodeOf(
    found.map(({ cid }) => cid),
    extent,
  )
  return equalBytes(due.bytes, block.bytes) ? accept(found) : refuse('not-a-file', 'not as the profile makes it')
}

/** The node over these parts. */
export function nodeOf(parts: readonly Cid[], extent: Extent): Block {
  const bytes = encodeNode(
    parts.map((cid) => CID.parse(cid)),
    extent,
  )
  return { cid: cidOf(DAG_PB, bytes), bytes }
}

function encodeNode(parts: readonly CID[], extent: Extent): Bytes {
  const extents = extentsUnder(extent)
  const weights = new Map<number, number>()
  return encodeFileNode(
    extents.map((part, index) => {
      const { sizeBytes } = part
      const weightBytes = weights.get(sizeBytes) ?? weightOf(part)
      weights.set(sizeBytes, weightBytes)
      return { cid: parts[index] as CID, sizeBytes, weightBytes }
    }),
  )
}

/** Bytes of all the blocks under it: what a link says besides. Every CID is as long as every other. */
function weightOf(extent: Extent): number {
  if (extent.height === 0) return extent.sizeBytes
  const extents = extentsUnder(extent)
  const [first, last] = [extents[0], extents.at(-1)] as [Extent, Extent]
  const own = encodeNode(
    extents.map(() => ANY),
    extent,
  ).length
  return own + (extents.length - 1) * weightOf(first) + weightOf(last)
}

/** All as full as they can be, but for the last. */
function extentsUnder({ height, sizeBytes }: Extent): readonly Extent[] {
  const span = spanOf(height - 1)
  return Array.from({ length: Math.ceil(sizeBytes / span) }, (_, index) => ({
    ...{ height: height - 1, sizeBytes: Math.min(span, sizeBytes - index * span) },
  }))
}

/** The most bytes of a file that are under a node. */
function spanOf(height: number): number {
  return BLOCK_BYTES_MAX * UNIXFS_WIDTH ** height
}

function codecAt(height: number): typeof RAW | typeof DAG_PB {
  return height === 0 ? RAW : DAG_PB
}

const ANY = CID.parse(cidOf(RAW, new Uint8Array(0)))
