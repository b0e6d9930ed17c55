import { join } from 'node:path'
import type { Logger } from 'pino'
import type { EventLog, Presence, Queue, SharedLog, Snapshots } from '#protocol/ports.ts'
import { systemClock } from '#storage/clock.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import type { QueueOptions } from '#storage/queues/options.ts'
import { openSqliteSnapshots } from '#storage/snapshots/sqlite.ts'
import type { Job } from './runner.ts'

/** What the runs live on. */
export type Keeping = {
  readonly log: EventLog | SharedLog
  readonly queue: Queue<Job>
  /** How many jobs this process has in its memory. */
  readonly jobs: () => number
  readonly presence: Presence
  readonly snapshots: Snapshots
}
export type KeepingConfig = {
  readonly state: string
  /** What several processes share; without it there is one. */
  readonly redis?: { readonly url: string; readonly trustedNetwork: boolean } | undefined
  /** Gives up a start that waits, for Redis above all. */
  readonly signal?: AbortSignal
  /** Called when the coordinator cannot go on (a broken invariant, a dead log). */
  readonly fatal: (cause: unknown) => void
}
type KeepingDoors = {
  readonly config: KeepingConfig
  readonly logger: Logger
  readonly doors: AsyncDisposableStack
}

/** Log, queue, presence and snapshots: of this process alone, or those that it shares. */
export async function openKeeping(doors: KeepingDoors): Promise<Keeping> {
  const reports = jobReports(doors.config, doors.logger)
  const { redis, signal } = doors.config
  if (!redis) return openAlone(doors, reports)
  // What speaks to Redis is half of what a coordinator loads, and most have none.
  const { openSharedKeeping } = await import('./shared-keeping.ts')
  return openSharedKeeping({ ...redis, ...(signal && { signal }) }, { ...doors, reports })
}

/** One process with a folder to itself. */
function openAlone({ config, doors }: KeepingDoors, reports: JobReports): Keeping {
  const queue = openMemoryQueue<Job>({ clock: systemClock, ...reports })
  return {
    log: doors.use(openSqliteLog({ file: join(config.state, 'log.sqlite') })),
    ...{ queue, jobs: () => queue.size },
    presence: doors.use(new MemoryPresence().openIn({})),
    snapshots: doors.use(openSqliteSnapshots({ file: join(config.state, 'snapshots.sqlite') })),
  }
}

/** Whom a queue tells of jobs that fail. */
export type JobReports = Pick<QueueOptions, 'onFailure' | 'onBroken'>

function jobReports({ fatal }: KeepingConfig, logger: Logger): JobReports {
  return {
    onFailure: ({ id, failures, cause }) =>
      logger.warn({ job: id, failures, err: cause }, 'an effect failed and is tried again'),
    onBroken: fatal,
  }
}
