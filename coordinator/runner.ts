import { assert } from '#protocol/assert.ts'
import type { Millis, RunId } from '#protocol/ids.ts'
import { LOG_APPEND_MAX } from '#protocol/limits.ts'
import type { Clock, EventLog, Queue } from '#protocol/ports.ts'
import { type Result, refuse } from '#protocol/result.ts'
import {
  decodeEvent,
  encodeEvent,
  nextDeadline,
  type Obligation,
  obligations,
  owes,
  type Run,
  type RunEvent,
  type RunRefusal,
  type RunSpec,
  sameObligation,
  stepRun,
} from './run.ts'

/** An event before the clock has been read: the runner stamps it inside the run's turn, so a log's times never go back. */
export type Unstamped = RunEvent extends infer E ? (E extends RunEvent ? Omit<E, 'at'> : never) : never
export type Job = { readonly run: RunId; readonly owed: Obligation }
/** A transition that is in the log. */
export type Advanced = {
  readonly before: Run | undefined
  readonly after: Run
  readonly event: RunEvent
  readonly position: number
}
export type EffectHandler = (run: Run, owed: Obligation, signal: AbortSignal) => Promise<Unstamped>

/** A deadline whose event could not be appended is tried again after this. */
const RETRY_MILLIS = 1000

/**
 * Keeps every run moving: truth first (append), consequences after (push what is owed). One turn at a time per run, and
 * what came in while the last one was being made durable shares the next: a burst of joins costs one sync, not one each.
 * Append-at-position fences out any other writer, after which this one reads what the other wrote and goes on from there.
 */
export class Runner implements AsyncDisposable {
  readonly #doors: { readonly log: EventLog; readonly queue: Queue<Job>; readonly clock: Clock }
  readonly #runs = new Map<RunId, Live>()
  readonly #listeners = new Set<(advanced: Advanced) => void>()
  readonly #closing = new AbortController()
  readonly #tasks = new Set<Promise<void>>()
  readonly #failed: (cause: unknown) => void

  /** @param failed told of faults outside any caller's turn (a timer's append): the root decides whether to stop */
  constructor(doors: { log: EventLog; queue: Queue<Job>; clock: Clock }, failed: (cause: unknown) => void) {
    this.#doors = doors
    this.#failed = failed
  }

  /** Replays every run's stream and pushes again whatever is owed. To be called once, before anything else. */
  async recover(): Promise<void> {
    for await (const stream of this.#doors.log.streams('run_')) {
      const live = new Live(stream as RunId)
      await this.#catchUp(live)
      if (!live.run) continue
      this.#runs.set(live.id, live)
      await this.#consequences(live, undefined, live.position - 1, [{ after: live.run }])
    }
  }

