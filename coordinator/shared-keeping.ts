import { createAdapter } from '@socket.io/redis-streams-adapter'
import type { Logger } from 'pino'
import type { ServerOptions } from 'socket.io'
import type { Millis } from '#protocol/ids.ts'
import { systemClock } from '#storage/clock.ts'
import { openRedisLog } from '#storage/logs/redis.ts'
import { openRedisPresence } from '#storage/presence/redis.ts'
import { openBullQueue } from '#storage/queues/bullmq.ts'
import { openSharedRedis, type SharedRedis, type SharedRedisOptions } from '#storage/redis/connection.ts'
import { openRedisSnapshots } from '#storage/snapshots/redis.ts'
import type { JobReports, Keeping } from './keeping.ts'
import type { Job } from './runner.ts'

/** What processes say to one another about sockets: that a link is replaced. Nobody needs to hear it late. */
const SOCKET_MESSAGES_MAX = 1000
/** How long a reader of those waits, and so how long closing takes at most. */
const SOCKET_BLOCK_MILLIS: Millis = 1000

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
    adapter: socketAdapter(redis, doors),
  }
}

/**
 * Reaches the sockets of the other processes. The adapter never closes a reader of its own that waits for a Redis that is
 * away, and lets the process die of one whose first attempt fails, though it goes on trying.
 */
function socketAdapter(redis: SharedRedis, doors: AsyncDisposableStack): NonNullable<ServerOptions['adapter']> {
  const client = redis.connection('sockets')
  const name = redis.key('sockets')
  const last = client.xrevrange(name, '+', '-', 'COUNT', 1).then(
    ([entry]) => entry?.[0] ?? '0-0',
    () => '$',
  )
  const duplicate = client.duplicate.bind(client)
  client.duplicate = (override) => {
    const reader = duplicate(override)
    doors.defer(() => reader.disconnect())
    const connect = reader.connect.bind(reader)
    reader.connect = () =>
      new Promise((resolve) => {
        reader.once('ready', resolve)
        connect().catch(() => undefined)
      })
    // Until it has read something it would read from now on, each time, and miss what is said between two readings.
    const xread = reader.xread.bind(reader) as (...args: unknown[]) => Promise<unknown>
    reader.xread = (async (...args: unknown[]) =>
      xread(...args.slice(0, -1), args.at(-1) === '$' ? await last : args.at(-1))) as typeof reader.xread
    return reader
  }
  return createAdapter(client, {
    ...{ streamName: name, channelPrefix: name, sessionKeyPrefix: redis.key('socket', '') },
    ...{ maxLen: SOCKET_MESSAGES_MAX, blockTimeInMs: SOCKET_BLOCK_MILLIS },
  })
}
