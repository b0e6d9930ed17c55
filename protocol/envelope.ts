import { z } from 'zod'
import { publicKey, sha256, sign, verify } from '#crypto'
import { concat, utf8 } from './bytes.ts'
import type { CheckedSeals } from './checked-seals.ts'
import { cidOf, cidOfDigest, codecOf, DAG_CBOR } from './cid.ts'
import { bytesField, cidField, type DecodeRefusal, decode, encode, isBytes, nodeIdField } from './codec.ts'
import { type Bytes, type Cid, type NodeId, nodeIdOf, publicKeyOf } from './ids.ts'
import { ATTACHED_BLOCKS_MAX, ATTACHED_BYTES_MAX, BLOCK_BYTES_MAX } from './limits.ts'
import { accept, type Result, refuse } from './result.ts'

/**
 * Who said it. On the wire an envelope is DAG-CBOR `{a: blocks, b: body bytes, f: sender's key, s: signature, t: type}`;
 * kept, it is two blocks: the body under its own CID, and a seal `{b: link to the body, f, s, t}`. The signature covers
 * `domain 00 t 00 SHA-256(body)`, and the body's CID holds that same hash, so both forms have one signature. The type
 * says the domain: the types of secure aggregation are of "secagg/1 sig", every other is of "consilium/1 sig".
 *
 * `a` holds small blocks that the reader would ask for next, so that it need not: `{c: CID, d: bytes}` each. Nothing but
 * their hashes vouches for them. They are worth what their CIDs are worth to the reader, as if it had fetched them.
 */
const DOMAIN = utf8('consilium/1 sig\0')
const SECAGG_DOMAIN = utf8('secagg/1 sig\0')

/** Capitalised, as their specification has them; no type of ours can be spelt like one. */
const SECAGG_TYPE =
  /^(Advert|Roster|ShareKeys|Shared|MaskedInput|Survivors|Confirm|Abandon|QuorumCert|Unmask|Result|Verified|Complaint|Abort)$/
const OWN_TYPE = /^[a-z][a-z-]{0,31}$/

const typeField = z.string().refine((type) => OWN_TYPE.test(type) || SECAGG_TYPE.test(type), 'a message type')
const signature = { f: nodeIdField, s: bytesField(64), t: typeField }
const anyBytes = z.custom<Bytes>(isBytes, 'bytes')
const attached = z
  .array(z.strictObject({ c: cidField, d: anyBytes }))
  .max(ATTACHED_BLOCKS_MAX)
  .readonly()
const envelopeSchema = z.strictObject({ a: attached, b: anyBytes, ...signature })
const sealSchema = z.strictObject({ b: cidField, ...signature })

/** What a signed object says, before its meaning is looked at. `body` is the exact signed bytes. */
export type Signed = { readonly from: NodeId; readonly type: string; readonly body: Bytes; readonly signature: Bytes }
/** A signed object as it was heard, with the blocks that came along; each hashes to its CID. */
export type Heard = Signed & { readonly attached: readonly Block[] }
export type OpenRefusal = DecodeRefusal | 'bad-signature'

/** Who can sign: a secret key and the id it stands for. The key never leaves this object. */
export type Signer = { readonly id: NodeId; sign(type: string, body: Bytes): Signed }

/** @param secretKey the 32-byte seed of RFC 8032 */
export function signerOf(secretKey: Bytes): Signer {
  const id = nodeIdOf(publicKey(secretKey))
  return {
    id,
    sign: (type, body) => ({ from: id, type, body, signature: sign(secretKey, signedBytes(type, sha256(body))) }),
  }
}

/** The wire form, with as many of the blocks, in their order, as there is room for. */
export function frameOf(signed: Signed, blocks: readonly Block[] = []): Bytes {
  const a = fitInFrame(blocks).map(({ cid, bytes }) => ({ c: cid, d: bytes }))
  return encode(envelopeSchema, { a, b: signed.body, f: signed.from, s: signed.signature, t: signed.type })
}

