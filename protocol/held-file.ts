import { cidOf, RAW } from './cid.ts'
import { extentOf, nodeOf } from './file-tree.ts'
import type { Bytes, Cid } from './ids.ts'
import { BLOCK_BYTES_MAX, UNIXFS_WIDTH } from './limits.ts'
import { BlobMissing, type BlobStore } from './ports.ts'

/** A file that is in memory anyway, as blocks: its leaves are looked up where they are, and there is no second copy. */
export function holdFile(bytes: Bytes): HeldFile {
  const blocks = new Map<Cid, Bytes>()
  const { height } = extentOf(bytes.length)
  let span = BLOCK_BYTES_MAX
  let level: Cid[] = []
  for (let at = 0; at === 0 || at < bytes.length; at += span) {
    const leaf = bytes.subarray(at, at + span)
    const cid = cidOf(RAW, leaf)
    blocks.set(cid, leaf)
    level.push(cid)
  }
  for (let above = 1; above <= height; above++) {
    const below = level
    level = []
    span *= UNIXFS_WIDTH
    for (let at = 0; at < below.length; at += UNIXFS_WIDTH) {
      const sizeBytes = Math.min(span, bytes.length - level.length * span)
      const node = nodeOf(below.slice(at, at + UNIXFS_WIDTH), { height: above, sizeBytes })
      blocks.set(node.cid, node.bytes)
      level.push(node.cid)
    }
  }
  return {
    cid: level[0] as Cid,
    async getBlock(cid) {
      const block = blocks.get(cid)
      if (!block) throw new BlobMissing(cid)
      return block
    },
  }
}

export type HeldFile = Pick<BlobStore, 'getBlock'> & { readonly cid: Cid }
