import { assert } from '#protocol/assert.ts'
import { isPairable } from '#protocol/difference.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { PairAsked } from './difference-worker.ts'
import { startThread, type Thread, ThreadFault } from './thread.ts'

export type Differences = AsyncDisposable & {
  /** What one file is from another of its length, deflated. Rejects with {@link ThreadFault} where it cannot be made now. */
  readonly differ: (parent: Bytes, next: Bytes) => Promise<Bytes>
}

/**
 * Makes differences in one worker thread, one after the other: however many are asked for, they take one core and none of the
 * event loop's time. The thread starts with the first; one that dies fails those that wait, and the next starts another.
 */
export function openDifferences(): Differences {
  let thread: Thread<PairAsked, Bytes> | undefined
  let closed = false
  return {
    async differ(parent, next) {
      assert(isPairable(parent, next), 'both are as many floats')
      if (closed) throw new ThreadFault('differences are closed')
      if (!thread?.alive()) thread = startThread('difference-worker')
      const pair = { parent: Uint8Array.from(parent), next: Uint8Array.from(next) }
      return thread.ask(pair, [pair.parent.buffer, pair.next.buffer])
    },
    async [Symbol.asyncDispose]() {
      closed = true
      await thread?.end()
    },
  }
}
