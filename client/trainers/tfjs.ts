import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { assert, unreachable } from '#protocol/assert.ts'
import { type LocalUpdate, type TrainerBackend, TrainingRefused } from '#protocol/ports.ts'
import type { Statistician } from '../asking.ts'
import type { Supervision } from '../conduct.ts'
import type { DataSource, SharedRows } from '../data/dataset.ts'
import type { BackendChoice, OpenBackend } from './backend.ts'
import type { Fit, Opening, Reply, Request } from './conversation.ts'
import { Governor } from './governor.ts'

/** The training thread died or met a fault of the world (a file that cannot be read): the round may be tried again. */
export class TrainerFault extends Error {
  override name = 'TrainerFault'
}

export type TfjsTrainer = TrainerBackend &
  Statistician & {
    /** Faster backends that are not used, and why. */
    readonly passedOver: OpenBackend['passedOver']
    /** The same on the data of another site, read for this one call. */
    fitOn(data: DataSource | SharedRows, ...args: Parameters<TrainerBackend['fit']>): Promise<LocalUpdate>
  }

/**
 * Learning by TensorFlow.js in a thread of its own, so that the network is never kept waiting. The data is opened in that
 * thread and stays there; one thread serves many rounds. `fit` takes one call at a time, later ones wait. When the thread
 * dies, the running `fit` throws {@link TrainerFault} and the next one starts a new thread.
 * Where its node may not even answer any more, the thread is ended, whatever it does.
 */
export async function openTfjsTrainer(options: {
  readonly data: DataSource | SharedRows
  readonly backend?: BackendChoice
  /** The thread's JavaScript heap, in MiB: a table that outgrows it ends the thread, and not the node. */
  readonly heapMiB?: number
  /** Of the time, above 0 and at most 1, that a `fit` may work: after each batch it rests. */
  readonly share?: number
  /** Absent where nobody holds it back. */
  readonly supervision?: Supervision | undefined
}): Promise<TfjsTrainer> {
  const { heapMiB = HEAP_MIB, share = 1, supervision } = options
  const opening: Opening = { data: options.data, backend: options.backend ?? 'auto' }
  let thread = await startThread(opening, heapMiB)
  const { name, passedOver } = thread.backend
  let queue: Promise<unknown> = Promise.resolve()
  let closed = false
  /** When it is its turn. */
  const ask = async (request: Request, signal?: AbortSignal, progress?: Progress): Promise<Answer> => {
    const turn = queue.then(async () => {
      signal?.throwIfAborted()
      if (!closed && !thread.alive()) thread = await startThread({ ...opening, backend: name }, heapMiB)
      if (closed) {
        await thread.end()
        throw new TrainerFault('the trainer is closed')
      }
      return thread.ask(request, progress)
    })
    queue = turn.catch(() => undefined)
    return turn
  }
  const learn = async (request: Omit<Fit, 'kind' | 'words'>, signal: AbortSignal, progress?: Progress) => {
    const governor = new Governor(share)
    const abort = () => governor.stop()
    signal.addEventListener('abort', abort, { once: true })
    using _ = supervision?.watch(({ trains }) => governor.suspend(!trains))
    try {
      const answer = await ask({ kind: 'fit', ...request, words: governor.words }, signal, progress)
      if (answer.kind === 'stopped') throw signal.reason
      return answer.kind === 'fitted' ? answer.update : fail(answer)
    } catch (cause) {
      // Where the thread itself had to end it was for the same reason.
      throw signal.aborted ? signal.reason : cause
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }
  // A batch of a large model may take longer than an emergency can wait, and the thread holds data, too.
  const halting = supervision?.watch(({ answers }) => void (answers || thread.end()))
  return {
    backend: name,
    passedOver,
    fit: (model, task, signal, progress) => learn({ model, task }, signal, progress),
    fitOn: (data, model, task, signal, progress) => learn({ data, model, task }, signal, progress),
    async tally(question) {
      const answer = await ask({ kind: 'tally', question })
      return answer.kind === 'tallied' ? answer.tallied : fail(answer)
    },
    async [Symbol.asyncDispose]() {
      closed = true
      halting?.[Symbol.dispose]()
      await thread.end()
    },
  }
}

type Progress = Parameters<TrainerBackend['fit']>[3]
type Thread = {
  readonly backend: OpenBackend
  alive(): boolean
  ask(request: Request, progress: Progress): Promise<Answer>
  end(): Promise<void>
}

/** 65,536 rows of 512 columns are 256 MiB of cells while they are read. */
const HEAP_MIB = 1024

async function startThread(opening: Opening, heapMiB: number): Promise<Thread> {
  // `.ts` in a clone, `.js` in the package that is built from it.
  const worker = new Worker(new URL(`./worker${extname(import.meta.url)}`, import.meta.url), {
    workerData: opening,
    resourceLimits: { maxOldGenerationSizeMb: heapMiB },
  })
  let death: TrainerFault | undefined
  let waiting: { readonly answer: PromiseWithResolvers<Answer>; readonly progress: Progress } | undefined
  const die = (reason: string) => {
    death ??= new TrainerFault(`the training thread died: ${reason}`)
    waiting?.answer.reject(death)
  }
  worker.on('error', (cause) => die(cause instanceof Error ? cause.message : String(cause)))
  worker.on('exit', (code) => die(`it ended with code ${code}`))
  worker.on('message', (reply: Reply) => {
    if (reply.kind === 'progress') waiting?.progress?.(reply.at)
    else waiting?.answer.resolve(reply)
  })
  const hear = (progress?: Progress): Promise<Answer> => {
    if (death) throw death
    waiting = { answer: Promise.withResolvers(), progress }
    return waiting.answer.promise
  }
  const first = await hear()
  assert(first.kind === 'open', 'a training thread first says what it trains on')
  return {
    backend: first.backend,
    alive: () => death === undefined,
    async ask(request, progress) {
      const answer = hear(progress)
      worker.postMessage(request)
      return answer
    },
    async end() {
      await worker.terminate()
    },
  }
}

type Answer = Exclude<Reply, { kind: 'progress' }>

/** Throws what an answer that is none stands for. */
function fail(answer: Answer): never {
  switch (answer.kind) {
    case 'refused':
      throw new TrainingRefused(answer.reason, answer.detail)
    case 'failed':
      throw new TrainerFault(answer.message)
    case 'open':
      throw new TrainerFault('the training thread started anew by itself')
    case 'stopped':
    case 'fitted':
    case 'tallied':
      throw new TrainerFault(`the training thread answered ${answer.kind} to something else`)
    default:
      return unreachable(answer)
  }
}
