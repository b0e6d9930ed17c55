import { abreast } from '#protocol/abreast.ts'
import { assert } from '#protocol/assert.ts'
import type { Millis, RunId } from '#protocol/ids.ts'
import { LOG_APPEND_MAX } from '#protocol/limits.ts'
import type { Clock, EventLog, Queue, Snapshots } from '#protocol/ports.ts'
import { type Result, refuse } from '#protocol/result.ts'
import { judge, Live, type Owing, standingAfter, type Unstamped, type Waiting } from './live.ts'
import { type Obligation, owes } from './obligations.ts'
import { isOver, nextDeadline, type Run, type RunRefusal, stepRun } from './run.ts'
import { decodeEvent, encodeEvent, type RunEvent } from './run-events.ts'
import { RunHistory, snapshotOf } from './run-history.ts'
import type { RunSpec } from './run-spec.ts'
import { encodeStanding } from './snapshot.ts'

export type Job = { readonly run: RunId; readonly owed: Obligation }
/** A transition that is in the log. */
export type Advanced = {
  readonly before: Run | undefined
  readonly after: Run
  readonly event: RunEvent
  readonly position: number
}
export type EffectHandler = (run: Run, owed: Obligation, signal: AbortSignal) => Promise<Unstamped>

export type RunnerDoors = {
  readonly log: EventLog
  readonly queue: Queue<Job>
  readonly clock: Clock
  readonly snapshots: Snapshots
}

/** A deadline whose event could not be appended is tried again after this. */
const RETRY_MILLIS = 1000

/** So many events behind the last snapshot are worth a new one. */
const SNAPSHOT_EVENTS = 256
/**
 * Keeps every run moving: truth first (append), consequences after (push what is owed). One turn at a time per run, and
 * what came in while the last one was being made durable shares the next: a burst of joins costs one sync, not one each.
 * Append-at-position fences out any other writer, after which this one reads what the other wrote, judges again, and goes
 * on from there. Any number of processes may do this over one log: at each position one of them wins.
 */
export class Runner implements AsyncDisposable {
  readonly #doors: RunnerDoors
  readonly #runs = new Map<RunId, Live>()
  /** The same by id, ascending; undefined where one came or went since. */
  #ascending: readonly Live[] | undefined
  readonly #listeners = new Set<(advanced: Advanced) => void>()
  readonly #history: RunHistory
  readonly #closing = new AbortController()
  readonly #tasks = new Set<Promise<void>>()
  readonly #failed: (cause: unknown) => void

  /**
   * @param failed told of faults outside any caller's turn (a timer's append, a push), which are made good later: the root
   * decides whether to stop
   */
  constructor(doors: RunnerDoors, failed: (cause: unknown) => void) {
    this.#doors = doors
    this.#history = new RunHistory(doors)
    this.#failed = failed
  }

