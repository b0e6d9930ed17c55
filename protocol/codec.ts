import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { z } from 'zod'
import { equalBytes, ownOf } from './bytes.ts'
import { checkCid, textOf } from './cid.ts'
import {
  type Amount,
  type Bytes,
  type Cid,
  type FederationId,
  type NodeId,
  nodeIdOf,
  parseFederationId,
  parseRunId,
  publicKeyOf,
  type RunId,
} from './ids.ts'
import { NAME_CHARS_MAX, REASON_CHARS_MAX } from './limits.ts'
import { accept, type Result, refuse } from './result.ts'

/**
 * Canonical DAG-CBOR for everything that is signed or addressed. One value has one encoding: `decode` encodes again
 * and compares, because the library reads unsorted maps, long integers and duplicate keys. Schemas admit no floats.
 */
export type DecodeRefusal = 'too-large' | 'malformed' | 'not-canonical' | 'wrong-shape'

/** @returns memory of its own: in Node the library answers a part of a pool, and whoever keeps that keeps the pool */
export function encode<S extends z.ZodType>(schema: S, value: z.output<S>): Bytes {
  return ownOf(dagCbor.encode(z.encode(schema, value)))
}

export function decode<S extends z.ZodType>(
  schema: S,
  bytes: Bytes,
  limitBytes: number,
): Result<z.output<S>, DecodeRefusal> {
  if (bytes.length > limitBytes) return refuse('too-large', `${bytes.length} bytes, at most ${limitBytes}`)
  let value: unknown
  try {
    value = dagCbor.decode(bytes)
    if (!equalBytes(dagCbor.encode(value), bytes)) return refuse('not-canonical', 'another encoding of the same value')
  } catch (cause) {
    return refuse('malformed', cause instanceof Error ? cause.message.slice(0, REASON_CHARS_MAX) : 'not DAG-CBOR')
  }
  return shape(schema, value)
}

function shape<S extends z.ZodType>(schema: S, value: unknown): Result<z.output<S>, 'wrong-shape'> {
  try {
    const shaped = schema.safeDecode(value as z.input<S>)
    if (shaped.success) return accept(shaped.data)
    return refuse('wrong-shape', z.prettifyError(shaped.error).slice(0, REASON_CHARS_MAX))
  } catch (cause) {
    // What is to be read only is frozen by the library also where it is no list at all, and bytes cannot be.
    if (cause instanceof TypeError) return refuse('wrong-shape', 'bytes where a list is due')
    throw cause
  }
}

/** The links of any DAG-CBOR block, in the order of their encoding. */
export function linksOf(block: Bytes): readonly Cid[] {
  return fieldLinksOf(block).map(({ cid }) => cid)
}

/** The same, each with the field of the block that it is in, or deeper within; none where the block is no map. */
export function fieldLinksOf(block: Bytes): readonly { readonly cid: Cid; readonly field: string | undefined }[] {
  const found: { cid: Cid; field: string | undefined }[] = []
  const look = (value: unknown, field: string | undefined): void => {
    const cid = CID.asCID(value)
    if (cid) found.push({ cid: textOf(cid), field })
    else if (Array.isArray(value)) for (const item of value) look(item, field)
    else if (isMap(value)) for (const item of Object.values(value)) look(item, field)
  }
  const top: unknown = dagCbor.decode(block)
  if (CID.asCID(top) || !isMap(top)) look(top, undefined)
  else for (const [field, value] of Object.entries(top)) look(value, field)
  return found
}

function isMap(value: unknown): value is object {
  return value !== null && typeof value === 'object' && !Array.isArray(value) && !isBytes(value)
}

/** Not `instanceof`: arrays that crossed a worker or a test's realm are of another class. */
export function isBytes(value: unknown): value is Bytes {
  return Object.prototype.toString.call(value) === '[object Uint8Array]'
}

export function bytesField(lengthBytes: number) {
  return z.custom<Bytes>((value) => isBytes(value) && value.length === lengthBytes, `${lengthBytes} bytes`)
}

export const nodeIdField = z.codec(bytesField(32), z.custom<NodeId>(), { decode: nodeIdOf, encode: publicKeyOf })

export const cidField = z.codec(
  z.custom<CID>((value) => CID.asCID(value) !== null, 'a link'),
  // A field that may be left out is tried as undefined, too: without a check here, encoding would run on that.
  z.custom<Cid>((value) => typeof value === 'string', 'a CID'),
  {
    decode: (link, context) => {
      const checked = checkCid(link)
      if (checked.ok) return checked.value
      context.issues.push({ code: 'custom', message: checked.detail ?? checked.refusal, input: String(link) })
      return z.NEVER
    },
    encode: (cid) => CID.parse(cid),
  },
)

export const runIdField = z.custom<RunId>((value) => typeof value === 'string' && parseRunId(value).ok, 'a run id')

export const federationIdField = z.custom<FederationId>(
  (value) => typeof value === 'string' && parseFederationId(value).ok,
  'a federation id',
)

/** Micro-credits as a decimal text: CBOR integers above 2^53 - 1 are not portable. */
export const amountField = z.codec(z.string().regex(/^(0|[1-9][0-9]{0,29})$/), z.custom<Amount>(), {
  decode: (text) => BigInt(text),
  encode: (amount) => amount.toString(),
})

/** Half a surrogate pair would be another character once it is encoded, and two names could become one. */
export const nameField = z
  .string()
  .min(1)
  .max(NAME_CHARS_MAX)
  .refine((name) => name.isWellFormed(), 'is not Unicode')
/** A reason by its name, as refusals have: a node's goes into records, whose size it must not choose, and to terminals. */
export const reasonName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/)
/** Who runs nodes, by the name that the coordinator's list has for it. Never mistaken for a node's id, which has capitals. */
export const operatorField = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/)
export const reasonField = z.string().max(REASON_CHARS_MAX)
export const count = (max: number, min = 0) => z.int().min(min).max(max)
export const millisField = z.int().min(0)
