import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { z } from 'zod'
import { toHex } from '#protocol/bytes.ts'
import { checkCid, cidOfDigest, codecOf, DAG_CBOR, DAG_PB, digestOf, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'

/**
 * A pin of Kubo's has no owner: whoever unpins a CID unpins it for all. So what is kept is never pinned itself. What is
 * pinned is a *hold*: a small DAG-CBOR node that says whose it is and links to the block, and that lies in its own CID, by
 * the identity hash, so that it takes no block and anyone can read it off the list of pins (`ipfs dag get`).
 *
 * Kubo keeps blocks by their hash alone. A link under the codec `raw` therefore keeps any block, and nothing that the block
 * links to: so a manifest is kept without what it names, and a part without its siblings.
 */
export type Hold =
  /** One block, a blob by itself; its codec is what the raw link does not say. */
  | { readonly kind: 'block'; readonly cid: Cid }
  /** A file with all its blocks. Only for one that has them: Kubo's collector gives up where an inner node is missing. */
  | { readonly kind: 'file'; readonly cid: Cid }
  /** A block of an upload that is not whole. */
  | { readonly kind: 'part'; readonly upload: Bytes; readonly cid: Cid }
  /** How long an upload's parts are kept. */
  | { readonly kind: 'until'; readonly upload: Bytes; readonly until: Millis }

/** The node's bytes. @param space tells stores of one daemon apart, at most 16 characters */
export function holdBytes(space: string, hold: Hold): Bytes {
  switch (hold.kind) {
    case 'block':
      return dagCbor.encode([NAME, space, hold.kind, CID.parse(rawOf(hold.cid)), codecOf(hold.cid)])
    case 'file':
      return dagCbor.encode([NAME, space, hold.kind, CID.parse(hold.cid)])
    case 'part':
      return dagCbor.encode([NAME, space, hold.kind, CID.parse(rawOf(hold.cid)), hold.upload])
    case 'until':
      return dagCbor.encode([NAME, space, hold.kind, hold.until, hold.upload])
  }
}

/** Where the node lies. */
export function holdCid(space: string, hold: Hold): CID {
  return CID.createV1(DAG_CBOR, Digest.create(IDENTITY, holdBytes(space, hold)))
}

/** What a pinned CID holds for the space; undefined when it is somebody else's. A part's CID is that under `raw`. */
export function holdIn(space: string, pinned: CID): Hold | undefined {
  if (pinned.code !== DAG_CBOR || pinned.multihash.code !== IDENTITY) return undefined
  try {
    const node = holdSchema.safeParse(dagCbor.decode(pinned.multihash.digest))
    if (!node.success || node.data[1] !== space) return undefined
    const [, , kind, what, more] = node.data
    switch (kind) {
      case 'until':
        return { kind, until: what, upload: more }
      case 'part':
        return { kind, cid: what, upload: more }
      case 'file':
        return { kind, cid: what }
      case 'block':
        return { kind, cid: cidOfDigest(more, digestOf(what)) }
    }
  } catch {
    return undefined
  }
}

/** The same block under `raw`. */
export function rawOf(cid: Cid): Cid {
  return cidOfDigest(RAW, digestOf(cid))
}

/** An upload's name as a key of maps. */
export function uploadKey(upload: Bytes): string {
  return toHex(upload)
}

const NAME = 'consilium'
const IDENTITY = 0

const link = z
  .custom<CID>((value) => CID.asCID(value) !== null)
  .transform((cid, context) => {
    const checked = checkCid(cid)
    if (checked.ok) return checked.value
    context.addIssue('not a CID of ours')
    return z.NEVER
  })
const bytes = z.custom<Bytes>((value) => ArrayBuffer.isView(value))
const holdSchema = z.union([
  z.tuple([z.literal(NAME), z.string(), z.literal('block'), link, z.literal([RAW, DAG_PB, DAG_CBOR])]),
  z.tuple([z.literal(NAME), z.string(), z.literal('file'), link, z.undefined().optional()]),
  z.tuple([z.literal(NAME), z.string(), z.literal('part'), link, bytes]),
  z.tuple([z.literal(NAME), z.string(), z.literal('until'), z.number(), bytes]),
])
