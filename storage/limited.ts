import type { Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'

/**
 * What the work comes to, unless it takes longer or the signal fires: what it does after that is nobody's any more.
 *
 * @param work may ask for the time anew, whenever it has got somewhere
 */
export async function limited<T>(
  clock: Clock,
  millis: Millis,
  work: (signal: AbortSignal, renew: () => void) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const [late, done] = [new AbortController(), new AbortController()]
  let until = clock.now() + millis
  const watch = async () => {
    while (clock.now() < until) await clock.wakeAt(until, done.signal)
    late.abort(new TookTooLong(`nothing came of it within ${millis} ms`))
  }
  watch().catch(() => undefined)
  const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal
  const given = Promise.withResolvers<never>()
  given.promise.catch(() => undefined)
  either.addEventListener('abort', () => given.reject(either.reason), { once: true })
  try {
    either.throwIfAborted()
    const working = work(either, () => {
      until = clock.now() + millis
    })
    return await Promise.race([working, given.promise])
  } finally {
    done.abort()
  }
}

class TookTooLong extends Error {
  override name = 'TookTooLong'
}
