import { z } from 'zod'
import { capabilityFields } from './capability.ts'
import {
  bytesField,
  cidField,
  count,
  type DecodeRefusal,
  decode,
  encode,
  millisField,
  nodeIdField,
  reasonField,
  reasonName,
  runIdField,
} from './codec.ts'
import { type Block, frameOf, type Signed, type Signer } from './envelope.ts'
import type { Bytes } from './ids.ts'
import {
  COHORT_MAX,
  COMPLAINTS_MAX,
  FRAME_BYTES_MAX,
  PARCEL_PARTS_MAX,
  PHASE_MILLIS_MAX,
  ROUNDS_MAX,
  TICKET_CHARS_MAX,
} from './limits.ts'
import { updateSchema } from './manifest.ts'
import { receiptSchema } from './receipt.ts'
import { accept, type Result, refuse } from './result.ts'
import { measuredFields, measureFields, seedField } from './spot-check.ts'

/** Where a coordinator's nodes link: socket.io over WebSocket. */
export const LINK_PATH = '/v1/node-link'

/** Everything that is ever said on the node link. The envelope's type is the message's kind; the body is the rest. */
const roundFields = { run: runIdField, round: count(ROUNDS_MAX, 1) }
/** Names one `consider`. */
const questionField = bytesField(16)
/** `to` is the coordinator's key: a frame said to one coordinator means nothing to another. `seq` grows per node. */
const said = { to: nodeIdField, seq: count(Number.MAX_SAFE_INTEGER) }

/** One part of a parcel: the block that holds it is attached, and goes nowhere else. */
const parcelFields = {
  parcel: cidField,
  part: count(PARCEL_PARTS_MAX - 1),
  parts: count(PARCEL_PARTS_MAX, 1),
}

export const clientBodies = {
  hello: z.strictObject({ ...said, nonce: bytesField(32), version: z.literal(1) }),
  /** In a masked round with the node's key advert, attached: it costs no round trip, and no secret is kept in stock. */
  join: z.strictObject({ ...said, ...roundFields, advert: cidField.nullable() }),
  decline: z.strictObject({ ...said, ...roundFields, reason: reasonName }),
  /** The node's signed update manifest is this very frame. */
  report: updateSchema,
  /** Its signed `ShareKeys`, attached to part 0, and boxes for all others, in as many parts as frames need. */
  deal: z.strictObject({ ...said, ...roundFields, keys: cidField, ...parcelFields }),
  /** All boxes of this U2 hold what their dealers promised. */
  agree: z.strictObject({ ...said, ...roundFields, shared: cidField }),
  /** … or not: signed complaints, attached. */
  object: z.strictObject({
    ...said,
    ...roundFields,
    shared: cidField,
    complaints: z.array(cidField).min(1).max(COMPLAINTS_MAX).readonly(),
  }),
  /** Its signed `MaskedInput`, attached, and where the masked vector is. */
  submit: z.strictObject({
    ...said,
    ...roundFields,
    input: cidField,
    vector: cidField,
    trainMillis: count(PHASE_MILLIS_MAX),
  }),
  confirm: z.strictObject({ ...said, ...roundFields, confirm: cidField }),
  unmask: z.strictObject({ ...said, ...roundFields, unmask: cidField }),
  abandon: z.strictObject({ ...said, ...roundFields, abandon: cidField }),
  leave: z.strictObject({ ...said, ...roundFields, reason: reasonName }),
  /** What it trains on, and how fast by its own measure. The newest counts. */
  capability: z.strictObject({ ...said, ...capabilityFields }),
  /** The answer to `measure`. */
  measured: z.strictObject({ ...said, ...measuredFields }),
  /** … or not now: it trains for a round. */
  busy: z.strictObject({ ...said, seed: seedField }),
  /** What it says in public of its data, attached, or that it says nothing any more. The newest counts. */
  dataset: z.strictObject({ ...said, dataset: cidField.nullable() }),
  /** The answer to `consider`: the rule by which it would take no seat, or none. */
  considered: z.strictObject({ ...said, question: questionField, refusal: reasonName.nullable(), detail: reasonField }),
} as const

