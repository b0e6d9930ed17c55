import { availableParallelism } from 'node:os'
import { type Mask, opposite, SEGMENT_LANES } from '#aggregation/secagg/mask.ts'
import { type RemoveMasks, removeMasks as removeMasksHere } from '#aggregation/secagg/removal.ts'
import type { RingVector } from '#aggregation/vector.ts'
import { type Reply, type Request, shareMasks } from './conversation.ts'
import { startThread, type Thread, ThreadFault } from './thread.ts'

export type MaskRemoval = AsyncDisposable & { readonly removeMasks: RemoveMasks }

type MaskingThread = Thread<Request, Reply>

/** A million lanes are sixteen of the shortest ranges. */
const THREADS_MAX = 16
/** As much keystream as one thread makes while others start. */
const HERE_BYTES = 256 * 2 ** 20
/** Several ranges for each thread, so that the others do not wait long for a slow one. */
const RANGES_PER_THREAD = 4
/** 256 KiB: to start a cipher takes as long as some 32 KiB of its keystream. */
const RANGE_LANES_MIN = 2 ** 16

/**
 * Takes masks off in worker threads, over ranges of lanes. What is held besides the sum is one range for each thread,
 * whatever the sum's length. Threads start with the first sum that is worth it, wait for the next, and are shared by the sums
 * of one time. One that dies fails the sums it worked on with {@link ThreadFault}; the next sum starts another in its place.
 *
 * @param options.hereBytes of keystream, up to which a sum stays on the caller's own thread
 */
export function openMaskRemoval(options: { readonly threads?: number; readonly hereBytes?: number } = {}): MaskRemoval {
  const { threads = Math.min(availableParallelism(), THREADS_MAX), hereBytes = HERE_BYTES } = options
  let crew: MaskingThread[] = []
  let closed = false
  return {
    async removeMasks(sum, masks, signal) {
      signal?.throwIfAborted()
      if (closed) throw new ThreadFault('the mask removal is closed')
      if (sum.byteLength * masks.length <= hereBytes) return removeMasksHere(sum, masks, signal)
      crew = crew.filter((thread) => thread.alive())
      while (crew.length < threads) crew.push(startThread('worker'))
      await addTogether(crew, sum, opposite(masks), signal)
    },
    async [Symbol.asyncDispose]() {
      closed = true
      await Promise.all(crew.map((thread) => thread.end()))
    },
  }
}

/** Each thread takes the next range as soon as it has answered its last. No range is written once the sum is given up. */
async function addTogether(
  crew: readonly MaskingThread[],
  sum: RingVector,
  masks: readonly Mask[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const shared = shareMasks(masks)
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const rangeLanes = rangeLanesOf(sum.length, crew.length)
  let next = 0
  const work = async (thread: MaskingThread) => {
    while (next < sum.length) {
      const atLane = next
      next += rangeLanes
      const lanes = sum.slice(atLane, next)
      const reply = await thread.ask({ lanes, atLane, masks: shared, stop }, [lanes.buffer])
      if (reply.kind === 'stopped' || Atomics.load(stop, 0) !== 0) return
      sum.set(reply.lanes, atLane)
    }
  }
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([aborted.promise, Promise.all(crew.map(work))])
  } finally {
    signal?.removeEventListener('abort', abort)
    Atomics.store(stop, 0, 1)
    shared.seeds.fill(0)
  }
}

/** Whole cipher blocks. */
function rangeLanesOf(lanes: number, threads: number): number {
  const even = Math.ceil(lanes / (threads * RANGES_PER_THREAD * 4)) * 4
  return Math.min(Math.max(even, RANGE_LANES_MIN), SEGMENT_LANES)
}
