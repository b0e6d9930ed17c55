import { deadlineOf, type Round, stepRound } from '#coordinator/round/round.ts'
import { type Run, stepRun } from '#coordinator/run.ts'
import { decodeEvent, type RunEvent } from '#coordinator/run-events.ts'
import type { Advanced } from '#coordinator/runner.ts'
import { assert } from '#protocol/assert.ts'
import { toHex } from '#protocol/bytes.ts'
import { isBytes } from '#protocol/codec.ts'
import type { Bytes, Millis, RunId } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'

/** What a run does not do in any play, whatever goes wrong around it. */
export class Violation extends Error {
  override name = 'Violation'
}

/** A phase that is open, and when by the true clock it is over at the latest. */
type Due = {
  readonly round: number
  readonly phase: string
  readonly endsAt: Millis
  /** From when it was written. */
  readonly lastsMillis: Millis
  at: Millis
}

/** A deadline may be missed by this: an append that failed is tried again after a second. */
const LATE_MILLIS_MAX: Millis = 1000

/**
 * Follows the run from its log alone, as it is written, and knows what must hold of it: each event is accepted, each phase
 * ends in its time, each round ends with a word for every seat. What a coordinator's process believes is compared with it.
 */
export class Watch {
  readonly #id: RunId
  readonly #clock: Clock
  readonly #slowestNow: () => Millis
  readonly #heard: (advanced: Advanced) => void
  #run: Run | undefined
  #position = 0
  #due: Due | undefined
  #over: readonly Round[] = []

  /**
   * @param slowestNow the time by the coordinator's clock that is most behind
   * @param heard told of every event, once it is in the log
   */
  constructor(
    id: RunId,
    {
      clock,
      slowestNow,
      heard,
    }: {
      readonly clock: Clock
      readonly slowestNow: () => Millis
      readonly heard: (advanced: Advanced) => void
    },
  ) {
    this.#id = id
    this.#clock = clock
    this.#slowestNow = slowestNow
    this.#heard = heard
  }

  get run(): Run | undefined {
    return this.#run
  }

  get position(): number {
    return this.#position
  }

  /** Every round that is over, as it ended. */
  get over(): readonly Round[] {
    return this.#over
  }

  appended(stream: string, entries: readonly Bytes[]): void {
    if (stream !== this.#id) return
    for (const entry of entries) {
      const event = decodeEvent(entry)
      const before = this.#run
      const next = stepRun(before, event)
      if (!next.ok) throw new Violation(`the log holds an event that is refused: ${event.kind}: ${next.refusal}`)
      if (event.at < (before?.at ?? 0)) throw new Violation('time goes back in the log')
      this.#run = next.value
      this.#position++
      this.#close(before, event, next.value)
      this.#expect(next.value.round, event.at)
      this.#heard({ before, after: next.value, event, position: this.#position - 1 })
    }
  }

  /** To be called every so often. @param isServed whether any process could have ended what is overdue, since last time */
  check(isServed: boolean, sinceMillis: Millis): void {
    const due = this.#due
    if (!due) return
    if (!isServed) due.at += sinceMillis
    else if (this.#clock.now() > due.at + LATE_MILLIS_MAX + sinceMillis)
      throw new Violation(
        `round ${due.round} hangs in ${due.phase}: ${this.#clock.now() - due.at} ms past its deadline`,
      )
  }

  /** A process that was stopped goes on: it learns only now what was written meanwhile, and waits from here. */
  extend(): void {
    const due = this.#due
    if (due) due.at = Math.max(due.at, this.#clock.now() + due.lastsMillis)
  }

  /** A process knows what the log says, or less of it. */
  compare(believed: Run | undefined, position: number): void {
    if (position > this.#position) throw new Violation('a process believes what is not in the log')
    if (position === this.#position && textOf(believed) !== textOf(this.#run))
      throw new Violation('replay and life differ')
  }

  #close(before: Run | undefined, event: RunEvent, after: Run): void {
    if (!before?.round || after.round?.round === before.round.round) return
    const round = endedBy(before.round, event, after)
    if (round.phase === 'aborted' && !round.reason) throw new Violation(`round ${round.round} has no reason`)
    if ('seats' in round && round.seats?.includes('waiting'))
      throw new Violation(`round ${round.round} ended without a word about some seat`)
    this.#over = [...this.#over, round]
  }

  #expect(round: Round | undefined, writtenAt: Millis): void {
    const endsAt = round && deadlineOf(round)
    if (!round || endsAt === undefined) {
      this.#due = undefined
      return
    }
    const { round: number, phase } = round
    const [was, step] = [this.#due, 'step' in round ? ` ${round.step}` : '']
    if (was?.round === number && was.phase === phase + step && was.endsAt === endsAt) return
    // What was written late has its time all the same. A clock that was set meanwhile may be past it already.
    const lastsMillis = Math.max(0, endsAt - Math.min(writtenAt, this.#slowestNow()))
    this.#due = { round: number, phase: phase + step, endsAt, lastsMillis, at: this.#clock.now() + lastsMillis }
  }
}

/** The whole of a state. In whatever order its fields were set, and of whatever realm they are, it is the same. */
function textOf(run: Run | undefined): string | undefined {
  return JSON.stringify(run, (_, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`
    if (isBytes(value)) return toHex(value)
    const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isRecord ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value
  })
}

/** The round as it was when it was over. */
function endedBy(round: Round, event: RunEvent, { unrecorded }: Run): Round {
  if (unrecorded?.round === round.round) return unrecorded
  const ended = stepRound(round, event as Parameters<typeof stepRound>[1])
  assert(ended.ok, 'the event that ended the round is accepted again')
  return ended.value
}
