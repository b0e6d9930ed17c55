import { BroadcastChannel, isMainThread } from 'node:worker_threads'

/** Where the threads of a process hear that they are to collect their garbage, and say that they did. */
const COLLECT = 'collect-garbage'

/** Loaded before everything else in every thread of a process whose memory is looked at. */
if (!isMainThread) {
  const all = new BroadcastChannel(COLLECT)
  all.onmessage = (message) => {
    if (message.data !== 'collect') return
    globalThis.gc?.()
    all.postMessage('done')
  }
  all.unref()
}

/** Garbage of so many threads, this one not among them, is collected when this resolves. */
export async function collected(threads: number): Promise<void> {
  if (threads === 0) return
  const all = new BroadcastChannel(COLLECT)
  const told = Promise.withResolvers<void>()
  let left = threads
  all.onmessage = (message) => {
    if (message.data === 'done' && --left === 0) told.resolve()
  }
  all.postMessage('collect')
  await told.promise
  all.close()
}
