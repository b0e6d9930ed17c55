import { concat, utf8 } from '#protocol/bytes.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { decodeCbor } from './cbor.ts'
import { checkBlock } from './cid.ts'
import { VerificationError } from './errors.ts'
import { keyText } from './signature.ts'
import type { CallOptions, Transport } from './transport.ts'

type Bytes = Uint8Array<ArrayBuffer>

/** The signed record that names a model. */
export type ModelRecord = {
  readonly cid: string
  /** Who signed it, `z6Mk…`. */
  readonly coordinator: string
}

/** Of a run that has ended, or of one of its rounds that has closed. */
export type RecordOf = { readonly run: string; readonly round: number | undefined }

/** One block by its CID, hashed. */
export async function blockOf(transport: Transport, cid: string, { signal }: CallOptions): Promise<Bytes> {
  const block = await transport.bytes(`/ipfs/${cid}`, BLOCK_BYTES_MAX, { query: { format: 'raw' }, signal })
  await checkBlock(cid, block, transport.doors.sha256)
  return block
}

/**
 * The model that a record names, where the record is about this run and signed by whom it says, and by the pinned key where
 * there is one. A record is kept as a seal and the body that this links to (docs/protocol.md, envelopes).
 */
export async function signedModel(
  transport: Transport,
  cid: string,
  { run, round }: RecordOf,
  options: CallOptions,
): Promise<ModelRecord & { readonly model: string }> {
  const { b, f, s, t } = fieldsOf(decodeCbor(await blockOf(transport, cid, options)))
  const type = round === undefined ? 'run' : 'round'
  if (t !== type || typeof b !== 'string' || !isBytes(f, 32) || !isBytes(s, 64)) throw notRecord(cid, type)
  const body = await blockOf(transport, b, options)
  const digest = (await transport.doors.sha256(body)) as Bytes
  const message = concat(utf8(`consilium/1 sig\0${type}\0`), digest) as Bytes
  if (!(await transport.doors.verify({ key: f, signature: s, message })))
    throw new VerificationError(`the record ${cid} is not signed by whom it says`)
  const said = fieldsOf(decodeCbor(body))
  const { model } = said
  if (said['run'] !== run || (round !== undefined && said['round'] !== round) || typeof model !== 'string')
    throw notRecord(cid, type)
  const coordinator = keyText(f)
  const { coordinatorKey } = transport
  if (coordinatorKey !== undefined && coordinatorKey !== coordinator)
    throw new VerificationError(`the record ${cid} is signed by ${coordinator}, and not by ${coordinatorKey}`)
  return { cid, coordinator, model }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function isBytes(value: unknown, length: number): value is Bytes {
  return ArrayBuffer.isView(value) && value.byteLength === length
}

function notRecord(cid: string, type: string): VerificationError {
  return new VerificationError(`${cid} is not the record of this ${type}`)
}
