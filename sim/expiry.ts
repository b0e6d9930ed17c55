import { reportedIn } from '#coordinator/effects/clear.ts'
import { isOver, type Run } from '#coordinator/run.ts'
import { decodeEvent } from '#coordinator/run-events.ts'
import { walk } from '#protocol/car.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { BlobStore, EventLog, PartsStore } from '#protocol/ports.ts'
import { Violation } from './watch.ts'

type ExpiryDoors = {
  readonly log: EventLog
  readonly blobs: BlobStore
  readonly withheld: BlobStore
  readonly vault: PartsStore
  readonly now: () => Millis
  /** Lets a little time pass. @returns the run then */
  readonly pass: () => Promise<Run>
}

/** A turn of the keeper that fails is made again, and so is what it owes. */
const LATE_MILLIS_MAX: Millis = 300_000

/** What a session may take, and a day. */
const VAULT_MILLIS_MAX: Millis = 2 * 86_400_000

/** Waits until the vectors of a run are deleted, and checks that nothing else is that its record names. */
export async function letExpire(ended: Run, vectorsMillis: Millis, doors: ExpiryDoors): Promise<void> {
  const { blobs, withheld, now, pass } = doors
  const record = await recordOf(ended, blobs)
  const vectors = await reportedIn(doors.log, ended.spec.run, { after: 0, through: ended.past.length })
  if (vectors.size === 0) throw new Violation('nobody reported anything')
  const limit = now() + vectorsMillis + LATE_MILLIS_MAX
  for (let run = ended; !isOver(run); run = await pass())
    if (now() > limit) throw new Violation('what has expired is not deleted')
  for (const cid of vectors)
    if ((await blobs.has(cid)) || (await withheld.has(cid))) throw new Violation(`the vector ${cid} is still there`)
  for (const cid of record)
    if (!vectors.has(cid) && !(await blobs.has(cid))) throw new Violation(`${cid} is of the record and is gone`)
  await checkVault(ended, doors)
}

/** Boxes and shares go by themselves, once the last session that needs them must be over. */
async function checkVault({ spec }: Run, { log, vault, now }: ExpiryDoors): Promise<void> {
  await vault.sweep(now() + VAULT_MILLIS_MAX)
  for await (const entry of log.read(spec.run)) {
    const event = decodeEvent(entry)
    const kept = event.kind === 'dealt' ? event.parcel : event.kind === 'unmasked' ? event.unmask : undefined
    if (kept && (await vault.has(kept))) throw new Violation(`${event.kind} is in the vault for ever`)
  }
}

async function recordOf({ manifest }: Run, blobs: BlobStore): Promise<ReadonlySet<Cid>> {
  const found = new Set<Cid>()
  if (!manifest) return found
  for await (const { cid } of walk(manifest, (at) => blobs.getBlock(at, BLOCK_BYTES_MAX))) found.add(cid)
  return found
}
