import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { sha256 } from '#crypto'
import { flatText } from './flat-text.ts'
import type { Bytes, Cid } from './ids.ts'
import { accept, type Result, refuse } from './result.ts'

/** multicodec numbers of the three block formats that we read. */
export const RAW = 0x55
export const DAG_PB = 0x70
export const DAG_CBOR = 0x71
export type BlockCodec = typeof RAW | typeof DAG_PB | typeof DAG_CBOR

const SHA2_256 = 0x12

export function cidOf(codec: BlockCodec, block: Bytes): Cid {
  return cidOfDigest(codec, sha256(block))
}

/** @param digest SHA-256 of the block, 32 bytes */
export function cidOfDigest(codec: BlockCodec, digest: Bytes): Cid {
  return textOf(CID.createV1(codec, Digest.create(SHA2_256, digest)))
}

export function textOf(cid: CID): Cid {
  return flatText(cid.toString() as string as Cid)
}

/** Any text from outside. Only what this project writes is read: CIDv1, base32, SHA-256; raw, dag-pb or dag-cbor. */
export function parseCid(text: string): Result<Cid, 'bad-cid'> {
  if (!/^b[a-z2-7]{58}$/.test(text)) return refuse('bad-cid', 'a CID here is CIDv1 in base32 with a SHA-256')
  try {
    return checkCid(CID.parse(text))
  } catch {
    return refuse('bad-cid', 'not a CID')
  }
}

export function checkCid(cid: CID): Result<Cid, 'bad-cid'> {
  if (cid.version !== 1 || cid.multihash.code !== SHA2_256 || cid.multihash.size !== 32)
    return refuse('bad-cid', 'only CIDv1 with SHA-256')
  if (cid.code !== RAW && cid.code !== DAG_PB && cid.code !== DAG_CBOR)
    return refuse('bad-cid', 'only raw, dag-pb and dag-cbor')
  return accept(textOf(cid))
}

export function codecOf(cid: Cid): BlockCodec {
  return CID.parse(cid).code as BlockCodec
}

/** @returns the 32 bytes of its SHA-256 */
export function digestOf(cid: Cid): Bytes {
  return CID.parse(cid).multihash.digest
}
