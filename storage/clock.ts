import type { Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'

/** The machine's clock. It runs wherever JavaScript does. */
export const systemClock: Clock = {
  now: () => Date.now(),
  async wakeAt(at, signal) {
    // A timer may fire a little early, and cannot be set further ahead than 2^31 - 1 ms: hence the loop.
    for (let left = at - Date.now(); left > 0; left = at - Date.now()) await pause(Math.min(left, TIMER_MAX), signal)
    signal.throwIfAborted()
  },
}

const TIMER_MAX: Millis = 2 ** 31 - 1

function pause(millis: Millis, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const abort = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, millis)
    signal.addEventListener('abort', abort, { once: true })
  })
}