  create(spec: RunSpec): Promise<Result<Run, RunRefusal>> {
    assert(!this.#runs.has(spec.run), 'a run id is new')
    const live = new Live(spec.run)
    this.#runs.set(spec.run, live)
    return this.#turn(live, { kind: 'created', spec })
  }

  advance(id: RunId, event: Unstamped): Promise<Result<Run, RunRefusal>> {
    const live = this.#runs.get(id)
    return live ? this.#turn(live, event) : Promise.resolve(refuse('no-round', 'no such run'))
  }

  run(id: RunId): Run | undefined {
    return this.#runs.get(id)?.run
  }

  /** Entries of the run's log that are accepted here. */
  position(id: RunId): number {
    return this.#runs.get(id)?.position ?? 0
  }

  runs(): readonly Run[] {
    return [...this.#runs.values()]
      .flatMap(({ run }) => (run ? [run] : []))
      .sort((a, b) => (a.spec.run < b.spec.run ? -1 : 1))
  }

  /** Told of every transition, right after it is durable. */
  subscribe(listener: (advanced: Advanced) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** A run's history from a position on, and then what comes, until the run ends or the signal fires. */
  async *follow(id: RunId, from: number, signal: AbortSignal): AsyncIterable<Advanced> {
    const live = this.#runs.get(id)
    if (!live) return
    let state: Run | undefined
    let position = 0
    while (!signal.aborted) {
      const woken = live.changed()
      for await (const entry of this.#doors.log.read(id, position)) {
        const event = decodeEvent(entry)
        const next = stepRun(state, event)
        assert(next.ok, 'a logged event was accepted once and is accepted again')
        const before = state
        state = next.value
        if (position >= from) yield { before, after: state, event, position }
        position++
        if (signal.aborted) return
      }
      if (state?.phase === 'ended') return
      await untilAborted(woken, signal)
    }
  }

  /** Does the owed work as it comes; a handler that throws is tried again by the queue. */
  work(handlers: Readonly<Record<Obligation['kind'], EffectHandler>>): AsyncDisposable {
    return this.#doors.queue.work(async ({ run: id, owed }, signal) => {
      const run = this.run(id)
      if (!run || !owes(run, owed)) return
      const answer = await handlers[owed.kind](run, owed, signal)
      await this.advance(id, answer)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled([...this.#runs.values()].map((live) => live.turning))
    await Promise.allSettled([...this.#tasks])
  }

  #turn(live: Live, event: Unstamped): Promise<Result<Run, RunRefusal>> {
    const answer = Promise.withResolvers<Result<Run, RunRefusal>>()
    live.waiting.push({ event, answer })
    live.turning ??= this.#takeTurns(live)
    return answer.promise
  }

  async #takeTurns(live: Live): Promise<void> {
    while (live.waiting.length > 0) {
      // After the input that is here already: what one turn of the event loop brings shares a turn of the run.
      await new Promise((resolve) => setImmediate(resolve))
      const batch = live.waiting.splice(0, LOG_APPEND_MAX)
      try {
        await this.#append(live, batch)
      } catch (cause) {
        for (const { answer } of batch) answer.reject(cause)
      }
      if (!live.run) this.#runs.delete(live.id)
    }
    // At once with having found nothing: whoever comes next begins a new one.
    live.turning = undefined
  }

  /** Takes the batch in its order. Nobody is answered, not even with a refusal, before what it rests on is durable. */
  async #append(live: Live, batch: readonly Waiting[]): Promise<void> {
    for (;;) {
      if (this.#closing.signal.aborted) throw new Error('the coordinator is closing')
      const { answers, accepted } = this.#judge(live.run, batch)
      const position = live.position
      const entries = accepted.map(({ event }) => encodeEvent(event))
      if (entries.length > 0 && (await this.#doors.log.append(live.id, position, entries)) === 'conflict') {
        await this.#hearOthers(live)
        continue
      }
      const before = live.run
      for (const { after, event } of accepted) this.#accept(live, after, event)
      if (accepted.length > 0) await this.#consequences(live, before, position, accepted)
      for (const [index, { answer }] of batch.entries()) answer.resolve(answers[index] as Result<Run, RunRefusal>)
      return
    }
  }

  /** What the batch makes of the state, each event upon the ones before it. */
  #judge(state: Run | undefined, batch: readonly Waiting[]) {
    const accepted: { readonly after: Run; readonly event: RunEvent }[] = []
    let run = state
    const answers = batch.map(({ event: unstamped }) => {
      const event = { ...unstamped, at: Math.max(this.#doors.clock.now(), run?.at ?? 0) } as RunEvent
      const next = stepRun(run, event)
      if (!next.ok) return next
      run = next.value
      accepted.push({ after: run, event })
      return next
    })
    return { answers, accepted }
  }

  /**
   * Another writer was first: it may have died since, or have been this one, whose append failed after it was durable.
   * So what its events owe is pushed from here as well; work that is done twice is done once.
   */
  async #hearOthers(live: Live): Promise<void> {
    const [before, position] = [live.run, live.position]
    await this.#catchUp(live)
    if (!live.run || live.position === position) throw new Error('the log reports a conflict and shows no entry for it')
    await this.#consequences(live, before, live.position - 1, [{ after: live.run }])
  }

  async #catchUp(live: Live): Promise<void> {
    for await (const entry of this.#doors.log.read(live.id, live.position)) {
      const event = decodeEvent(entry)
      const next = stepRun(live.run, event)
      assert(next.ok, 'replay accepts what was accepted live')
      this.#accept(live, next.value, event)
    }
  }

  #accept(live: Live, after: Run, event: RunEvent): void {
    const before = live.run
    const position = live.position++
    live.run = after
    for (const listener of this.#listeners) listener({ before, after, event, position })
    live.wake()
  }

  /**
   * Pushes what each of these states owes that the one before it did not, under an id that is its place in history, and
   * sets the clock for the open phase's deadline.
   *
   * @param position of the first state
   */
  async #consequences(
    live: Live,
    before: Run | undefined,
    position: number,
    states: readonly { readonly after: Run }[],
  ): Promise<void> {
    let known = before ? obligations(before) : []
    for (const [step, { after }] of states.entries()) {
      const owed = obligations(after)
      const fresh = owed.filter((one) => !known.some((other) => sameObligation(one, other)))
      for (const [index, one] of fresh.entries())
        await this.#doors.queue.push(`${live.id}-${position + step}-${index}`, { run: live.id, owed: one })
      known = owed
    }
    assert(live.run, 'a run has a state once an event is accepted')
    this.#watchDeadline(live, nextDeadline(live.run))
  }

  #watchDeadline(live: Live, at: Millis | undefined): void {
    if (live.deadline === at) return
    live.timer.abort()
    live.deadline = at
    if (at === undefined) return
    live.timer = new AbortController()
    const signal = AbortSignal.any([live.timer.signal, this.#closing.signal])
    const task = this.#doors.clock.wakeAt(at, signal).then(
      () => this.#tick(live, at),
      () => undefined,
    )
    this.#tasks.add(task)
    void task.finally(() => this.#tasks.delete(task))
  }

  async #tick(live: Live, at: Millis): Promise<void> {
    const round = live.run?.round
    if (live.deadline !== at || !round) return
    live.deadline = undefined
    try {
      await this.#turn(live, { kind: 'ticked', round: round.round })
      if (live.run) this.#watchDeadline(live, nextDeadline(live.run))
    } catch (cause) {
      if (this.#closing.signal.aborted) return
      this.#failed(cause)
      this.#watchDeadline(live, this.#doors.clock.now() + RETRY_MILLIS)
    }
  }
}

/** An event whose turn has not come, and who waits to hear what became of it. */
type Waiting = {
  readonly event: Unstamped
  readonly answer: PromiseWithResolvers<Result<Run, RunRefusal>>
}

/** One run in memory: its state, its place in the log, its turn. */
class Live {
  readonly id: RunId
  run: Run | undefined
  position = 0
  /** Events that came while a turn was under way. */
  readonly waiting: Waiting[] = []
  turning: Promise<void> | undefined
  deadline: Millis | undefined
  timer = new AbortController()
  #change = Promise.withResolvers<void>()

  constructor(id: RunId) {
    this.id = id
  }

  /** Settles at the next change. */
  changed(): Promise<void> {
    return this.#change.promise
  }

  wake(): void {
    this.#change.resolve()
    this.#change = Promise.withResolvers<void>()
  }
}

async function untilAborted(change: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>()
  const stop = () => aborted.resolve()
  signal.addEventListener('abort', stop, { once: true })
  await Promise.race([change, aborted.promise])
  signal.removeEventListener('abort', stop)
}
