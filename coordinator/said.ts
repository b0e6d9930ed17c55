import { hear, type Kind, type Said } from '#aggregation/secagg/messages.ts'
import { type Block, type Heard, sealOf, unseal } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { type Result, refuse } from '#protocol/result.ts'

/** A message of a session, out of the store: as the coordinator kept it, so what cannot be read is a fault of the world. */
export async function readSaid<K extends Kind>(blobs: BlobStore, kind: K, cid: Cid): Promise<Said<K>> {
  const block = (at: Cid) => blobs.getBlock(at, BLOCK_BYTES_MAX)
  const signed = await unseal(await block(cid), block)
  const said = signed.ok ? hear(kind, signed.value) : signed
  if (!said.ok) throw new Error(`the ${kind} ${cid} cannot be read: ${said.refusal} ${said.detail ?? ''}`)
  return said.value
}

/** A message of a session that came along in a frame. Signature and shape are checked; who may say it is not. */
export async function attachedSaid<K extends Kind>(heard: Heard, kind: K, cid: Cid): Promise<Result<Said<K>>> {
  const find = (at: Cid) => heard.attached.find((block) => block.cid === at)?.bytes
  const seal = find(cid)
  if (!seal) return refuse('block-missing', `${cid} did not come along`)
  // An empty body is nobody's: the signature over it fails.
  const signed = await unseal(seal, async (at) => find(at) ?? new Uint8Array(0))
  if (!signed.ok) return signed
  if (signed.value.from !== heard.from) return refuse('foreign-signature', `the ${kind} is by ${signed.value.from}`)
  return hear(kind, signed.value)
}

/** The two blocks that keep a message. */
export function blocksOf(said: Said<Kind>): readonly Block[] {
  const { seal, body } = sealOf(said.signed)
  return [body, seal]
}
