import { z } from 'zod'
import { sha256 } from '#crypto'
import {
  bytesField,
  cidField,
  count,
  type DecodeRefusal,
  decode,
  encode,
  millisField,
  nodeIdField,
} from '#protocol/codec.ts'
import { type Signed, type Signer, sealOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import {
  BLOCK_BYTES_MAX,
  COHORT_MAX,
  PARAMETERS_MAX,
  REASON_CHARS_MAX,
  ROUNDS_MAX,
  SCORE_LANES_MAX,
  SESSION_MEMBERS_MAX,
  SESSION_MEMBERS_MIN,
  WEIGHT_MAX,
} from '#protocol/limits.ts'
import { publishField, quantiserSchema } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'

/**
 * Everything that is said in a session of `secagg/1`, field for field as docs/protocol.md has it. Short names are the
 * wire's: `sid` is the session, `u` and `v` are members' indices from 1, `C`, `q` and `t` the thresholds. A field that may
 * be absent is left out, never null.
 */

/** Members of one complete graph. */
export const MEMBERS_MAX = SESSION_MEMBERS_MAX
export const MEMBERS_MIN = SESSION_MEMBERS_MIN
/** A roster may be tried so often; more would let a coordinator grind its groups. */
const ATTEMPTS_MAX = 16

export const SUITE_X25519 = 1
/** X25519 and ML-KEM-768: what is recorded today stays closed to a quantum computer tomorrow. */
export const SUITE_HYBRID = 2
export type Suite = typeof SUITE_X25519 | typeof SUITE_HYBRID

export const BOX_BYTES = 94
export const KEM_KEY_BYTES = 1184
export const KEM_CIPHERTEXT_BYTES = 1088

const hash = bytesField(32)
const index = count(MEMBERS_MAX, 1)
const suite = z.union([z.literal(SUITE_X25519), z.literal(SUITE_HYBRID)])

function listOf<S extends z.ZodType>(item: S) {
  return z.array(item).max(MEMBERS_MAX).readonly()
}

const paramsSchema = z.strictObject({
  laneBits: z.literal(32),
  /** Payload lanes: parameters of the model and scores of the task; header, evaluation, padding and check lanes come on top (the vector's layout). */
  d: count(PARAMETERS_MAX + SCORE_LANES_MAX),
  quantiser: quantiserSchema,
  /** Corrupt members tolerated, of the whole population. */
  C: count(MEMBERS_MAX, 1),
  /** Signatures of a certificate, and members it needs. */
  q: count(MEMBERS_MAX, 1),
  /** Shares that reconstruct a secret. */
  t: count(MEMBERS_MAX, 1),
  /** Neighbours of a survivor that survive with it. */
  live: count(MEMBERS_MAX, 1),
  /** Variance of the noise that each member adds, in steps²; 0 for none. */
  s2: count(2 ** 18),
})
export type Params = z.output<typeof paramsSchema>

export const bodies = {
  Advert: z.strictObject({
    v: z.literal(1),
    suite,
    task: cidField,
    round: count(ROUNDS_MAX, 1),
    /** Grows per node: adverts are published ahead, and each is for one session. */
    seq: count(Number.MAX_SAFE_INTEGER),
    id: nodeIdField,
    cPk: hash,
    sPk: hash,
    cKemPk: bytesField(KEM_KEY_BYTES).exactOptional(),
    sKemPk: bytesField(KEM_KEY_BYTES).exactOptional(),
    bCommit: hash,
    /** The public weight; 1 when it is left out. */
    w: count(WEIGHT_MAX, 2).exactOptional(),
    exp: millisField,
  }),
  Roster: z.strictObject({
    v: z.literal(1),
    suite,
    task: cidField,
    round: count(ROUNDS_MAX, 1),
    attempt: count(ATTEMPTS_MAX, 1),
    publish: publishField,
    modelCid: cidField,
    /** The sealed plan. */
    specCid: cidField,
    prevBundle: cidField.exactOptional(),
    /** The pinned allow-list's block; an open population has none. */
    allowCid: cidField.exactOptional(),
    graph: z.strictObject({ kind: z.literal('complete') }),
    population: cidField.exactOptional(),
    group: count(COHORT_MAX).exactOptional(),
    params: paramsSchema,
    /** When ShareKeys, MaskedInput, Confirm and Unmask are due. */
    deadlines: z.tuple([millisField, millisField, millisField, millisField]).readonly(),
    members: z
      .array(z.strictObject({ id: nodeIdField, advert: cidField }))
      .min(MEMBERS_MIN)
      .max(MEMBERS_MAX)
      .readonly(),
  }),
  ShareKeys: z.strictObject({
    sid: hash,
    u: index,
    to: listOf(z.strictObject({ v: index, hBox: hash, hR: hash, hS: hash, hM: hash.exactOptional() })),
  }),
  Shared: z.strictObject({ sid: hash, ver: count(2, 1), list: listOf(z.strictObject({ u: index, cid: cidField })) }),
  MaskedInput: z.strictObject({
    sid: hash,
    u: index,
    u2Hash: hash,
    /** The masked vector, a file; its bytes are named again by their hash. Left out where only the hash is published. */
    cid: cidField.exactOptional(),
    bytes: count(Number.MAX_SAFE_INTEGER),
    sha256: hash,
  }),
  Survivors: z.strictObject({ sid: hash, u2Hash: hash, list: listOf(z.strictObject({ u: index, cid: cidField })) }),
  Confirm: z.strictObject({ sid: hash, u: index, u3Hash: hash }),
  Abandon: z.strictObject({ sid: hash, u: index, confirmed: z.boolean() }),
  QuorumCert: z.strictObject({
    sid: hash,
    u3Hash: hash,
    sigs: listOf(z.strictObject({ u: index, sig: bytesField(64) })),
  }),
  Unmask: z.strictObject({
    sid: hash,
    u: index,
    u3Hash: hash,
    self: hash,
    bShares: listOf(z.strictObject({ u: index, share: hash })),
    rootShares: listOf(z.strictObject({ u: index, share: hash })),
  }),
  Result: z.strictObject({
    sid: hash,
    u3Hash: hash,
    selfSeeds: listOf(z.strictObject({ u: index, b: hash })),
    roots: listOf(z.strictObject({ u: index, maskRoot: hash })),
    sumCid: cidField,
    sumSha256: hash,
    model: cidField,
    verifier: z.string().max(REASON_CHARS_MAX),
  }),
  Verified: z.strictObject({ bundle: cidField, model: cidField }),
  Complaint: z.strictObject({
    sid: hash,
    u: index,
    v: index,
    cid: cidField,
    code: z.enum(['box', 'plaintext', 'share-hash']),
  }),
  Abort: z.strictObject({ sid: hash, reason: z.string().max(REASON_CHARS_MAX) }),
} as const

/** What travels unsigned, because a `ShareKeys` holds its hash. A box goes to its addressee only (R16). */
export const boxSchema = z.strictObject({
  sid: hash,
  u: index,
  v: index,
  box: bytesField(BOX_BYTES),
  cKemCt: bytesField(KEM_CIPHERTEXT_BYTES).exactOptional(),
})
export const maskCtSchema = z.strictObject({ sid: hash, u: index, v: index, ct: bytesField(KEM_CIPHERTEXT_BYTES) })
/** What a record publishes of one survivor's ciphertexts: those to higher dropouts, ascending. */
export const maskCtListSchema = z.array(maskCtSchema).min(1).max(MEMBERS_MAX).readonly()
/** What one member sends to all, or gets from all, in one blob. */
export const parcelSchema = z.strictObject({ boxes: listOf(boxSchema), maskCts: listOf(maskCtSchema) })

export type Kind = keyof typeof bodies
export type Body<K extends Kind> = z.output<(typeof bodies)[K]>
export type Box = z.output<typeof boxSchema>
export type MaskCt = z.output<typeof maskCtSchema>
export type Parcel = z.output<typeof parcelSchema>

declare const heard: unique symbol
/** A message whose signature and shape were checked. Its meaning was not. */
export type Said<K extends Kind> = {
  readonly kind: K
  readonly from: NodeId
  readonly body: Body<K>
  /** SHA-256 of the body's bytes: what `u2Hash`, `u3Hash` and `sid` are made of. */
  readonly hash: Bytes
  /** Of the message's seal: what lists and rosters name. */
  readonly cid: Cid
  /** The exact bytes, to keep and to send again. */
  readonly signed: Signed
  readonly [heard]: true
}

export function say<K extends Kind>(signer: Signer, kind: K, body: Body<K>): Said<K> {
  return saidOf(kind, signer.sign(kind, bodyBytes(kind, body)), body)
}

/** @param signed by `open` or `unseal`, which have checked the signature */
export function hear<K extends Kind>(kind: K, signed: Signed): Result<Said<K>, 'wrong-type' | DecodeRefusal> {
  if (signed.type !== kind) return refuse('wrong-type', `a ${signed.type}, not a ${kind}`)
  const body = decode(bodies[kind] as z.ZodType, signed.body, BLOCK_BYTES_MAX)
  return body.ok ? accept(saidOf(kind, signed, body.value as Body<K>)) : body
}

/** The bytes that are signed. */
export function bodyBytes<K extends Kind>(kind: K, body: Body<K>): Bytes {
  return encode(bodies[kind] as z.ZodType, body)
}

/** What came along in the frame stays behind: a message is what was signed. */
function saidOf<K extends Kind>(kind: K, { from, type, body: bytes, signature }: Signed, body: Body<K>): Said<K> {
  const signed = { from, type, body: bytes, signature }
  const said = { kind, from, body, hash: sha256(bytes), cid: sealOf(signed).seal.cid, signed }
  return said as Omit<Said<K>, typeof heard> as Said<K>
}
