import { parentPort } from 'node:worker_threads'
import { openMasker, SEGMENT_LANES } from '#aggregation/secagg/mask.ts'
import { assert } from '#protocol/assert.ts'
import { masksIn, type Reply, type Request } from './conversation.ts'

/** A thread that masks: one range of lanes after the other. Whatever is thrown here ends it, and fails who waits for it. */
assert(parentPort, 'this file is a worker thread')
const port = parentPort
const masker = openMasker(SEGMENT_LANES)

port.on('message', ({ lanes, atLane, masks, stop }: Request) => {
  const stopped = () => Atomics.load(stop, 0) !== 0
  try {
    if (!stopped()) for (const _ of masker.steps(lanes, masksIn(masks), atLane)) if (stopped()) break
  } finally {
    masker.erase()
  }
  if (stopped()) port.postMessage({ kind: 'stopped' } satisfies Reply)
  else port.postMessage({ kind: 'masked', lanes } satisfies Reply, [lanes.buffer])
})
port.on('messageerror', (cause) => {
  throw cause
})
