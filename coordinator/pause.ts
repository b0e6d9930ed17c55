import type { Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'

/** Lets time pass. @returns false where the signal fires before */
export async function passes(clock: Clock, millis: Millis, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.wakeAt(clock.now() + millis, signal)
    return true
  } catch {
    return false
  }
}

/** What is waited for, or undefined where it takes longer: it goes on all the same, and is nobody's any more. */
export async function within<T>(clock: Clock, millis: Millis, work: PromiseLike<T>): Promise<T | undefined> {
  const done = new AbortController()
  const late = passes(clock, millis, done.signal).then(() => undefined)
  try {
    return await Promise.race([work, late])
  } finally {
    done.abort()
    work.then(undefined, () => undefined)
  }
}

/** The change, or the signal. */
export async function untilAborted(change: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>()
  const stop = () => aborted.resolve()
  signal.addEventListener('abort', stop, { once: true })
  await Promise.race([change, aborted.promise])
  signal.removeEventListener('abort', stop)
}
