import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { assert, unreachable } from '#protocol/assert.ts'
import { type LocalUpdate, type TrainerBackend, TrainingRefused } from '#protocol/ports.ts'
import type { Statistician } from '../asking.ts'
import type { DataSource, SharedRows } from '../data/dataset.ts'
import type { BackendChoice, BackendName, OpenBackend } from './backends/choice.ts'
import type { Fit, Opening, Reply, Request } from './conversation.ts'

/** The training thread died or met a fault of the world (a file that cannot be read): the round may be tried again. */
export class TrainerFault extends Error {
  override name = 'TrainerFault'
}

export type TfjsTrainer = TrainerBackend &
  Statistician & {
    /** The backend in use, and why others are not. */
    readonly opened: OpenBackend
    /** The same on the data of another site, read for this one call. */
    fitOn(data: DataSource | SharedRows, ...args: Parameters<TrainerBackend['fit']>): Promise<LocalUpdate>
  }

/**
 * Learning by TensorFlow.js in a thread of its own, so that the network is never kept waiting. The data is opened in that
 * thread and stays there; one thread serves many rounds. `fit` takes one call at a time, later ones wait. When the thread
 * dies, the running `fit` throws {@link TrainerFault} and the next one starts a new thread. When the backend is lost, as a GPU
 * is by a new driver, the running `fit` begins again on the next one.
 */
export async function openTfjsTrainer(options: {
  readonly data: DataSource | SharedRows
  readonly backend?: BackendChoice
  /** The thread's JavaScript heap, in MiB: a table that outgrows it ends the thread, and not the node. */
  readonly heapMiB?: number
  /** Called when the backend was lost and another took its place. */
  readonly backendLost?: (loss: BackendLoss) => void
}): Promise<TfjsTrainer> {
  const { data, backend = 'auto', heapMiB = HEAP_MIB, backendLost } = options
  const without: BackendName[] = []
  let thread = await startThread({ data, backend, without }, heapMiB)
  let queue: Promise<unknown> = Promise.resolve()
  let closed = false
  /** On the same backend, or on the next one when that was lost: whatever was chosen, the round is to go on. */
  const startAgain = async () => {
    const { backend: from, lost } = thread
    const reason = lost()
    await thread.end()
    if (reason === undefined) {
      thread = await startThread({ data, backend: from.name, without }, heapMiB)
      return
    }
    without.push(from.name)
    thread = await startThread({ data, backend: 'auto', without }, heapMiB)
    backendLost?.({ from: from.name, reason, to: thread.backend })
  }
  /** When it is its turn. */
  const ask = async (request: Request, signal?: AbortSignal, progress?: Progress): Promise<Answer> => {
    const turn = queue.then(async () => {
      for (;;) {
        signal?.throwIfAborted()
        if (!closed && !thread.alive()) await startAgain()
        if (closed) {
          await thread.end()
          throw new TrainerFault('the trainer is closed')
        }
        const answer = await thread.ask(request, progress)
        if (answer.kind !== 'lost') return answer
      }
    })
    queue = turn.catch(() => undefined)
    return turn
  }
  const learn = async (request: Omit<Fit, 'kind' | 'stop'>, signal: AbortSignal, progress?: Progress) => {
    const stop = new Int32Array(new SharedArrayBuffer(4))
    const abort = () => void Atomics.store(stop, 0, 1)
    signal.addEventListener('abort', abort, { once: true })
    try {
      const answer = await ask({ kind: 'fit', ...request, stop }, signal, progress)
      if (answer.kind === 'stopped') throw signal.reason
      return answer.kind === 'fitted' ? answer.update : fail(answer)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }
  return {
    get backend() {
      return thread.backend.name
    },
    get opened() {
      return thread.backend
    },
    fit: (model, task, signal, progress) => learn({ model, task }, signal, progress),
    fitOn: (data, model, task, signal, progress) => learn({ data, model, task }, signal, progress),
    async tally(question) {
      const answer = await ask({ kind: 'tally', question })
      return answer.kind === 'tallied' ? answer.tallied : fail(answer)
    },
    async [Symbol.asyncDispose]() {
      closed = true
      await thread.end()
    },
  }
}

export type BackendLoss = { readonly from: BackendName; readonly reason: string; readonly to: OpenBackend }

type Progress = Parameters<TrainerBackend['fit']>[3]
type Thread = {
  readonly backend: OpenBackend
  /** Whether it may be asked. */
  alive(): boolean
  /** Why its backend is lost. */
  lost(): string | undefined
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
  let loss: string | undefined
  let waiting: { readonly answer: PromiseWithResolvers<Answer>; readonly progress: Progress } | undefined
  const die = (reason: string) => {
    death ??= new TrainerFault(`the training thread died: ${reason}`)
    waiting?.answer.reject(death)
  }
  worker.on('error', (cause) => die(cause instanceof Error ? cause.message : String(cause)))
  worker.on('exit', (code) => die(`it ended with code ${code}`))
  worker.on('message', (reply: Reply) => {
    if (loss !== undefined) return
    if (reply.kind === 'lost') loss = reply.reason
    if (reply.kind === 'progress') waiting?.progress?.(reply.at)
    else waiting?.answer.resolve(reply)
  })
  const hear = (progress?: Progress): Promise<Answer> => {
    if (death) throw death
    waiting = { answer: Promise.withResolvers(), progress }
    return waiting.answer.promise
  }
  const first = await hear()
  if (first.kind === 'lost') throw new TrainerFault(first.reason)
  assert(first.kind === 'open', 'a training thread first says what it trains on')
  return {
    backend: first.backend,
    alive: () => death === undefined && loss === undefined,
    lost: () => loss,
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
    case 'lost':
    case 'stopped':
    case 'fitted':
    case 'tallied':
      throw new TrainerFault(`the training thread answered ${answer.kind} to something else`)
    default:
      return unreachable(answer)
  }
}
