import { hear, type Kind, type Said } from '#aggregation/secagg/messages.ts'
import { unseal } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { accept, type Result } from '#protocol/result.ts'

/** Blocks that are asked for at once; most of them came along with frames and are here already. */
const ABREAST = 16

/** A message of a session by its seal's name: signed, and of this shape. Who may say it, and when, is for a step to judge. */
export async function readSaid<K extends Kind>(blobs: BlobStore, kind: K, cid: Cid): Promise<Result<Said<K>>> {
  // Members say theirs in frames, and no list of 128 is longer: a larger block is none of these.
  const block = (at: Cid) => blobs.getBlock(at, FRAME_BYTES_MAX)
  const signed = await unseal(await block(cid), block)
  return signed.ok ? hear(kind, signed.value) : signed
}

/** In this order; the first that does not hold is the answer. */
export async function readAll<K extends Kind>(
  blobs: BlobStore,
  kind: K,
  cids: readonly Cid[],
): Promise<Result<readonly Said<K>[]>> {
  const found: Said<K>[] = []
  for (let at = 0; at < cids.length; at += ABREAST)
    for (const said of await Promise.all(cids.slice(at, at + ABREAST).map((cid) => readSaid(blobs, kind, cid)))) {
      if (!said.ok) return said
      found.push(said.value)
    }
  return accept(found)
}

export function readAdverts({ body }: Said<'Roster'>, blobs: BlobStore): Promise<Result<readonly Said<'Advert'>[]>> {
  return readAll(
    blobs,
    'Advert',
    body.members.map(({ advert }) => advert),
  )
}

/** Of the members that a U2 lists. */
export function readKeys({ body }: Said<'Shared'>, blobs: BlobStore): Promise<Result<readonly Said<'ShareKeys'>[]>> {
  return readAll(
    blobs,
    'ShareKeys',
    body.list.map(({ cid }) => cid),
  )
}

/** Of the members that a U3 lists. */
export function readInputs(
  { body }: Said<'Survivors'>,
  blobs: BlobStore,
): Promise<Result<readonly Said<'MaskedInput'>[]>> {
  return readAll(
    blobs,
    'MaskedInput',
    body.list.map(({ cid }) => cid),
  )
}
