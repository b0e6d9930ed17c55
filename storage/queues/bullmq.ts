import { type Job as BullJob, Queue as BullQueue, WaitingError, Worker } from 'bullmq'
import { assert, BrokenInvariant } from '#protocol/assert.ts'
import { utf8 } from '#protocol/bytes.ts'
import type { Millis } from '#protocol/ids.ts'
import { JOB_BYTES_MAX, QUEUE_JOBS_MAX } from '#protocol/limits.ts'
import type { Queue } from '#protocol/ports.ts'
import type { SharedRedis } from '../redis/connection.ts'
import { checkJobId, pauseAfter, QUEUE_DEFAULTS, type QueueOptions } from './options.ts'

/**
 * Jobs in Redis, for any number of processes. A running job is held by a lock that its process renews; one whose process
 * died is given to another after `lockMillis` and a look for such jobs. A process that was thought dead and was not does
 * the job a second time.
 *
 * BullMQ keeps a finished job's id, gives up what failed or stalled too often, reads meanings into the names and
 * messages of errors, and stores both: here nothing is kept, nothing is given up, and it is shown one error of ours.
 */
export function openBullQueue<Job>({
  redis,
  lockMillis = 5000,
  stalledCheckMillis = 1000,
  onError = () => undefined,
  ...options
}: BullQueueOptions): Queue<Job> & AsyncDisposable {
  const { concurrency, onFailure, onBroken, ...pauses } = { ...QUEUE_DEFAULTS, ...options }
  const shared = { connection: redis.commands, prefix: redis.prefix } as const
  const jobs = new BullQueue<Job>(NAME, { ...shared, streams: { events: { maxLen: EVENTS_MAX } } })
  jobs.on('error', onError)

  return {
    async push(id, job) {
      checkJobId(id)
      const size = utf8(JSON.stringify(job)).length
      assert(size <= JOB_BYTES_MAX, `a job is at most ${JOB_BYTES_MAX} bytes`)
      const { wait = 0, delayed = 0, active = 0 } = await jobs.getJobCounts('wait', 'delayed', 'active')
      if (wait + delayed + active >= QUEUE_JOBS_MAX) throw new Error(`${QUEUE_JOBS_MAX} jobs wait already`)
      await (jobs as BullQueue).add(NAME, job, {
        jobId: `${OURS}${id}`,
        attempts: TRIES_MAX,
        backoff: { type: 'growing' },
        removeOnComplete: true,
        removeOnFail: true,
        stackTraceLimit: 0,
      })
    },
    work(handler) {
      const stop = new AbortController()
      const running = new Set<Promise<unknown>>()
      const stopped = new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }))

      /** Back to the front of the queue, unless the lock was lost and it is there already. */
      async function leave(job: BullJob<Job>, token: string | undefined): Promise<never> {
        await job.moveToWait(token).catch(onError)
        throw new WaitingError()
      }

      async function run(job: BullJob<Job>, token: string | undefined): Promise<void> {
        if (stop.signal.aborted) return leave(job, token)
        // The handler alone is waited for when the worker stops: what Redis still has to be told may have to wait for it.
        const doing = (async () => handler(job.data, stop.signal))()
        const done = doing.catch(() => undefined).finally(() => running.delete(done))
        running.add(done)
        try {
          await doing
        } catch (cause) {
          if (cause instanceof BrokenInvariant) {
            onBroken(cause)
            await stopped
            throw new WaitingError()
          }
          if (stop.signal.aborted) return leave(job, token)
          onFailure({ id: (job.id ?? '').slice(OURS.length), failures: job.attemptsMade + 1, cause })
          throw new Error('it is tried again')
        }
      }

      const worker = new Worker<Job>(NAME, run, {
        ...shared,
        concurrency,
        lockDuration: lockMillis,
        // Renewed between an eighth and a quarter of its time, so a process that is busy for the rest keeps it.
        lockRenewTime: lockMillis / 4,
        stalledInterval: stalledCheckMillis,
        maxStalledCount: TRIES_MAX,
        runRetryDelay: 1000,
        settings: { backoffStrategy: (failures) => pauseAfter(failures, pauses) },
      })
      worker.on('error', onError)
      return {
        async [Symbol.asyncDispose]() {
          const closed = worker.close()
          stop.abort(new DOMException('the worker stops', 'AbortError'))
          await Promise.all(running)
          // With Redis away nobody can be told: it is told when it is back, or the locks run out and others take over.
          await Promise.race([closed, redis.away()])
        },
      }
    },
    [Symbol.asyncDispose]: () => jobs.close(),
  }
}

export type BullQueueOptions = QueueOptions & {
  readonly redis: SharedRedis
  /** How long a process may be silent before its running jobs are given to others. */
  readonly lockMillis?: Millis
  readonly stalledCheckMillis?: Millis
  /** Told of what goes wrong between BullMQ and Redis. It goes on by itself. */
  readonly onError?: (cause: Error) => void
}

const NAME = 'jobs'
/** In front of our ids: BullMQ takes no whole numbers, and keeps its own things at `wait`, `meta`, and so on. */
const OURS = 'job-'
/** For ever. Lua counts exactly up to here. */
const TRIES_MAX = 2 ** 53 - 1
/** BullMQ's own record of what happened, which nobody reads. */
const EVENTS_MAX = 100
