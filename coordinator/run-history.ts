import { assert } from '#protocol/assert.ts'
import type { RunId } from '#protocol/ids.ts'
import type { EventLog, Snapshots } from '#protocol/ports.ts'
import type { Live } from './live.ts'
import { untilAborted } from './pause.ts'
import { Recent } from './recent.ts'
import { type Run, stepRun } from './run.ts'
import { decodeEvent } from './run-events.ts'
import type { Advanced } from './runner.ts'
import { decodeStanding } from './snapshot.ts'

/** Whoever reads a history leaves a mark so often, from which the next one begins; and lets others have a turn. */
const MARK_EVENTS = 256
/** States are kept at so many marks, of all runs together. */
const MARKS_MAX = 512

/** What runs were at any position of their logs: read again, from the nearest state that is kept. */
export class RunHistory {
  readonly #doors: { readonly log: EventLog; readonly snapshots: Snapshots }
  readonly #marks = new Recent<string, Run>(MARKS_MAX)

  constructor(doors: { readonly log: EventLog; readonly snapshots: Snapshots }) {
    this.#doors = doors
  }

  /** A run's history from a position on, and then what comes, until the run ends or the signal fires. */
  async *follow(live: Live, from: number, signal: AbortSignal): AsyncIterable<Advanced> {
    const { id } = live
    let { run: state, position } = await this.#stateBefore(live, from)
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
        if (position >= from || position % MARK_EVENTS > 0) continue
        this.#marks.set(`${id} ${position}`, state)
        await new Promise((resolve) => setImmediate(resolve))
      }
      if (state?.phase === 'ended') return
      await untilAborted(woken, signal)
    }
  }

  /** The latest state at or before a position that can be had without the log. */
  async #stateBefore(
    live: Live,
    position: number,
  ): Promise<{ readonly run: Run | undefined; readonly position: number }> {
    if (position >= live.position) return { run: live.run, position: live.position }
    const snapshot =
      live.kept > 0 && live.kept <= position ? await snapshotOf(live.id, this.#doors.snapshots) : undefined
    const kept = snapshot && snapshot.position <= position ? snapshot.position : 0
    for (let at = position - (position % MARK_EVENTS); at > kept; at -= MARK_EVENTS) {
      const run = this.#marks.get(`${live.id} ${at}`)
      if (run) return { run, position: at }
    }
    return { run: kept > 0 ? snapshot?.standing.run : undefined, position: kept }
  }
}

/** A run as it was last kept. */
export async function snapshotOf(id: RunId, snapshots: Snapshots) {
  const snapshot = await snapshots.latest(id)
  const standing = snapshot && decodeStanding(snapshot.state)
  return snapshot && standing && { standing, position: snapshot.position }
}
