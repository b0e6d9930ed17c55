import type { Millis, RunId } from '#protocol/ids.ts'
import type { Clock, EventLog, SharedLog } from '#protocol/ports.ts'
import { passes } from './pause.ts'
import type { Runner } from './runner.ts'

export type PatrolDoors = {
  readonly runner: Runner
  /** One that other processes write as well has news. */
  readonly log: EventLog | SharedLog
  readonly clock: Clock
  /** Told of the world's faults; the next round comes all the same. */
  readonly failed: (cause: unknown) => void
}

/** How often it looks: what one process lost by dying is taken up within this and {@link OVERDUE_MILLIS}. */
const LOOK_MILLIS: Millis = 3000

/** Longer than any push takes that its own process is still about to make. */
const OVERDUE_MILLIS: Millis = 3000

/**
 * What keeps a run moving when a process dies between two steps, or the news of an event is lost: every few seconds it
 * looks whether a log has grown, and pushes again what has been owed for long. On a log with news it listens to them, so
 * that what other processes append is known here at once. Until the signal fires.
 */
export async function patrol(doors: PatrolDoors, signal: AbortSignal): Promise<void> {
  const { runner, log, clock, failed } = doors
  if ('news' in log) void listen({ ...doors, log }, signal)
  while (await passes(clock, LOOK_MILLIS, signal)) {
    try {
      if ('news' in log) await lookAround(runner, log)
      await runner.pushOverdue(OVERDUE_MILLIS)
    } catch (cause) {
      failed(cause)
    }
  }
}

async function listen(doors: PatrolDoors & { readonly log: SharedLog }, signal: AbortSignal): Promise<void> {
  const { runner, log, clock, failed } = doors
  do {
    try {
      for await (const stream of log.news(signal)) if (isRun(stream)) runner.hear(stream).catch(failed)
    } catch (cause) {
      failed(cause)
    }
  } while (await passes(clock, LOOK_MILLIS, signal))
}

/** Runs that nobody told of, and those that may have moved. */
async function lookAround(runner: Runner, log: SharedLog): Promise<void> {
  for await (const stream of log.streams('run_')) {
    const run = stream as RunId
    if (runner.run(run)?.phase !== 'ended') await runner.hear(run)
  }
}

function isRun(stream: string): stream is RunId {
  return stream.startsWith('run_')
}
