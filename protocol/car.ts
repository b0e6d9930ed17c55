import * as dagCbor from '@ipld/dag-cbor'
import { varint } from 'multiformats'
import { CID } from 'multiformats/cid'
import { concat } from './bytes.ts'
import { codecOf, DAG_CBOR } from './cid.ts'
import { linksOf } from './codec.ts'
import type { Block } from './envelope.ts'
import type { Bytes, Cid } from './ids.ts'
import { partsOf } from './unixfs.ts'

/**
 * A bundle is a CARv1 with one root: its blocks depth-first from the root, each once, nothing unreachable, nothing after.
 * One record therefore has one file, and a reader that walks the root again accounts for every byte.
 */
export async function* walk(root: Cid, block: (cid: Cid) => Promise<Bytes>): AsyncIterable<Block> {
  const seen = new Set<Cid>()
  const ahead: Cid[] = [root]
  for (let cid = ahead.pop(); cid !== undefined; cid = ahead.pop()) {
    if (seen.has(cid)) continue
    seen.add(cid)
    const found = { cid, bytes: await block(cid) }
    yield found
    ahead.push(...linksFrom(found).toReversed())
  }
}

/** What a block names: manifests by their links, files by their parts. A dag-pb block that is no file names nothing. */
function linksFrom(block: Block): readonly Cid[] {
  if (codecOf(block.cid) === DAG_CBOR) return linksOf(block.bytes)
  const parts = partsOf(block)
  return parts.ok ? parts.value.map((part) => part.cid) : []
}

export function carHeader(root: Cid): Bytes {
  return lengthPrefixed(dagCbor.encode({ version: 1, roots: [CID.parse(root)] }))
}

export function carSection(block: Block): Bytes {
  return lengthPrefixed(CID.parse(block.cid).bytes, block.bytes)
}

/** The bytes of the CAR file under a root. */
export async function* carOf(root: Cid, block: (cid: Cid) => Promise<Bytes>): AsyncIterable<Bytes> {
  yield carHeader(root)
  for await (const found of walk(root, block)) yield carSection(found)
}

function lengthPrefixed(...parts: readonly Bytes[]): Bytes {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return concat(varint.encodeTo(length, new Uint8Array(varint.encodingLength(length))), ...parts)
}
