import type { Obligation } from '#coordinator/obligations.ts'
import { patrol } from '#coordinator/patrol.ts'
import type { Run } from '#coordinator/run.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import { type Advanced, type EffectHandler, type Job, Runner } from '#coordinator/runner.ts'
import type { Queue, SharedLog, Snapshots } from '#protocol/ports.ts'
import { Crashed } from '#sim/life.ts'
import { type VirtualClock, virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { RUN } from './fixture.ts'
import { answerTo, speeches, stamp } from './histories.ts'

/** What several coordinators share, and a clock that stands still. */
export type Shared = {
  readonly log: SharedLog
  readonly queue: Queue<Job>
  readonly snapshots: Snapshots
  readonly clock: VirtualClock
}

export function openShared(): Shared {
  const clock = virtualClock(1_000_000)
  return { log: openMemoryLog(), queue: openMemoryQueue<Job>({ clock }), snapshots: openMemorySnapshots(), clock }
}

/** Where a process dies: at its nth append or push, before or after it took effect. */
export type Blow = { readonly at: 'append' | 'push'; readonly n: number; readonly when: 'before' | 'after' }

/** One coordinator's runner with its worker and its patrol. When it dies its doors close, whatever it was doing. */
export class Process {
  readonly told: Advanced[] = []
  readonly runner: Runner
  readonly counts = { append: 0, push: 0 }
  readonly #death = new AbortController()
  readonly #doors: Shared
  #worker: AsyncDisposable | undefined

  constructor(shared: Shared, blow?: Blow) {
    this.#doors = {
      ...shared,
      log: {
        ...shared.log,
        append: (...args) => this.#strike('append', blow, () => shared.log.append(...args)),
      },
      queue: { ...shared.queue, push: (...args) => this.#strike('push', blow, () => shared.queue.push(...args)) },
    }
    this.runner = new Runner(this.#doors, () => undefined)
  }

  get isDead(): boolean {
    return this.#death.signal.aborted
  }

  /** @param answer what becomes of the work that is owed */
  async start(answer: (run: Run, owed: Obligation) => ReturnType<typeof answerTo> = answerTo): Promise<this> {
    await this.runner.recover()
    this.runner.subscribe((advanced) => this.told.push(advanced))
    const work: EffectHandler = async (run, owed) => {
      this.#death.signal.throwIfAborted()
      return answer(run, owed)
    }
    const kinds = ['hold', 'finish', 'open', 'aggregate', 'settle', 'release'] as const
    const session = ['enrol', 'share', 'judge', 'survey', 'certify'] as const
    const handlers = Object.fromEntries([...kinds, ...session].map((kind) => [kind, work]))
    this.#worker = this.runner.work(handlers as Record<Obligation['kind'], EffectHandler>)
    void patrol({ runner: this.runner, ...this.#doors, failed: () => undefined }, this.#death.signal)
    return this
  }

  die(): void {
    this.#death.abort(new Crashed('the process is gone'))
    void this.#worker?.[Symbol.asyncDispose]()
  }

  async #strike<T>(at: Blow['at'], blow: Blow | undefined, act: () => Promise<T>): Promise<T> {
    this.#death.signal.throwIfAborted()
    const struck = blow?.at === at && blow.n === ++this.counts[at]
    if (!blow) this.counts[at]++
    if (struck && blow.when === 'before') this.die()
    this.#death.signal.throwIfAborted()
    const answer = await act()
    if (struck) this.die()
    this.#death.signal.throwIfAborted()
    return answer
  }
}

/** Every node says what is due, to its process or to whichever lives, until the run is over. @returns the time that took */
export async function play(shared: Shared, processes: readonly Process[], spec: RunSpec): Promise<number> {
  const { clock } = shared
  const began = clock.now()
  const living = (who: number) => {
    const alive = processes.filter(({ isDead }) => !isDead)
    return (alive[who % alive.length] as Process).runner
  }
  // Whoever launches it asks again where nobody answers.
  while (!living(0).run(RUN)) {
    living(0)
      .create(spec)
      .catch(() => undefined)
    await clock.advance(10)
  }
  for (let run = living(0).run(RUN); run?.phase !== 'ended'; run = living(0).run(RUN)) {
    if (clock.now() - began > 600_000) throw new Error(`the run hangs in ${run?.phase} ${run?.round?.phase}`)
    if (run)
      for (const { who, says } of speeches(run)) {
        const heard = living(who).run(RUN)
        if (heard)
          void living(who)
            .advance(RUN, stamp(heard, says))
            .catch(() => undefined)
      }
    await clock.advance(10)
  }
  return clock.now() - began
}
