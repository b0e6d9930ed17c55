import type { Cid, Millis, Round, RunId } from '#protocol/ids.ts'
import type { Evaluation } from '#protocol/manifest.ts'
import type { EventLog } from '#protocol/ports.ts'
import { Recent } from './recent.ts'
import { decodeEvent } from './run-events.ts'

/** What the log says of a sum that was made. */
export type Aggregated = {
  readonly round: Round
  readonly manifest: Cid
  /** The model after the round; of an evaluate round the one that it tested. */
  readonly model: Cid
  /** Of the model that the round started from. */
  readonly evaluation: Evaluation
  /** The longest that any of its nodes trained, by that node's own clock. */
  readonly trainMillis: Millis
}

/** Runs of which the sums are kept: of a thousand rounds some hundred kilobytes each. */
const KEPT_MAX = 256

type Read = { position: number; slowest: Millis; aggregated: readonly Aggregated[]; turn: Promise<void> }

/**
 * What was measured in each round of a run, read off its log: a run's state does not grow by it, and no block is read for it.
 * Each entry is read once by each process, and again only where too many other runs were asked for since.
 */
export class Curves {
  readonly #log: EventLog
  readonly #read = new Recent<RunId, Read>(KEPT_MAX)

  constructor(log: EventLog) {
    this.#log = log
  }

  /** Of all sums that are in the log by now, the first one first. */
  async of(run: RunId): Promise<readonly Aggregated[]> {
    const read = this.#read.get(run) ?? this.#begin(run)
    const turn = read.turn.then(() => this.#readOn(run, read))
    read.turn = turn.catch(() => undefined)
    await turn
    return read.aggregated
  }

  #begin(run: RunId): Read {
    const read: Read = { position: 0, slowest: 0, aggregated: [], turn: Promise.resolve() }
    this.#read.set(run, read)
    return read
  }

  async #readOn(run: RunId, read: Read): Promise<void> {
    const fresh: Aggregated[] = []
    try {
      for await (const entry of this.#log.read(run, read.position)) {
        const event = decodeEvent(entry)
        read.position++
        if (event.kind === 'opened') read.slowest = 0
        if (event.kind === 'reported') read.slowest = Math.max(read.slowest, event.trainMillis)
        if (event.kind !== 'aggregated') continue
        const { round, manifest, model, evaluation } = event
        fresh.push({ round, manifest, model, evaluation, trainMillis: read.slowest })
      }
    } finally {
      // Also where the log went away in the middle: an entry is read once.
      if (fresh.length > 0) read.aggregated = [...read.aggregated, ...fresh]
    }
  }
}
