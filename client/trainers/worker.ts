import { setImmediate } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '#protocol/assert.ts'
import { openDisk } from '../data/disk.ts'
import { openStatistics } from '../data/statistics.ts'
import { openBackend } from './backend.ts'
import type { End, Opening, Reply, Request } from './conversation.ts'
import { openPupil } from './pupil.ts'

/** The training thread of a node on Node.js. */
assert(parentPort, 'this file is a worker thread')
const port = parentPort
const { data, backend, without } = workerData as Opening

const say = (reply: Reply) => port.postMessage(reply)
const answer = openPupil(data, openDisk, say, openStatistics(data, openDisk))

const lost = (reason: string, refused: boolean) => say({ kind: 'lost', reason, refused })
const ending = new AbortController()
let running: Promise<void> | undefined
say({ kind: 'open', backend: await openBackend(backend, { without, lost, signal: ending.signal }) })
port.on('message', (message: Request | End) => {
  if (message.kind === 'end') void end()
  else running = answer(message).then(tell)
})

async function tell(reply: Reply): Promise<void> {
  // What went wrong on a device is told a turn later than what came of it.
  await setImmediate()
  if (!ending.signal.aborted) say(reply)
}

async function end(): Promise<void> {
  ending.abort()
  await running
  await setImmediate()
  process.exit()
}
