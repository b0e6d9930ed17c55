import { assert, unreachable } from '#protocol/assert.ts'
import { type LocalUpdate, type TrainerBackend, TrainingRefused } from '#protocol/ports.ts'
import type { Statistician } from '../asking.ts'
import { Supervision } from '../conduct.ts'
import type { Brought, DataSource, SharedRows } from '../data/dataset.ts'
import type { Measurer } from '../measuring.ts'
import type { BackendChoice, BackendName, Loss, OpenBackend } from './backends/choice.ts'
import { type Fit, type Measure, type Opening, type Reply, type Request, shapeOf } from './conversation.ts'
import { Restraint, type RestraintDoors, realSleep } from './restraint.ts'

/** The training thread died or met a fault of the world (a file that cannot be read): the round may be tried again. */
export class TrainerFault extends Error {
  override name = 'TrainerFault'
}

export type TfjsTrainer = TrainerBackend &
  Statistician &
  Measurer & {
    /** The backend in use, and why others are not. */
    readonly opened: OpenBackend
    /** The same on the data of another site, read for this one call. */
    fitOn(data: DataSource | Brought, ...args: Parameters<TrainerBackend['fit']>): Promise<LocalUpdate>
  }

export type TrainerOptions = {
  readonly data: DataSource | SharedRows
  readonly backend: BackendChoice
  /** Called when the backend was lost, or put aside for a faster one, and another took its place. */
  readonly backendLost?: ((loss: BackendLoss) => void) | undefined
  /** Of the time, above 0 and at most 1, that a `fit` may work: after each batch it rests. */
  readonly share?: number | undefined
  /** Absent where nobody holds it back. */
  readonly supervision?: Supervision | undefined
  /** Absent: in real time. */
  readonly sleep?: RestraintDoors['sleep']
}

/** A thread as whoever started it sees it. */
export type Channel = {
  post(request: Request): void
  end(): Promise<void>
}

/** Starts a thread that opens its data and its backend, and says which. `died` may come more than once, and after the end. */
export type StartChannel = (
  opening: Opening,
  ears: { readonly heard: (reply: Reply) => void; readonly died: (reason: string) => void },
) => Channel

/**
 * Learning by TensorFlow.js in a thread of its own, so that the network is never kept waiting. The data is opened in that
 * thread and stays there; one thread serves many rounds. `fit` takes one call at a time, later ones wait. When the thread
 * dies, the running `fit` throws {@link TrainerFault} and the next one starts a new thread. When the backend is lost, as a GPU
 * is by a new driver, the running `fit` begins again on the next one. Where its node may train no more and the thread does not
 * come to rest soon, it is ended, and the `fit` begins again once it may. Where its node may not even answer any more, the
 * thread is ended at once, whatever it does.
 */
