import { join } from 'node:path'
import { createAdapter } from '@socket.io/redis-streams-adapter'
import type { Logger } from 'pino'
import type { ServerOptions } from 'socket.io'
import type { Millis } from '#protocol/ids.ts'
import type { EventLog, Presence, Queue, SharedLog, Snapshots } from '#protocol/ports.ts'
import { systemClock } from '#storage/clock.ts'
import { openRedisLog } from '#storage/logs/redis.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { openRedisPresence } from '#storage/presence/redis.ts'
import { openBullQueue } from '#storage/queues/bullmq.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import type { QueueOptions } from '#storage/queues/options.ts'
import { openSharedRedis, type SharedRedis } from '#storage/redis/connection.ts'
import { openRedisSnapshots } from '#storage/snapshots/redis.ts'
import { openSqliteSnapshots } from '#storage/snapshots/sqlite.ts'
import type { Job } from './runner.ts'

/** What processes say to one another about sockets: that a link is replaced. Nobody needs to hear it late. */
const SOCKET_MESSAGES_MAX = 1000
/** How long a reader of those waits, and so how long closing takes at most. */
const SOCKET_BLOCK_MILLIS: Millis = 1000

/** What the runs live on. */
export type Keeping = {
  readonly log: EventLog | SharedLog
  readonly queue: Queue<Job>
  /** How many jobs this process has in its memory. */
  readonly jobs: () => number
  readonly presence: Presence
  readonly snapshots: Snapshots
  readonly adapter?: ServerOptions['adapter']
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
  return doors.config.redis ? openShared(doors.config.redis, doors) : openAlone(doors)
}

/** One process with a folder to itself. */
function openAlone({ config, logger, doors }: KeepingDoors): Keeping {
  const queue = openMemoryQueue<Job>({ clock: systemClock, ...jobReports(config, logger) })
  return {
    log: doors.use(openSqliteLog({ file: join(config.state, 'log.sqlite') })),
    ...{ queue, jobs: () => queue.size },
    presence: doors.use(new MemoryPresence().openIn({})),
    snapshots: doors.use(openSqliteSnapshots({ file: join(config.state, 'snapshots.sqlite') })),
  }
}

/** One of several that share a Redis. */
async function openShared(
  options: NonNullable<KeepingConfig['redis']>,
  { config, logger, doors }: KeepingDoors,
): Promise<Keeping> {
  const onChange = (state: string, reason: string) => logger.warn({ reason }, `Redis is ${state}`)
  const { signal } = config
  const redis = doors.use(await openSharedRedis({ ...options, onChange, ...(signal && { signal }) }))
  const onError = (err: unknown) => logger.warn({ err }, 'Redis did not do it')
  return {
    log: openRedisLog(redis),
    queue: doors.use(openBullQueue<Job>({ redis, onError, ...jobReports(config, logger) })),
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

function jobReports({ fatal }: KeepingConfig, logger: Logger): Pick<QueueOptions, 'onFailure' | 'onBroken'> {
  return {
    onFailure: ({ id, failures, cause }) =>
      logger.warn({ job: id, failures, err: cause }, 'an effect failed and is tried again'),
    onBroken: fatal,
  }
}
