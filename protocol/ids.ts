import { base58btc } from 'multiformats/bases/base58'
import { assert } from './assert.ts'
import { flatText } from './flat-text.ts'
import { accept, type Result, refuse } from './result.ts'

declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

export type Bytes = Uint8Array
/** A node's Ed25519 public key as a did:key multibase text, `z6Mk…`. Its text order is its byte order. */
export type NodeId = Brand<string, 'NodeId'>
/** Who answers for nodes and is paid: the node itself until operators group nodes. */
export type OperatorId = NodeId
/** `run_` and a ULID. */
export type RunId = Brand<string, 'RunId'>
/** `fed_` and a ULID. */
export type FederationId = Brand<string, 'FederationId'>
/** A CIDv1 in base32. */
export type Cid = Brand<string, 'Cid'>
/** 1, 2, 3 … within a run. */
export type Round = number
/** The rank of a node's key in its cohort: 0, 1, 2 … */
export type Seat = number
/** Unix time or a duration, in milliseconds. */
export type Millis = number
/** Micro-credits. */
export type Amount = bigint

/** multicodec ed25519-pub, as a varint. */
const ED25519_PUB = [0xed, 0x01]

/** @param publicKey 32 bytes */
export function nodeIdOf(publicKey: Bytes): NodeId {
  assert(publicKey.length === 32, 'a public key is 32 bytes')
  return flatText(base58btc.encode(Uint8Array.from([...ED25519_PUB, ...publicKey])) as string as NodeId)
}

/** @returns the 32 bytes of the key */
export function publicKeyOf(id: NodeId): Bytes {
  return base58btc.decode(id).slice(2)
}

export function parseNodeId(text: string): Result<NodeId, 'bad-node-id'> {
  if (!/^z6Mk[1-9A-HJ-NP-Za-km-z]{44}$/.test(text))
    return refuse('bad-node-id', 'a node id is z6Mk and 44 more base58 letters')
  const bytes = base58btc.decode(text)
  if (bytes.length !== 34 || bytes[0] !== ED25519_PUB[0] || bytes[1] !== ED25519_PUB[1])
    return refuse('bad-node-id', 'not an Ed25519 did:key')
  return accept(text as NodeId)
}

const RUN_ID = /^run_[0-7][0-9A-HJKMNP-TV-Z]{25}$/

export function parseRunId(text: string): Result<RunId, 'bad-run-id'> {
  return RUN_ID.test(text) ? accept(text as RunId) : refuse('bad-run-id', 'a run id is run_ and a ULID')
}

const FEDERATION_ID = /^fed_[0-7][0-9A-HJKMNP-TV-Z]{25}$/

export function parseFederationId(text: string): Result<FederationId, 'bad-federation-id'> {
  return FEDERATION_ID.test(text)
    ? accept(text as FederationId)
    : refuse('bad-federation-id', 'a federation id is fed_ and a ULID')
}
