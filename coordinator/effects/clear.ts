import { assert } from '#protocol/assert.ts'
import type { Cid, Round, RunId } from '#protocol/ids.ts'
import type { EventLog } from '#protocol/ports.ts'
import type { PinnedAmong } from '../expiry.ts'
import type { Needs } from '../needs.ts'
import type { Run } from '../run.ts'
import { decodeEvent } from '../run-events.ts'
import type { EffectHandler } from '../runner.ts'
import { type VectorStores, vectorsOf } from '../vectors.ts'

export type ClearDoors = VectorStores & {
  readonly log: EventLog
  readonly needs: Needs
  readonly runs: () => readonly Run[]
  readonly pinnedAmong: PinnedAmong
}

/**
 * Deletes the vectors that have expired, but for those that another run needs or that somebody has pinned. What is missing
 * is no error, so that it may be done again from the beginning.
 */
export function clearEffect(doors: ClearDoors): EffectHandler {
  return async (run, owed, signal) => {
    assert(owed.kind === 'clear', 'this effect deletes what has expired')
    const { needs, runs, pinnedAmong } = doors
    const store = vectorsOf(doors, run.spec.secure)
    const reported = await reportedIn(doors.log, run.spec.run, { after: run.cleared, through: owed.round })
    const unneeded = await needs.unneeded(reported, runs())
    const pinned = await pinnedAmong(unneeded)
    for (const vector of unneeded) {
      signal.throwIfAborted()
      if (!pinned.has(vector)) await store.delete(vector)
    }
    return { kind: 'cleared', through: owed.round }
  }
}

/** The vectors that were reported in rounds after one, up to another: the log alone has all their names. */
export async function reportedIn(
  log: EventLog,
  run: RunId,
  { after, through }: { readonly after: Round; readonly through: Round },
): Promise<ReadonlySet<Cid>> {
  const vectors = new Set<Cid>()
  for await (const entry of log.read(run)) {
    const event = decodeEvent(entry)
    if (event.kind === 'reported' && event.round > after && event.round <= through) vectors.add(event.vector)
  }
  return vectors
}
