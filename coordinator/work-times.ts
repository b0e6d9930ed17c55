import { AsyncLocalStorage } from 'node:async_hooks'
import type { Bytes, Millis, RunId } from '#protocol/ids.ts'
import type { Clock, PartsStore } from '#protocol/ports.ts'
import type { Obligation } from './obligations.ts'
import { Recent } from './recent.ts'
import type { EffectHandler } from './runner.ts'

/** A piece of the coordinator's own work for a round, and what of its time was waiting for the stores of blocks. */
export type Work = {
  readonly kind: Obligation['kind']
  readonly from: Millis
  readonly to: Millis
  /** It threw: the queue gives it out again. */
  readonly failed: boolean
  readonly readMillis: number
  readonly writeMillis: number
}
/** What this process did for one round, and how its log kept it waiting since the round before. */
export type RoundWork = { readonly works: readonly Work[]; readonly appends: number; readonly appendMillis: number }

type Kept = { works: readonly (Work & { readonly round: number })[]; appends: number; appendMillis: number }
const NOTHING: Readonly<Kept> = { works: [], appends: 0, appendMillis: 0 }
type Waiting = { readMillis: number; writeMillis: number }

/** Of one run; work that is tried again and again is told of by its last tries. */
const WORKS_MAX = 64
/** More that are under way at a time are told of without their work. */
const RUNS_MAX = 512

/** Where the time of the coordinator's own work goes, kept until its round is over. */
export class WorkTimes {
  readonly #clock: Pick<Clock, 'now'>
  readonly #runs = new Recent<RunId, Kept>(RUNS_MAX)
  readonly #current = new AsyncLocalStorage<Waiting>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** The same handlers, each timed. */
  timed(handlers: Readonly<Record<Obligation['kind'], EffectHandler>>): typeof handlers {
    const timed = Object.entries(handlers).map(([kind, handler]) => [kind, this.#timed(handler)] as const)
    return Object.fromEntries(timed) as Record<Obligation['kind'], EffectHandler>
  }

  /** The same store: what work that is under way waits for it counts as that work's. */
  store(store: PartsStore): PartsStore {
    const read = <T>(answer: Promise<T>) => this.#waits('readMillis', answer)
    const write = <T>(answer: Promise<T>) => this.#waits('writeMillis', answer)
    return {
      put: (source, limitBytes, signal, expected) => write(store.put(source, limitBytes, signal, expected)),
      putBlocks: (blocks) => write(store.putBlocks(blocks)),
      putParts: (blob, blocks, until) => write(store.putParts(blob, blocks, until)),
      finish: (blob) => write(store.finish(blob)),
      get: (cid, range, signal) => pieces(store.get(cid, range, signal), read),
      getBlock: (cid, limitBytes) => read(store.getBlock(cid, limitBytes)),
      has: (cid) => read(store.has(cid)),
      delete: (cid) => write(store.delete(cid)),
      sweep: (now) => write(store.sweep(now)),
    }
  }

  /** An append to a run's log was durable after so long. */
  appended(run: RunId, millis: number): void {
    const kept = this.#of(run)
    kept.appends++
    kept.appendMillis += millis
  }

  /** What was done for a round that is over; the next one's begins. */
  take(run: RunId, round: number): RoundWork {
    const kept = this.#of(run)
    const { works, ...log } = kept
    Object.assign(kept, NOTHING)
    return { ...log, works: works.filter((work) => work.round === round) }
  }

  #of(run: RunId): Kept {
    const known = this.#runs.get(run)
    if (known) return known
    const kept = { ...NOTHING }
    this.#runs.set(run, kept)
    return kept
  }

  #timed(handler: EffectHandler): EffectHandler {
    return async (run, owed, signal) => {
      const from = this.#clock.now()
      const waiting = { readMillis: 0, writeMillis: 0 }
      let failed = true
      try {
        const answer = await this.#current.run(waiting, () => handler(run, owed, signal))
        failed = false
        return answer
      } finally {
        if ('round' in owed) {
          const work = { ...waiting, kind: owed.kind, round: owed.round, from, to: this.#clock.now(), failed }
          const kept = this.#of(run.spec.run)
          kept.works = [...kept.works, work].slice(-WORKS_MAX)
        }
      }
    }
  }

  async #waits<T>(what: keyof Waiting, answer: Promise<T>): Promise<T> {
    const began = performance.now()
    const waiting = this.#current.getStore()
    try {
      return await answer
    } finally {
      if (waiting) waiting[what] += performance.now() - began
    }
  }
}

async function* pieces(
  source: AsyncIterable<Bytes>,
  read: <T>(answer: Promise<T>) => Promise<T>,
): AsyncIterable<Bytes> {
  const iterator = source[Symbol.asyncIterator]()
  try {
    for (let next = await read(iterator.next()); !next.done; next = await read(iterator.next())) yield next.value
  } finally {
    await iterator.return?.()
  }
}
