import type { Millis } from '#protocol/ids.ts'
import type { Clock, PartsStore } from '#protocol/ports.ts'
import { passes } from './pause.ts'

export type SweepingDoors = {
  readonly stores: readonly PartsStore[]
  readonly clock: Clock
  /** Told of the world's faults; the next round comes all the same. */
  readonly failed: (cause: unknown) => void
}

/** Parts wait for a day after their ticket ran out: an hour more is soon enough. */
const SWEEP_MILLIS: Millis = 3_600_000

/** Forgets what was begun to be uploaded and never became whole: at once, and then every hour. Until the signal fires. */
export async function sweep({ stores, clock, failed }: SweepingDoors, signal: AbortSignal): Promise<void> {
  do {
    for (const store of stores) await store.sweep(clock.now()).catch(failed)
  } while (await passes(clock, SWEEP_MILLIS, signal))
}