/** Opens a frame: bounded, canonical, signed, every block as named. Nothing in it has meaning before this succeeds. */
export function open(frame: Bytes, limitBytes: number): Result<Heard, OpenRefusal | 'wrong-block'> {
  const envelope = decode(envelopeSchema, frame, limitBytes)
  if (!envelope.ok) return envelope
  const { a, b, f, s, t } = envelope.value
  const signed = { from: f, type: t, body: b, signature: s }
  if (!isGenuine(signed)) return refuse('bad-signature')
  const wrong = a.find(({ c, d }) => cidOf(codecOf(c), d) !== c)
  if (wrong) return refuse('wrong-block', `these are not the bytes of ${wrong.c}`)
  return accept({ ...signed, attached: a.map(({ c, d }) => ({ cid: c, bytes: d })) })
}

/** Those of the blocks, in their order, that find room beside one message. */
export function fitInFrame(blocks: readonly Block[]): readonly Block[] {
  let left = ATTACHED_BYTES_MAX
  const fitting = blocks.filter(({ bytes }) => {
    const size = bytes.length + ATTACHED_EXTRA_BYTES
    if (size > left) return false
    left -= size
    return true
  })
  return fitting.slice(0, ATTACHED_BLOCKS_MAX)
}

/** A link of 41 bytes, two keys, a map head and the longest head of bytes. */
export const ATTACHED_EXTRA_BYTES = 56

/** Whether a block of this many bytes finds room in a frame by itself. */
export function isAttachable(sizeBytes: number): boolean {
  return sizeBytes + ATTACHED_EXTRA_BYTES <= ATTACHED_BYTES_MAX
}

export type Block = { readonly cid: Cid; readonly bytes: Bytes }

/** The kept form: the seal's block, whose CID names the signed object, and the body's. */
export function sealOf(signed: Signed): { readonly seal: Block; readonly body: Block } {
  const body = { cid: cidOf(DAG_CBOR, signed.body), bytes: signed.body }
  const bytes = encode(sealSchema, { b: body.cid, f: signed.from, s: signed.signature, t: signed.type })
  return { seal: { cid: cidOf(DAG_CBOR, bytes), bytes }, body }
}

/** What a block seals, by its type and the body it names; undefined where it is no seal. Nothing of it is checked. */
export function sealIn(block: Bytes): { readonly type: string; readonly body: Cid } | undefined {
  if (block.length > SEAL_BYTES_MAX) return undefined
  const read = decode(sealSchema, block, SEAL_BYTES_MAX)
  return read.ok ? { type: read.value.t, body: read.value.b } : undefined
}

/** A link of 41 bytes, a key, a signature and the longest type, with the heads of all of them. */
const SEAL_BYTES_MAX = 192

/**
 * Opens a kept object from its two blocks; the caller has checked that each block hashes to its CID.
 *
 * @param checked for who reads the same objects again: those in it have their signature checked no more
 */
export async function unseal(
  seal: Bytes,
  block: (cid: Cid) => Promise<Bytes>,
  checked?: CheckedSeals,
): Promise<Result<Signed, OpenRefusal>> {
  const read = decode(sealSchema, seal, BLOCK_BYTES_MAX)
  if (!read.ok) return read
  const { b, f, s, t } = read.value
  const body = await block(b)
  const digest = sha256(body)
  if (cidOfDigest(DAG_CBOR, digest) !== b) return refuse('malformed', 'the body is not the block that the seal names')
  const signed = { from: f, type: t, body, signature: s }
  if (!checked) return isGenuine(signed) ? accept(signed) : refuse('bad-signature')
  const cid = cidOf(DAG_CBOR, seal)
  if (checked.has(cid)) return accept(signed)
  if (!isGenuine(signed)) return refuse('bad-signature')
  checked.keep(cid)
  return accept(signed)
}

/** Whether the sender signed this body under this type: for a signature that travels apart from what it signs. */
export function isGenuine({ from, type, body, signature }: Signed): boolean {
  return verify(publicKeyOf(from), signedBytes(type, sha256(body)), signature)
}

function signedBytes(type: string, digest: Bytes): Bytes {
  return concat(SECAGG_TYPE.test(type) ? SECAGG_DOMAIN : DOMAIN, utf8(type), Uint8Array.of(0), digest)
}