export async function openTrainer(
  { data, backend, backendLost, share = 1, supervision = new Supervision(), sleep = realSleep }: TrainerOptions,
  start: StartChannel,
): Promise<TfjsTrainer> {
  const without: BackendName[] = []
  let thread = await openThread({ data, backend, without }, start)
  let queue: Promise<unknown> = Promise.resolve()
  const closing = new AbortController()
  /** What another backend took over for the time of one shape, since a step of it was refused. */
  let refused: { readonly name: BackendName; readonly shape: string | undefined } | undefined
  /** On the same backend, or on the next one when that was lost: whatever was chosen, the round is to go on. */
  const startAgain = async (shape: string | undefined) => {
    const { backend: from, lost } = thread
    const loss = lost()
    await thread.end()
    if (loss === undefined) {
      thread = await openThread({ data, backend: from.name, without: passed() }, start)
      return
    }
    if (loss.refused) refused = { name: from.name, shape }
    else without.push(from.name)
    thread = await openThread({ data, backend: 'auto', without: passed() }, start)
    backendLost?.({ from: from.name, reason: loss.reason, to: thread.backend })
  }
  const passed = () => (refused ? [...without, refused.name] : without)
  /** Back on the backend that refused a step: there may be room for what is of another shape. */
  const goBack = async (name: BackendName) => {
    const from = thread.backend.name
    await thread.end()
    refused = undefined
    thread = await openThread({ data, backend: name, without }, start).catch(() => {
      without.push(name)
      return openThread({ data, backend: 'auto', without }, start)
    })
    if (thread.backend.name !== from)
      backendLost?.({ from, reason: `another model is trained, and ${name} asked again`, to: thread.backend })
  }
  const inTurn = (work: () => Promise<Answer>): Promise<Answer> => {
    const turn = queue.then(work)
    queue = turn.catch(() => undefined)
    return turn
  }
  const ask = async (request: Request, signal?: AbortSignal, progress?: Progress): Promise<Answer> => {
    const shape = shapeOf(request)
    if (!closing.signal.aborted && refused && request.kind === 'fit' && shape !== refused.shape)
      await goBack(refused.name)
    for (;;) {
      signal?.throwIfAborted()
      if (!closing.signal.aborted && !thread.alive()) await startAgain(shape)
      if (closing.signal.aborted) {
        await thread.end()
        throw closing.signal.reason
      }
      const answer = await thread.ask(request, progress)
      if (answer.kind !== 'lost') return answer
    }
  }
  /** Work that is governed. Where the thread was ended so that it trains no more, it is begun again when it may train. */
  const train = async (request: Ungoverned, signal: AbortSignal, progress?: Progress): Promise<Answer> => {
    for (;;) {
      signal.throwIfAborted()
      if (!supervision.conduct.trains)
        await supervision.until(({ trains }) => trains, AbortSignal.any([signal, closing.signal]))
      using restraint = new Restraint({ share, supervision, signal, sleep, end: () => thread.end() })
      try {
        const answer = await ask({ ...request, words: restraint.words }, signal, progress)
        if (answer.kind !== 'stopped') return answer
      } catch (cause) {
        // Where the thread itself had to end it was for the same reason.
        if (!restraint.gaveUp) throw signal.aborted ? signal.reason : cause
      }
      signal.throwIfAborted()
      assert(restraint.gaveUp, 'nothing else stops a thread')
    }
  }
  const learn = async (request: Omit<Fit, 'kind' | 'words'>, signal: AbortSignal, progress?: Progress) => {
    const answer = await inTurn(() => train({ kind: 'fit', ...request }, signal, progress))
    return answer.kind === 'fitted' ? answer.update : fail(answer)
  }
  // A batch of a large model may take longer than an emergency can wait, and the thread holds data, too.
  const halting = supervision.watch(({ answers }) => void (answers || thread.end()))
  return {
    get backend() {
      return thread.backend.name
    },
    get opened() {
      return thread.backend
    },
    fit: (model, task, signal, progress) => learn({ model, task }, signal, progress),
    fitOn: (data, model, task, signal, progress) => learn({ data, model, task }, signal, progress),
    async measure(measurement, signal) {
      const answer = await inTurn(() => train({ kind: 'measure', measurement }, signal))
      return answer.kind === 'measured' ? answer.measured : fail(answer)
    },
    async tally(question) {
      const answer = await inTurn(() => ask({ kind: 'tally', question }))
      return answer.kind === 'tallied' ? answer.tallied : fail(answer)
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new TrainerFault('the trainer is closed'))
      halting[Symbol.dispose]()
      await thread.end()
    },
  }
}

export type BackendLoss = { readonly from: BackendName; readonly reason: string; readonly to: OpenBackend }

type Ungoverned = Omit<Fit, 'words'> | Omit<Measure, 'words'>
type Progress = Parameters<TrainerBackend['fit']>[3]
type Thread = {
  readonly backend: OpenBackend
  /** Whether it may be asked. */
  alive(): boolean
  /** Why its backend is lost. */
  lost(): Loss | undefined
  ask(request: Request, progress: Progress): Promise<Answer>
  end(): Promise<void>
}

async function openThread(opening: Opening, start: StartChannel): Promise<Thread> {
  let death: TrainerFault | undefined
  let loss: Loss | undefined
  let ending = false
  let waiting: { readonly answer: PromiseWithResolvers<Answer>; readonly progress: Progress } | undefined
  const died = (reason: string) => {
    death ??= new TrainerFault(`the training thread died: ${reason}`)
    waiting?.answer.reject(death)
  }
  const heard = (reply: Reply) => {
    if (loss !== undefined) return
    if (reply.kind === 'lost') loss = reply
    if (reply.kind === 'broken') {
      died(reply.message)
      // With what it holds, which may be all that there was.
      void channel.end()
    } else if (reply.kind === 'progress') waiting?.progress?.(reply.at)
    else waiting?.answer.resolve(reply)
  }
  const hear = (progress?: Progress): Promise<Answer> => {
    if (death) throw death
    waiting = { answer: Promise.withResolvers(), progress }
    return waiting.answer.promise
  }
  const channel = start(opening, { heard, died })
  const first = await hear()
  if (first.kind === 'lost') throw new TrainerFault(first.reason)
  assert(first.kind === 'open', 'a training thread first says what it trains on')
  return {
    backend: first.backend,
    alive: () => death === undefined && loss === undefined && !ending,
    lost: () => loss,
    async ask(request, progress) {
      const answer = hear(progress)
      channel.post(request)
      return answer
    },
    async end() {
      ending = true
      await channel.end()
      // A worker of a page that is ended says nothing of it.
      died('it was ended')
    },
  }
}

type Answer = Exclude<Reply, { kind: 'progress' | 'broken' }>

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
    case 'measured':
    case 'tallied':
      throw new TrainerFault(`the training thread answered ${answer.kind} to something else`)
    default:
      return unreachable(answer)
  }
}
