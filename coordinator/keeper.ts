import { BrokenInvariant } from '#protocol/assert.ts'
import type { Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'
import { passes } from './pause.ts'

/**
 * What is looked after for as long as the process lives, and is nobody's event. It may be left in the middle at any time, by
 * a fault or a death, and every other process does the same: whatever it does can be done twice.
 */
export type Duty = {
  /** What it does, in the imperative. */
  readonly name: string
  /** From the end of one turn to the next; {@link TURN_MILLIS} where it says nothing. */
  readonly everyMillis?: Millis
  perform(signal: AbortSignal): Promise<void>
}

export type KeeperDoors = {
  readonly clock: Clock
  /** Told of the world's faults; the next turn comes all the same. */
  readonly failed: (cause: unknown) => void
}

/** Nothing here is urgent: what a turn missed, the next one does. */
export const TURN_MILLIS: Millis = 60_000

/**
 * Performs each duty at once and then every so often, until the signal fires: one turn of a duty after another, and no duty
 * waits for another one.
 */
export async function keep(
  duties: readonly Duty[],
  { clock, failed }: KeeperDoors,
  signal: AbortSignal,
): Promise<void> {
  const look = async ({ name, everyMillis = TURN_MILLIS, perform }: Duty) => {
    do {
      try {
        if (!signal.aborted) await perform(signal)
      } catch (cause) {
        if (cause instanceof BrokenInvariant) failed(cause)
        // What its signal broke off is no fault.
        else if (!signal.aborted) failed(new Error(`the keeper could not ${name}`, { cause }))
      }
    } while (await passes(clock, everyMillis, signal))
  }
  await Promise.all(duties.map(look))
}