export const coordinatorBodies = {
  challenge: z.strictObject({ nonce: bytesField(32) }),
  /** A round opened; whoever wants a seat joins before `closesAt`. */
  invite: z.strictObject({ ...roundFields, plan: cidField, closesAt: millisField }),
  /** This node has a seat; the ticket lets it upload one vector. */
  seated: z.strictObject({
    ...roundFields,
    plan: cidField,
    seat: count(COHORT_MAX),
    endsAt: millisField,
    ticket: z.string().max(TICKET_CHARS_MAX),
    /** A masked round's signed roster: training and the session begin together. */
    roster: cidField.nullable(),
  }),
  /** Blocks, attached, that this node reads next and that found no room beside the message that names them. */
  blocks: z.strictObject({ ...roundFields }),
  /** U2, and what its members sent to this one alone, in parts. */
  shared: z.strictObject({ ...roundFields, shared: cidField, ...parcelFields }),
  /** This U2 is final: whoever has trained masks under it. */
  mask: z.strictObject({ ...roundFields, shared: cidField }),
  survivors: z.strictObject({ ...roundFields, survivors: cidField }),
  certificate: z.strictObject({ ...roundFields, survivors: cidField, certificate: cidField }),
  refused: z.strictObject({
    ...roundFields,
    /** The kind of the message that was refused. No body has a field `kind`: that is the message's own. */
    of: z.string().max(32),
    refusal: z.string().max(64),
    detail: reasonField,
  }),
  /** The node's signed receipt is this very frame, as it is kept. */
  receipt: receiptSchema,
  /** A spot check: train this, now, so many times, and say the losses. */
  measure: z.strictObject(measureFields),
  /** Would you take a seat under this plan? It is of no round; everything to judge it by is attached. */
  consider: z.strictObject({ question: questionField, plan: cidField }),
  /** The round is over for this node: trained for nothing, or done. */
  ended: z.strictObject({
    ...roundFields,
    outcome: z.enum(['closed', 'aborted', 'not-selected']),
    reason: reasonField,
  }),
} as const

type Bodies = Record<string, z.ZodType>
type MessageOf<B extends Bodies> = { [K in keyof B]: { readonly kind: K } & Readonly<z.output<B[K]>> }[keyof B]

export type ClientMessage = MessageOf<typeof clientBodies>
export type CoordinatorMessage = MessageOf<typeof coordinatorBodies>
export type MessageRefusal = DecodeRefusal | 'unknown-kind'

/** Signs a message. The whole frame is what travels, with the blocks that find room in it. */
export function say(signer: Signer, message: ClientMessage | CoordinatorMessage, blocks: readonly Block[] = []): Bytes {
  return frameOf(sign(signer, message), blocks)
}

export function sign(signer: Signer, message: ClientMessage | CoordinatorMessage): Signed {
  const { kind, ...body } = message
  const schema: z.ZodType = { ...clientBodies, ...coordinatorBodies }[kind]
  return signer.sign(kind, encode(schema, body))
}

/** What an opened frame means to a coordinator. */
export function readClientMessage(signed: Signed): Result<ClientMessage, MessageRefusal> {
  return read(clientBodies, signed) as Result<ClientMessage, MessageRefusal>
}

/** What an opened frame means to a node. */
export function readCoordinatorMessage(signed: Signed): Result<CoordinatorMessage, MessageRefusal> {
  return read(coordinatorBodies, signed) as Result<CoordinatorMessage, MessageRefusal>
}

function read(bodies: Bodies, { type, body }: Signed): Result<unknown, MessageRefusal> {
  const schema = Object.hasOwn(bodies, type) ? bodies[type] : undefined
  if (!schema) return refuse('unknown-kind', type)
  const value = decode(schema, body, FRAME_BYTES_MAX)
  return value.ok ? accept({ kind: type, ...(value.value as object) }) : value
}
