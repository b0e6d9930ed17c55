import { hear, type Kind, type Said } from '#aggregation/secagg/messages.ts'
import { readAbreast } from '#protocol/abreast.ts'
import { CheckedSeals } from '#protocol/checked-seals.ts'
import { unseal } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import type { BlobStore } from '#protocol/ports.ts'
import type { Result } from '#protocol/result.ts'

/** Those out of one store. */
const checked = new WeakMap<BlobStore, CheckedSeals>()

/** What a member checked while its session went on is not checked again when it redoes the round (R8). */
export function checkedIn(blobs: BlobStore): CheckedSeals {
  const known = checked.get(blobs)
  if (known) return known
  const fresh = new CheckedSeals()
  checked.set(blobs, fresh)
  return fresh
}

/** A message of a session by its seal's name: signed, and of this shape. Who may say it, and when, is for a step to judge. */
export async function readSaid<K extends Kind>(blobs: BlobStore, kind: K, cid: Cid): Promise<Result<Said<K>>> {
  // Members say theirs in frames, and no list of 128 is longer: a larger block is none of these.
  const block = (at: Cid) => blobs.getBlock(at, FRAME_BYTES_MAX)
  const signed = await unseal(await block(cid), block, checkedIn(blobs))
  return signed.ok ? hear(kind, signed.value) : signed
}

/** Most of them came along with frames and are here already. */
export function readAll<K extends Kind>(
  blobs: BlobStore,
  kind: K,
  cids: readonly Cid[],
): Promise<Result<readonly Said<K>[]>> {
  return readAbreast(cids, (cid) => readSaid(blobs, kind, cid))
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
