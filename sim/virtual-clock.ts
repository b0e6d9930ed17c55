import type { Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'

export type VirtualClock = Clock & {
  /** Lets time pass: whoever waits is woken in order, each at its own time, and may wait again within the same span. */
  advance(millis: Millis): Promise<void>
  /** How many are waiting. */
  waiting(): number
}

type Sleeper = { readonly at: Millis; readonly wake: () => void }

/** A clock that stands still until it is told. */
export function virtualClock(start: Millis): VirtualClock {
  let now = start
  const sleepers = new Set<Sleeper>()

  return {
    now: () => now,
    waiting: () => sleepers.size,
    wakeAt(at, signal) {
      return new Promise((resolve, reject) => {
        signal.throwIfAborted()
        if (at <= now) return resolve()
        const abort = () => {
          sleepers.delete(sleeper)
          reject(signal.reason)
        }
        const sleeper: Sleeper = {
          at,
          wake() {
            sleepers.delete(sleeper)
            signal.removeEventListener('abort', abort)
            resolve()
          },
        }
        sleepers.add(sleeper)
        signal.addEventListener('abort', abort, { once: true })
      })
    },
    async advance(millis) {
      const end = now + millis
      await settle()
      for (let next = earliest(sleepers, end); next; next = earliest(sleepers, end)) {
        now = Math.max(now, next.at)
        next.wake()
        await settle()
      }
      now = end
    },
  }
}

function earliest(sleepers: Iterable<Sleeper>, end: Millis): Sleeper | undefined {
  let first: Sleeper | undefined
  for (const sleeper of sleepers) if (sleeper.at <= end && (!first || sleeper.at < first.at)) first = sleeper
  return first
}

/** Runs everything that needs no time to pass: promises, and callbacks of input and output that are due. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}