  /** Replays every run, from its snapshot where there is one, and pushes whatever is owed. To be called once, before anything else. */
  async recover(): Promise<void> {
    await abreast(this.#doors.log.streams('run_'), async (stream) => {
      const live = new Live(stream as RunId)
      await this.#catchUp(live)
      if (!live.run) return
      this.#take(live)
      await this.#push(live, live.owing)
    })
  }

  create(spec: RunSpec): Promise<Result<Run, RunRefusal>> {
    return this.#turn(this.#live(spec.run), { kind: 'created', spec })
  }

  advance(id: RunId, event: Unstamped): Promise<Result<Run, RunRefusal>> {
    const live = this.#runs.get(id)
    return live ? this.#turn(live, event) : Promise.resolve(refuse('no-round', 'no such run'))
  }

  /** Reads what others have appended to a run, this process's own turn apart. @returns whether there was anything new */
  hear(id: RunId): Promise<boolean> {
    const live = this.#live(id)
    const answer = Promise.withResolvers<boolean>()
    live.asking.push(answer)
    live.turning ??= this.#takeTurns(live)
    return answer.promise
  }

  /** Pushes again what has been owed for this long: whoever appended it may have died before, or the queue was away. */
  async pushOverdue(millis: Millis): Promise<void> {
    const due = this.#doors.clock.now() - millis
    for (const live of this.#runs.values()) {
      const overdue = live.owing.filter(({ id }) => (live.since.get(id) ?? due) <= due)
      if (overdue.length > 0) await this.#push(live, overdue)
    }
  }

  run(id: RunId): Run | undefined {
    return this.#runs.get(id)?.run
  }

  /** Entries of the run's log that are accepted here. */
  position(id: RunId): number {
    return this.#runs.get(id)?.position ?? 0
  }

  runs(): readonly Run[] {
    this.#ascending ??= [...this.#runs.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
    return this.#ascending.flatMap(({ run }) => (run ? [run] : []))
  }

  /** Told of every transition, right after it is durable: each once, in order, whoever appended it. */
  subscribe(listener: (advanced: Advanced) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** A run's history from a position on, and then what comes, until the run ends or the signal fires. */
  async *follow(id: RunId, from: number, signal: AbortSignal): AsyncIterable<Advanced> {
    const live = this.#runs.get(id)
    if (live) yield* this.#history.follow(live, from, signal)
  }

  /** Does the owed work as it comes; a handler that throws is tried again by the queue. */
  work(handlers: Readonly<Record<Obligation['kind'], EffectHandler>>): AsyncDisposable {
    return this.#doors.queue.work(async ({ run: id, owed }, signal) => {
      // The job may be about what another process appended and this one has not read yet, or be done by now.
      await this.hear(id)
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

  #live(id: RunId): Live {
    return this.#runs.get(id) ?? this.#take(new Live(id))
  }

  #take(live: Live): Live {
    this.#runs.set(live.id, live)
    this.#ascending = undefined
    return live
  }

  /**
   * The event counts as come in now, however long the log is away: what came in time is not late when it is back, and a
   * deadline that passed meanwhile waits behind it.
   */
  #turn(live: Live, event: Unstamped, due?: Millis): Promise<Result<Run, RunRefusal>> {
    const answer = Promise.withResolvers<Result<Run, RunRefusal>>()
    live.waiting.push({ event, at: this.#doors.clock.now(), due, answer })
    live.turning ??= this.#takeTurns(live)
    return answer.promise
  }

  async #takeTurns(live: Live): Promise<void> {
    while (live.waiting.length > 0 || live.asking.length > 0) {
      // After the input that is here already: what one turn of the event loop brings shares a turn of the run.
      await new Promise((resolve) => setImmediate(resolve))
      await this.#answerAsking(live, live.asking.splice(0))
      const batch = live.waiting.splice(0, LOG_APPEND_MAX)
      if (batch.length === 0) continue
      try {
        await this.#append(live, batch)
      } catch (cause) {
        for (const { answer } of batch) answer.reject(cause)
      }
    }
    if (!live.run) {
      this.#runs.delete(live.id)
      this.#ascending = undefined
    }
    // At once with having found nothing: whoever comes next begins a new one.
    live.turning = undefined
  }

  async #answerAsking(live: Live, asking: readonly PromiseWithResolvers<boolean>[]): Promise<void> {
    if (asking.length === 0) return
    try {
      const grown = await this.#catchUp(live)
      for (const { resolve } of asking) resolve(grown)
    } catch (cause) {
      for (const { reject } of asking) reject(cause)
    }
  }

  /** Takes the batch in its order. Nobody is answered, not even with a refusal, before what it rests on is durable. */
  async #append(live: Live, batch: readonly Waiting[]): Promise<void> {
    for (;;) {
      if (this.#closing.signal.aborted) throw new Error('the coordinator is closing')
      const { answers, accepted } = judge(live.run, batch)
      const entries = accepted.map(({ event }) => encodeEvent(event))
      if (entries.length > 0 && (await this.#doors.log.append(live.id, live.position, entries)) === 'conflict') {
        await this.#hearOthers(live)
        continue
      }
      const before = live.owing
      for (const { after, event } of accepted) this.#accept(live, after, event)
      if (accepted.length > 0) {
        this.#keepSnapshot(live)
        this.#watchDeadline(live, 'late')
        await this.#push(live, freshIn(live.owing, before))
      }
      for (const [index, { answer }] of batch.entries()) answer.resolve(answers[index] as Result<Run, RunRefusal>)
      return
    }
  }

  /**
   * Another writer was first: it may have died since, or have been this one, whose append failed after it was durable.
   * So what its events owe is pushed from here as well; work that is done twice is done once.
   */
  async #hearOthers(live: Live): Promise<void> {
    const before = live.owing
    if (!(await this.#catchUp(live))) throw new Error('the log reports a conflict and shows no entry for it')
    await this.#push(live, freshIn(live.owing, before))
  }

  /** @returns whether there was anything new */
  async #catchUp(live: Live): Promise<boolean> {
    const { clock, log } = this.#doors
    const from = live.position
    if (from === 0) {
      const snapshot = await snapshotOf(live.id, this.#doors.snapshots)
      if (snapshot) {
        live.stand(snapshot.standing, snapshot.position, clock.now())
        live.kept = snapshot.position
      }
    }
    if (live.run && isOver(live.run)) return live.position > from
    try {
      for await (const entry of log.read(live.id, live.position)) {
        const event = decodeEvent(entry)
        const next = stepRun(live.run, event)
        assert(next.ok, 'replay accepts what was accepted live')
        this.#accept(live, next.value, event)
      }
    } finally {
      // Also where the log went away in the middle: what was read is in force.
      this.#watchDeadline(live, from === 0 ? 'in time' : 'late')
    }
    return live.position > from
  }

  #accept(live: Live, after: Run, event: RunEvent): void {
    const { run: before, position } = live
    live.stand(standingAfter(live.owing, after, position), position + 1, this.#doors.clock.now())
    for (const listener of this.#listeners) listener({ before, after, event, position })
    live.wake()
  }

  /** A push that fails is made again by the patrol: the event that owes it is durable, and so is nobody's failure. */
  async #push(live: Live, owing: readonly Owing[]): Promise<void> {
    for (const { id, owed } of owing) {
      live.since.set(id, this.#doors.clock.now())
      try {
        await this.#doors.queue.push(id, { run: live.id, owed })
      } catch (cause) {
        this.#failed(cause)
      }
    }
  }

  /** Between two rounds, or at the end, a state is small and says all that later ones rest on. */
  #keepSnapshot(live: Live): void {
    const { run, position, owing } = live
    assert(run, 'a run has a state once an event is accepted')
    const due = run.phase === 'ended' ? position > live.kept : position - live.kept >= SNAPSHOT_EVENTS
    if (run.round || run.unrecorded || !due) return
    live.kept = position
    const state = encodeStanding({ run, owing })
    if (state) this.#attend(this.#doors.snapshots.keep(live.id, { position, state }))
  }

  /**
   * A phase that began while the log was away has its time from when that was known here, or it would be over before
   * anybody could do a thing in it. After a restart, what has passed has passed.
   */
  #watchDeadline(live: Live, known: 'in time' | 'late'): void {
    const { run } = live
    const at = run && nextDeadline(run)
    if (live.deadline === at) return
    const lateMillis = run && known === 'late' ? Math.max(0, this.#doors.clock.now() - run.at) : 0
    this.#wakeAt(live, at === undefined ? undefined : at + lateMillis, at)
  }

  /** @param deadline the one that is to be kept then */
  #wakeAt(live: Live, at: Millis | undefined, deadline: Millis | undefined): void {
    live.timer.abort()
    live.deadline = deadline
    if (at === undefined) return
    live.timer = new AbortController()
    const signal = AbortSignal.any([live.timer.signal, this.#closing.signal])
    this.#attend(
      this.#doors.clock.wakeAt(at, signal).then(
        () => this.#tick(live, deadline),
        () => undefined,
      ),
    )
  }

  async #tick(live: Live, deadline: Millis | undefined): Promise<void> {
    const round = live.run?.round
    if (live.deadline !== deadline || !round) return
    live.deadline = undefined
    try {
      await this.#turn(live, { kind: 'ticked', round: round.round }, deadline)
      this.#watchDeadline(live, 'in time')
    } catch (cause) {
      if (this.#closing.signal.aborted) return
      this.#failed(cause)
      this.#wakeAt(live, this.#doors.clock.now() + RETRY_MILLIS, deadline)
    }
  }

  /** Nobody waits for it but the end of this runner. */
  #attend(task: Promise<void>): void {
    const attended = task.catch((cause: unknown) => this.#failed(cause)).finally(() => this.#tasks.delete(attended))
    this.#tasks.add(attended)
  }
}

function freshIn(owing: readonly Owing[], before: readonly Owing[]): readonly Owing[] {
  return owing.filter(({ id }) => !before.some((other) => other.id === id))
}
