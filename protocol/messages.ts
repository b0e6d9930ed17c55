import { z } from 'zod'
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
import { COHORT_MAX, FRAME_BYTES_MAX, ROUNDS_MAX, TICKET_CHARS_MAX } from './limits.ts'
import { updateSchema } from './manifest.ts'
import { receiptSchema } from './receipt.ts'
import { accept, type Result, refuse } from './result.ts'

/** Where a coordinator's nodes link: socket.io over WebSocket. */
export const LINK_PATH = '/v1/node-link'

/** Everything that is ever said on the node link. The envelope's type is the message's kind; the body is the rest. */
const roundFields = { run: runIdField, round: count(ROUNDS_MAX, 1) }
/** `to` is the coordinator's key: a frame said to one coordinator means nothing to another. `seq` grows per node. */
const said = { to: nodeIdField, seq: count(Number.MAX_SAFE_INTEGER) }

export const clientBodies = {
  hello: z.strictObject({ ...said, nonce: bytesField(32), version: z.literal(1) }),
  join: z.strictObject({ ...said, ...roundFields }),
  decline: z.strictObject({ ...said, ...roundFields, reason: reasonName }),
  /** The node's signed update manifest is this very frame. */
  report: updateSchema,
  leave: z.strictObject({ ...said, ...roundFields, reason: reasonName }),
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
  }),
  refused: z.strictObject({
    ...roundFields,
    /** The kind of the message that was refused. No body has a field `kind`: that is the message's own. */
    of: z.string().max(32),
    refusal: z.string().max(64),
    detail: reasonField,
  }),
  /** The node's signed receipt is this very frame, as it is kept. */
  receipt: receiptSchema,
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
