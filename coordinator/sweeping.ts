import type { Millis } from '#protocol/ids.ts'
import type { Clock, PartsStore } from '#protocol/ports.ts'
import type { Duty } from './keeper.ts'

/** What waits does so for a day and more: an hour more is soon enough. */
const SWEEP_MILLIS: Millis = 3_600_000

/** Forgets what was kept for a time that is over: uploads that no report named, boxes and shares of sessions long past. */
export function sweeping(stores: readonly PartsStore[], clock: Clock): Duty {
  return {
    name: 'sweep away what is overdue',
    everyMillis: SWEEP_MILLIS,
    async perform() {
      const swept = await Promise.allSettled(stores.map((store) => store.sweep(clock.now())))
      for (const one of swept) if (one.status === 'rejected') throw one.reason
    },
  }
}
