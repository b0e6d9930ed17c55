import type { Cid, Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'
import type { Duty } from './keeper.ts'
import { dueThrough, type Retention } from './retention.ts'
import type { Run } from './run.ts'
import type { Runner } from './runner.ts'

/** Which of these somebody has asked to be kept: themselves, or something that they lie under. */
export type PinnedAmong = (cids: Iterable<Cid>) => Promise<ReadonlySet<Cid>>

export type ExpiryDoors = {
  readonly runner: Runner
  readonly clock: Clock
  readonly retention: Retention
  readonly pinnedAmong: PinnedAmong
}

/** Days are counted, and to look through what is pinned takes its time. */
const EVERY_MILLIS: Millis = 3_600_000

/**
 * Puts down that the vectors of runs have expired, once their time is over; that they are then deleted is owed. Whichever
 * process is first has said it, and to the others it is said already.
 */
export function expiry({ runner, clock, retention, pinnedAmong }: ExpiryDoors): Duty {
  return {
    name: 'let vectors expire',
    everyMillis: EVERY_MILLIS,
    async perform(signal) {
      const due = runner.runs().flatMap((run) => {
        const through = dueThrough(run, retention, clock.now())
        return through === undefined ? [] : [{ run: run.spec.run, through, record: recordOf(run) }]
      })
      if (due.length === 0) return
      const pinned = await pinnedAmong(due.flatMap(({ record }) => record))
      for (const { run, through, record } of due) {
        if (signal.aborted) return
        // Whoever pins the record of a run, or of one of its rounds, wants to be able to do it again.
        if (!record.some((cid) => pinned.has(cid))) await runner.advance(run, { kind: 'expired', through })
      }
    },
  }
}

function recordOf({ manifest, past }: Run): readonly Cid[] {
  return [manifest, ...past.map((round) => round.manifest ?? round.aborted)].filter((cid) => cid !== null)
}
