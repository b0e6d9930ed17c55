import type { Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'

/**
 * Whether the other side of a transfer keeps up. It is judged by the time that it was waited for and by nothing that we
 * took ourselves: a slow disk of ours is not its fault. Whoever moves bytes, but too few to ever be done, holds a place as
 * surely as whoever moves none.
 *
 * @param leastBytesPerSecond asked at each look, since more is asked of everybody where others wait for a place
 */
export function watchPace(clock: Clock, everyMillis: Millis, leastBytesPerSecond: () => number): Pace {
  const slow = new AbortController()
  const stopped = new AbortController()
  let bytes = 0
  let waitedMillis = 0
  let since: Millis | undefined
  const waited = () => waitedMillis + (since === undefined ? 0 : clock.now() - since)
  const look = async () => {
    for (;;) {
      const before = { bytes, waited: waited() }
      await clock.wakeAt(clock.now() + everyMillis, stopped.signal)
      const [moved, awaited] = [bytes - before.bytes, waited() - before.waited]
      // Mostly it was we who were slow: this span says little about anybody else.
      if (awaited * 2 < everyMillis) continue
      if (moved === 0 || moved < (leastBytesPerSecond() * awaited) / 1000) {
        return slow.abort(new TooSlow(`${moved} bytes moved in ${awaited} ms`))
      }
    }
  }
  look().catch(() => undefined)
  return {
    signal: slow.signal,
    wait() {
      since ??= clock.now()
    },
    moved(count) {
      bytes += count
      waitedMillis = waited()
      since = undefined
    },
    stop: () => stopped.abort(OVER),
  }
}

/** Made once: an abort without a reason makes an exception, with a stack, for every small block that is read. */
const OVER = new Error('the transfer is over')

export type Pace = {
  /** Fires when it is too slow. */
  readonly signal: AbortSignal
  /** From here on the other side is waited for, … */
  wait(): void
  /** … until here: it took or gave so many bytes. */
  moved(bytes: number): void
  stop(): void
}

export class TooSlow extends Error {
  override name = 'TooSlow'
}
