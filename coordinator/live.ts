import type { Millis, RunId } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { type Obligation, obligations, sameObligation } from './obligations.ts'
import { nextDeadline, type Run, type RunRefusal, stepRun } from './run.ts'
import type { RunEvent } from './run-events.ts'

/** An event before the clock has been read: the runner stamps it as it comes in. */
export type Unstamped = RunEvent extends infer E ? (E extends RunEvent ? Omit<E, 'at'> : never) : never

/**
 * An obligation under the name that it has for ever: the place in history after which it was owed for the first time. So
 * every process that reads the log pushes the same job, and a queue that has it already takes no second one.
 */
export type Owing = { readonly id: string; readonly owed: Obligation }

/** What a run's history up to a position amounts to. */
export type Standing = { readonly run: Run; readonly owing: readonly Owing[] }

/** The standing after one more event, which was accepted at this position and made this of the run. */
export function standingAfter(before: readonly Owing[], after: Run, position: number): Standing {
  let fresh = 0
  const owing = obligations(after).map((owed) => {
    const known = before.find((other) => sameObligation(other.owed, owed))
    return known ?? { id: `${after.spec.run}-${position}-${fresh++}`, owed }
  })
  return { run: after, owing }
}

/** An event whose turn has not come, when it came in, and who waits to hear what became of it. */
export type Waiting = {
  readonly event: Unstamped
  readonly at: Millis
  /** A deadline's event is for that deadline alone. */
  readonly due: Millis | undefined
  readonly answer: PromiseWithResolvers<Result<Run, RunRefusal>>
}

/** What the batch makes of the state, each event upon the ones before it. */
export function judge(state: Run | undefined, batch: readonly Waiting[]) {
  const accepted: { readonly after: Run; readonly event: RunEvent }[] = []
  let run = state
  const answers = batch.map(({ event: unstamped, at, due }): Result<Run, RunRefusal> => {
    if (due !== undefined && (!run || nextDeadline(run) !== due)) return refuse('not-due', 'the phase has ended')
    // A log's times never go back, whichever process's clock is ahead.
    const event = { ...unstamped, at: Math.max(at, run?.at ?? 0) } as RunEvent
    const next = stepRun(run, event)
    if (!next.ok) return next
    run = next.value
    accepted.push({ after: run, event })
    return accept(run)
  })
  return { answers, accepted }
}

/** One run in memory: its state, its place in the log, its turn. */
export class Live {
  readonly id: RunId
  run: Run | undefined
  position = 0
  owing: readonly Owing[] = []
  /** When what is owed was learned of here, or pushed last. */
  readonly since = new Map<string, Millis>()
  /** Where the latest snapshot that is known of lies. */
  kept = 0
  /** Events that came while a turn was under way. */
  readonly waiting: Waiting[] = []
  /** Those who want to know whether the log has grown. */
  readonly asking: PromiseWithResolvers<boolean>[] = []
  turning: Promise<void> | undefined
  deadline: Millis | undefined
  timer = new AbortController()
  #change = Promise.withResolvers<void>()

  constructor(id: RunId) {
    this.id = id
  }

  stand({ run, owing }: Standing, position: number, now: Millis): void {
    this.run = run
    this.position = position
    if (owing.length === this.owing.length && owing.every((one, index) => one === this.owing[index])) return
    this.owing = owing
    const ids = new Set(owing.map(({ id }) => id))
    for (const id of this.since.keys()) if (!ids.has(id)) this.since.delete(id)
    for (const id of ids) if (!this.since.has(id)) this.since.set(id, now)
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
