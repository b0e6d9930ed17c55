import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { z } from 'zod'
import { type BlockCodec, checkCid, cidOfDigest, codecOf, DAG_CBOR, DAG_PB, digestOf, RAW } from '#protocol/cid.ts'
import { bytesField } from '#protocol/codec.ts'
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
  /** A block of a blob that is not whole, for so long. */
  | Part
export type Part = {
  readonly kind: 'part'
  readonly cid: Cid
  /** The blob's hash; any 32 bytes where it is not known yet. */
  readonly upload: Bytes
  readonly until: Millis
}

/** The node's bytes. @param space tells stores of one daemon apart, at most 8 characters */
export function holdBytes(space: string, hold: Hold): Bytes {
  const link = CID.parse(under(RAW, hold.cid))
  switch (hold.kind) {
    case 'block':
      return dagCbor.encode([NAME, space, hold.kind, link, codecOf(hold.cid)])
    case 'file':
      // The second link is the first one's block under `raw`, for whoever asks whether that is needed.
      return dagCbor.encode([NAME, space, hold.kind, link, CID.parse(hold.cid)])
    case 'part':
      return dagCbor.encode([NAME, space, hold.kind, link, codecOf(hold.cid), hold.upload, hold.until])
  }
}

/** Where the node lies. */
export function holdCid(space: string, hold: Hold): CID {
  return CID.createV1(DAG_CBOR, Digest.create(IDENTITY, holdBytes(space, hold)))
}

/** What a pinned CID holds for the space; undefined when it is somebody else's. */
export function holdIn(space: string, pinned: CID): Hold | undefined {
  if (pinned.code !== DAG_CBOR || pinned.multihash.code !== IDENTITY) return undefined
  try {
    const node = holdSchema.safeParse(dagCbor.decode(pinned.multihash.digest))
    return node.success && node.data.space === space ? node.data.hold : undefined
  } catch {
    return undefined
  }
}

/** The same bytes under another codec. */
export function under(codec: BlockCodec, cid: Cid): Cid {
  return cidOfDigest(codec, digestOf(cid))
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
const codec = z.literal([RAW, DAG_PB, DAG_CBOR])
const holdSchema = z.union([
  z
    .tuple([z.literal(NAME), z.string(), z.literal('block'), link, codec])
    .transform(([, space, kind, raw, codec]) => ({ space, hold: { kind, cid: cidOfDigest(codec, digestOf(raw)) } })),
  z
    .tuple([z.literal(NAME), z.string(), z.literal('file'), link, link])
    .transform(([, space, kind, , cid]) => ({ space, hold: { kind, cid } })),
  z
    .tuple([z.literal(NAME), z.string(), z.literal('part'), link, codec, bytesField(32), z.number()])
    .transform(([, space, kind, raw, codec, upload, until]) => ({
      ...{ space, hold: { kind, cid: cidOfDigest(codec, digestOf(raw)), upload, until } },
    })),
])
