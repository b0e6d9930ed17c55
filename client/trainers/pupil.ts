import { TrainingRefused } from '#protocol/ports.ts'
import type { Question } from '#protocol/question.ts'
import { type Dataset, openDataset, type PublicShare } from '../data/dataset.ts'
import type { OpenFile } from '../data/source.ts'
import { Pool } from './backends/pool.ts'
import { type Fit, type Opening, type Reply, type Request, shapeOf } from './conversation.ts'
import { fitModel } from './fit.ts'
import { checkpointBy, Stopped } from './governor.ts'
import { measure } from './measurement.ts'

type Tallies = Extract<Reply, { kind: 'tallied' }>['tallied']

/** The data could not be read: nothing was computed on them, and the thread is as good as it was. */
class Unread extends Error {}

/**
 * What learns and counts, in a thread of Node.js or of a page: it holds the data, and answers one request after the other on
 * the backend that is set.
 *
 * @param tally counts in the data, for questions about it
 */
export function openPupil(
  data: Opening['data'],
  open: OpenFile,
  say: (reply: Reply) => void,
  tally: (question: Question) => Promise<Tallies>,
): (request: Request) => Promise<Reply> {
  /** Of the request that is being answered. */
  let checkpoint = () => {}
  const opened = (source: Parameters<typeof openDataset>[0]) => openDataset(source, open, () => checkpoint())
  const dataset = opened(data)
  const pool = new Pool()
  /** The last share of public data: its next round follows, and what was parsed needs no parsing again. */
  let last: { readonly key: string; readonly dataset: typeof dataset } | undefined
  const datasetOf = (other: Fit['data']): typeof dataset => {
    if (!other) return dataset
    return other.kind === 'share' ? shareOf(other) : opened(other)
  }
  const shareOf = (share: PublicShare): typeof dataset => {
    if (last?.key !== share.key) last = { key: share.key, dataset: opened(share) }
    return last.dataset
  }

  async function learn({ model, task, data: other }: Fit): Promise<Reply> {
    // It may have waited for its turn, and be held back by now.
    checkpoint()
    const rows = await datasetOf(other)(task.task.data, task.holdoutSeed).catch(unread)
    const readable: Dataset = { ...rows, read: (batch, into) => rows.read(batch, into)?.catch(unread) }
    const progress = (at: Extract<Reply, { kind: 'progress' }>['at']) => say({ kind: 'progress', at })
    return { kind: 'fitted', update: await fitModel(model, task, readable, { checkpoint, progress }) }
  }

  return async (request) => {
    if (request.kind !== 'tally') checkpoint = checkpointBy(request.words)
    try {
      const shape = shapeOf(request)
      if (shape !== undefined) await pool.admit(shape)
      switch (request.kind) {
        case 'fit':
          return await learn(request)
        case 'measure':
          return { kind: 'measured', measured: await measure(request.measurement, checkpoint) }
        case 'tally':
          return { kind: 'tallied', tallied: await tally(request.question) }
      }
    } catch (cause) {
      if (cause instanceof Stopped) return { kind: 'stopped' }
      if (cause instanceof TrainingRefused) {
        return { kind: 'refused', reason: cause.reason, detail: cause.message.slice(cause.reason.length + 2) }
      }
      // A kernel that traps may have written anywhere before.
      const isWhole = request.kind === 'tally' || cause instanceof Unread
      return { kind: isWhole ? 'failed' : 'broken', message: messageOf(cause) }
    }
  }
}

function unread(cause: unknown): never {
  if (cause instanceof Stopped || cause instanceof TrainingRefused) throw cause
  throw new Unread(messageOf(cause), { cause })
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
