import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '#protocol/assert.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { openDataset } from '../data/dataset.ts'
import { openStatistics } from '../data/statistics.ts'
import { openBackend } from './backend.ts'
import type { Fit, Opening, Reply, Request } from './conversation.ts'
import { fitModel } from './fit.ts'
import { checkpointBy, Stopped } from './governor.ts'

/** The thread that learns and counts: it holds the data and the backend, and answers one request after the other. */
assert(parentPort, 'this file is a worker thread')
const port = parentPort
const { data, backend } = workerData as Opening
const dataset = openDataset(data)
const tally = openStatistics(data)

const say = (reply: Reply) => port.postMessage(reply)

say({ kind: 'open', backend: await openBackend(backend) })
port.on('message', (request: Request) => void answer(request).then(say))

async function answer(request: Request): Promise<Reply> {
  try {
    return request.kind === 'fit' ? await learn(request) : { kind: 'tallied', tallied: await tally(request.question) }
  } catch (cause) {
    if (cause instanceof Stopped) return { kind: 'stopped' }
    if (cause instanceof TrainingRefused) {
      return { kind: 'refused', reason: cause.reason, detail: cause.message.slice(cause.reason.length + 2) }
    }
    return { kind: 'failed', message: cause instanceof Error ? cause.message : String(cause) }
  }
}

async function learn({ model, task, data: other, words }: Fit): Promise<Reply> {
  const checkpoint = checkpointBy(words)
  const rows = await (other ? openDataset(other) : dataset)(task.task.data, task.holdoutSeed)
  const progress = (at: Extract<Reply, { kind: 'progress' }>['at']) => say({ kind: 'progress', at })
  return { kind: 'fitted', update: await fitModel(model, task, rows, { checkpoint, progress }) }
}
