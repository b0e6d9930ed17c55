import * as dagCbor from '@ipld/dag-cbor'
import { varint } from 'multiformats'
import { CID } from 'multiformats/cid'
import { concat } from './bytes.ts'
import { codecOf, DAG_CBOR } from './cid.ts'
import { linksOf } from './codec.ts'
import type { Block } from './envelope.ts'
import { partsOf } from './file-node.ts'
import type { Bytes, Cid } from './ids.ts'
import { LINKS_AHEAD_MAX } from './limits.ts'

/** A block that another one names. `as` is what that one says that it is, where whoever walks asks for it. */
export type Link<As = never> = { readonly cid: Cid; readonly as?: As }

/** Which way a walk goes. */
export type Course<As> = {
  /** What a block names, in order. `as` is what the link by which the walk came says that it is. */
  links(block: Block, as: As | undefined): readonly Link<As>[]
  /** Asked of each link whose turn has come, unless its block was told before. */
  takes(link: Link<As>): boolean | Promise<boolean>
}

/** Thrown where a manifest cannot be read, or more than {@link LINKS_AHEAD_MAX} links wait. */
export class Unwalkable extends Error {
  override name = 'Unwalkable'
}

/** Blocks depth first from the root, each once. Without a course: everything that is named. */
export async function* walk<As>(
  root: Cid,
  block: (cid: Cid) => Promise<Bytes>,
  course?: Course<As>,
): AsyncIterable<Block> {
  const seen = new Set<Cid>()
  const ahead: Link<As>[] = [{ cid: root }]
  for (let link = ahead.pop(); link !== undefined; link = ahead.pop()) {
    const { cid, as } = link
    if (seen.has(cid) || (course && !(await course.takes(link)))) continue
    seen.add(cid)
    const found = { cid, bytes: await block(cid) }
    yield found
    for (const next of readLinks(found, as, course).toReversed()) ahead.push(next)
    if (ahead.length > LINKS_AHEAD_MAX) throw new Unwalkable(`more than ${LINKS_AHEAD_MAX} links wait after ${cid}`)
  }
}

function readLinks<As>(found: Block, as: As | undefined, course: Course<As> | undefined): readonly Link<As>[] {
  try {
    return course ? course.links(found, as) : linksFrom(found).map((cid) => ({ cid }))
  } catch (cause) {
    throw new Unwalkable(`${found.cid} is a manifest that cannot be read`, { cause })
  }
}

/** What a block names: manifests by their links, files by their parts. A dag-pb block that is no file names nothing. */
function linksFrom(block: Block): readonly Cid[] {
  return codecOf(block.cid) === DAG_CBOR ? linksOf(block.bytes) : partNames(block)
}

export function partNames(block: Block): readonly Cid[] {
  const parts = partsOf(block)
  return parts.ok ? parts.value.map((part) => part.cid) : []
}

export function carHeader(root: Cid): Bytes {
  return lengthPrefixed(dagCbor.encode({ version: 1, roots: [CID.parse(root)] }))
}

export function carSection(block: Block): Bytes {
  return lengthPrefixed(CID.parse(block.cid).bytes, block.bytes)
}

function lengthPrefixed(...parts: readonly Bytes[]): Bytes {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return concat(varint.encodeTo(length, new Uint8Array(varint.encodingLength(length))), ...parts)
}
