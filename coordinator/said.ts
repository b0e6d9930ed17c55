import { hear, type Kind, type Said } from '#aggregation/secagg/messages.ts'
import { type Block, type Heard, sealOf, unseal } from '#protocol/envelope.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { BlobStore, PartsStore } from '#protocol/ports.ts'
import { type Result, refuse } from '#protocol/result.ts'
import { Recent } from './recent.ts'

/**
 * What was checked once is not checked again: a message is read for U2, for the session, for the frames that repeat it to
 * everybody and for the sum, and its signature and shape are most of what that costs. By store, since what lies in one is
 * not for the readers of another. Four messages of each member of two of the largest sessions.
 */
const checked = new WeakMap<BlobStore, Recent<string, Promise<Said<Kind>>>>()
const CHECKED_MAX = 1024

function checkedIn(blobs: BlobStore): Recent<string, Promise<Said<Kind>>> {
  const known = checked.get(blobs)
  if (known) return known
  const fresh = new Recent<string, Promise<Said<Kind>>>(CHECKED_MAX)
  checked.set(blobs, fresh)
  return fresh
}

/** A message of a session, out of the store: as the coordinator kept it, so what cannot be read is a fault of the world. */
export function readSaid<K extends Kind>(blobs: BlobStore, kind: K, cid: Cid): Promise<Said<K>> {
  const read = async () => {
    const block = (at: Cid) => blobs.getBlock(at, BLOCK_BYTES_MAX)
    const signed = await unseal(await block(cid), block)
    const said = signed.ok ? hear(kind, signed.value) : signed
    if (!said.ok) throw new Error(`the ${kind} ${cid} cannot be read: ${said.refusal} ${said.detail ?? ''}`)
    return said.value
  }
  return Recent.once(checkedIn(blobs), `${kind} ${cid}`, read as () => Promise<Said<Kind>>) as unknown as Promise<
    Said<K>
  >
}

/** Keeps messages that were checked. Durable when it answers. */
export async function keepSaid(blobs: BlobStore, ...said: readonly Said<Kind>[]): Promise<void> {
  await blobs.putBlocks(said.flatMap(blocksOf))
  for (const one of said) remember(blobs, one)
}

/** The same for a while, in a store that is nobody's to read. */
export async function lendSaid(vault: PartsStore, said: Said<Kind>, until: Millis): Promise<void> {
  await vault.putParts(said.cid, blocksOf(said), until)
  remember(vault, said)
}

function remember(blobs: BlobStore, said: Said<Kind>): void {
  checkedIn(blobs).set(`${said.signed.type} ${said.cid}`, Promise.resolve(said))
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
