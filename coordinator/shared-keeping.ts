import type { Logger } from 'pino'
import { systemClock } from '#storage/clock.ts'
import { openRedisLog } from '#storage/logs/redis.ts'
import { openRedisPresence } from '#storage/presence/redis.ts'
import { openBullQueue } from '#storage/queues/bullmq.ts'
import { openSharedRedis, type SharedRedisOptions } from '#storage/redis/connection.ts'
import { openRedisSnapshots } from '#storage/snapshots/redis.ts'
import type { JobReports, Keeping } from './keeping.ts'
import type { Job } from './runner.ts'

type SharedKeepingDoors = {
  readonly logger: Logger
  readonly doors: AsyncDisposableStack
  readonly reports: JobReports
}

/** Of one of several processes that share a Redis. */
export async function openSharedKeeping(
  options: Pick<SharedRedisOptions, 'url' | 'trustedNetwork' | 'signal'>,
  { logger, doors, reports }: SharedKeepingDoors,
): Promise<Keeping> {
  const onChange = (state: string, reason: string) => logger.warn({ reason }, `Redis is ${state}`)
  const redis = doors.use(await openSharedRedis({ ...options, onChange }))
  const onError = (err: unknown) => logger.warn({ err }, 'Redis did not do it')
  return {
    log: openRedisLog(redis),
    queue: doors.use(openBullQueue<Job>({ redis, onError, ...reports })),
    // They wait in Redis.
    jobs: () => 0,
    presence: doors.use(openRedisPresence({ redis, clock: systemClock, onError })),
    snapshots: openRedisSnapshots(redis),
  }
}
