import type { EventLog } from '#protocol/ports.ts'
import type { Counters, Gauges } from './counters.ts'
import { outcomeOf } from './outcome.ts'
import { Phases } from './phases.ts'
import { hasReported } from './round/round.ts'
import type { Run } from './run.ts'
import type { Advanced } from './runner.ts'

/** What rounds take, and where it goes: told of every transition. */
export class RoundMeasures {
  readonly #counters: Counters
  readonly #phases = new Phases()

  constructor(counters: Counters) {
    this.#counters = counters
  }

  hear(advanced: Advanced): void {
    const { before, event } = advanced
    this.#counters.count('journal_events', event.kind)
    if (event.kind === 'finished') this.#counters.count('paid_micro_credits', undefined, Number(event.paid))
    const passed = this.#phases.hear(advanced)
    if (!passed) return
    const { past, stays } = passed
    const result = past.manifest === null ? 'aborted' : 'closed'
    const seconds = (past.endedAt - past.openedAt) / 1000
    this.#counters.count('rounds', result)
    this.#counters.time('round_duration_seconds', seconds, { result })
    for (const { phase, from, to } of stays) this.#counters.time('round_phase_seconds', (to - from) / 1000, { phase })
    const round = before?.round
    if (result === 'aborted' || !round || !('seats' in round)) return
    const reported = round.seats.filter(hasReported)
    this.#counters.count('round_seats', 'reported', reported.length)
    this.#counters.count('round_seats', 'lost', round.seats.length - reported.length)
    const slowest = Math.max(0, ...reported.map(({ trainMillis }) => trainMillis)) / 1000
    this.#counters.time('round_train_seconds', slowest)
    this.#counters.time('round_overhead_seconds', Math.max(0, seconds - slowest))
  }
}

/** What there is of runs now. */
export function runGauges(runs: readonly Run[], now: number): Gauges {
  const statuses: Record<string, number> = { funding: 0, running: 0, paused: 0, finishing: 0 }
  for (const run of runs) {
    const status = run.phase === 'ended' ? outcomeOf(run).outcome : run.phase
    statuses[status] = (statuses[status] ?? 0) + 1
  }
  const opened = runs.flatMap(({ round }) => (round ? [round.openedAt] : []))
  return {
    runs: statuses,
    oldest_open_round_seconds: opened.length === 0 ? 0 : Math.max(0, now - Math.min(...opened)) / 1000,
    unsettled_rounds: runs.reduce((sum, { owing }) => sum + owing.length, 0),
  }
}

/** The same log, each of whose appends is timed. @param heard of each stream that was appended to, and how long that took */
export function timedLog(log: EventLog, heard: (stream: string, millis: number) => void): EventLog {
  return {
    append: async (stream, position, entries) => {
      const began = performance.now()
      const appended = await log.append(stream, position, entries)
      heard(stream, performance.now() - began)
      return appended
    },
    read: (stream, from) => log.read(stream, from),
    head: (stream) => log.head(stream),
    streams: (prefix) => log.streams(prefix),
  }
}
