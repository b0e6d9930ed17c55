import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from '@jest/globals'
import { Queue as BullQueue } from 'bullmq'
import { BrokenInvariant } from '#protocol/assert.ts'
import type { Millis } from '#protocol/ids.ts'
import { JOB_BYTES_MAX } from '#protocol/limits.ts'
import { openBullQueue } from '#storage/queues/bullmq.ts'
import type { JobFailure } from '#storage/queues/options.ts'
import type { SharedRedis } from '#storage/redis/connection.ts'
import { type QueueJob, queueConformance } from '#test/conformance/queues.ts'
import { comesTrue } from '#test/eventually.ts'
import { linesUntilKilled } from '#test/killed.ts'
import type { RedisServer } from '#test/redis.ts'
import { redisForTests } from '#test/redis-suite.ts'

const server = await redisForTests('the queue in Redis')

/** The queue as BullMQ sees it. */
function bullOf(redis: SharedRedis): BullQueue {
  return new BullQueue('jobs', { connection: redis.commands, prefix: redis.prefix }).on('error', () => undefined)
}

const countsOf = (bull: BullQueue) => bull.getJobCounts('wait', 'active', 'delayed', 'completed', 'failed')

async function countsIn(redis: SharedRedis): Promise<Record<string, number>> {
  const bull = bullOf(redis)
  try {
    return await countsOf(bull)
  } finally {
    await bull.close()
  }
}

/** Waits until what can be done without time has been done. What waits may wait for a worker that is still coming. */
async function settle(bull: BullQueue): Promise<void> {
  let before = ''
  for (let same = 0; ; ) {
    const counts = await countsOf(bull)
    const now = JSON.stringify(counts)
    same = now === before ? same + 1 : 0
    if (same > (counts['wait'] ? 40 : 10)) return
    before = now
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
}

/** Its pauses are of the usual lengths; for much time to pass, they are ended, one after another. */
async function pass(bull: BullQueue, millis: Millis): Promise<void> {
  await settle(bull)
  if (millis < 1000) return
  while ((await countsOf(bull))['delayed'] !== 0) {
    await bull.promoteJobs()
    await settle(bull)
  }
}

if (server) {
  const opened = new AsyncDisposableStack()
  afterAll(() => opened.disposeAsync() as Promise<void>)
  queueConformance('bullmq', async () => {
    const redis = await server.open()
    const bull = opened.adopt(bullOf(redis), (queue) => queue.close())
    const queue = opened.use(openBullQueue<QueueJob>({ redis, firstPauseMillis: 30_000 }))
    return { queue, pass: (millis) => pass(bull, millis) }
  })
  withBullMq(server)
}

async function nothingIsLeft(redis: SharedRedis): Promise<void> {
  await comesTrue(async () => Object.values(await countsIn(redis)).every((count) => count === 0))
}

function withBullMq(server: RedisServer): void {
  describe('a queue in Redis', () => {
    test('an id may be whatever the door allows, also what means something to BullMQ, and nothing is kept of it', async () => {
      const redis = await server.open()
      await using queue = openBullQueue<string>({ redis })
      const ids = ['0', '123', 'wait', 'active', 'meta', 'id', 'events', 'stalled', 'marker', '-', '_', 'run_A-7-0']
      const done: string[] = []
      await using _worker = queue.work(async (job) => void done.push(job))
      for (let round = 1; round <= 2; round++) {
        for (const id of ids) await queue.push(id, id)
        await comesTrue(async () => done.length === ids.length * round)
        await nothingIsLeft(redis)
      }
      expect(done.toSorted()).toEqual([...ids, ...ids].sort())
    })

    test('whatever a handler throws is the world’s fault and tried again with growing pauses, and none of it is stored', async () => {
      const named = (name: string, message: string) => Object.assign(new Error(message), { name })
      const thrown: readonly unknown[] = [
        named('UnrecoverableError', 'secret-of-a-handler'),
        named('DelayedError', 'secret-of-a-handler'),
        named('WaitingError', 'secret-of-a-handler'),
        new Error('bullmq:rateLimitExceeded'),
        undefined,
        'secret-of-a-handler',
      ]
      const redis = await server.open()
      const failures: JobFailure[] = []
      const at: number[] = []
      await using queue = openBullQueue<string>({
        redis,
        firstPauseMillis: 5,
        longestPauseMillis: 40,
        onFailure: (failure) => void failures.push(failure),
      })
      let stored = ''
      const done = Promise.withResolvers<void>()
      await using _worker = queue.work(async () => {
        at.push(performance.now())
        if (at.length <= thrown.length) throw thrown[at.length - 1]
        stored = JSON.stringify(await redis.commands.hgetall(redis.key('jobs', 'job-id')))
        done.resolve()
      })
      await queue.push('id', 'job')
      await done.promise
      expect(failures).toEqual(thrown.map((cause, index) => ({ id: 'id', failures: index + 1, cause })))
      const pauses = at.slice(1).map((time, index) => time - (at[index] as number))
      for (const [index, least] of [5, 10, 20, 40, 40, 40].entries()) expect(pauses[index]).toBeGreaterThan(least - 2)
      expect(stored).toContain('"data"')
      expect(stored).not.toContain('secret-of-a-handler')
    })

    test('a broken invariant is told once, and its job is left alone by this process', async () => {
      const redis = await server.open()
      const broken: BrokenInvariant[] = []
      let runs = 0
      await using queue = openBullQueue<string>({
        redis,
        lockMillis: 4000,
        stalledCheckMillis: 20,
        firstPauseMillis: 1,
        onBroken: (cause) => void broken.push(cause),
      })
      await using worker = queue.work(async () => {
        runs++
        throw new BrokenInvariant('two and two')
      })
      await queue.push('id', 'job')
      await comesTrue(async () => broken.length > 0)
      // It is held on to: its lock, which would run out and give it to whoever looks next, is renewed again and again.
      let [renewals, before] = [0, Number.POSITIVE_INFINITY]
      await comesTrue(async () => {
        const left = await redis.commands.pttl(redis.key('jobs', 'job-id', 'lock'))
        if (left > before) renewals++
        before = left
        return renewals === 2
      })
      expect(runs).toBe(1)
      expect(broken.map(({ message }) => message)).toEqual(['two and two'])
      await worker[Symbol.asyncDispose]()
    })

    test('a job that is more than a reference is our own mistake', async () => {
      await using queue = openBullQueue<string>({ redis: await server.open() })
      await queue.push('fits', 'x'.repeat(JOB_BYTES_MAX - 2))
      await expect(queue.push('larger', 'x'.repeat(JOB_BYTES_MAX - 1))).rejects.toThrow(BrokenInvariant)
    })

    test('the job of a process that was killed is done by another, again and again', async () => {
      const prefix = 'killed-workers'
      const redis = await server.open({ prefix })
      await using queue = openBullQueue<string>({ redis, lockMillis: 400, stalledCheckMillis: 50 })
      const script = fileURLToPath(new URL('./children/hold-job.ts', import.meta.url))
      await queue.push('id', 'held')
      for (let kill = 0; kill < 2; kill++)
        expect(await linesUntilKilled(script, [server.url, prefix], 1)).toEqual(['held'])
      const done = Promise.withResolvers<string>()
      await using _worker = queue.work(async (job) => done.resolve(job))
      expect(await done.promise).toBe('held')
      await nothingIsLeft(redis)
    })

    test('a process that is busy for half the time of its lock keeps its job', async () => {
      const prefix = 'busy'
      const [here, there] = [await server.open({ prefix }), await server.open({ prefix })]
      // Long against what a busy machine may take from a process, which would lose it the lock and is not the matter here.
      const timing = { lockMillis: 3000, stalledCheckMillis: 100 }
      await using queue = openBullQueue<string>({ redis: here, ...timing })
      await using other = openBullQueue<string>({ redis: there, ...timing })
      let runs = 0
      const handler = async () => {
        runs++
        for (let spell = 0; spell < 3; spell++) {
          for (const started = performance.now(); performance.now() - started < 1300; );
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
      }
      await using _one = queue.work(handler)
      await using _two = other.work(handler)
      await queue.push('id', 'job')
      await comesTrue(async () => runs > 0 && (await countsIn(here))['active'] === 0)
      expect(runs).toBe(1)
    })

    test('when Redis is killed and comes back every job is done, those that ran and those that waited', async () => {
      const redis = await server.open()
      await using queue = openBullQueue<string>({
        redis,
        concurrency: 2,
        lockMillis: 500,
        stalledCheckMillis: 50,
        firstPauseMillis: 10,
      })
      const done = new Set<string>()
      let failed = false
      const back = Promise.withResolvers<void>()
      for (let job = 0; job < 10; job++) await queue.push(`${job}`, `${job}`)
      await using _worker = queue.work(async (job) => {
        if (job === '0' && !failed) {
          failed = true
          throw new Error('fails once')
        }
        if (job === '1' || job === '2') await back.promise
        done.add(job)
      })
      await comesTrue(async () => failed)
      await server.kill()
      await redis.away()
      const pushed = queue.push('late', 'late')
      await server.start()
      back.resolve()
      await pushed
      await comesTrue(async () => done.size === 11)
      await nothingIsLeft(redis)
    })

    test('a worker can stop while Redis is away, and its job is not lost', async () => {
      const redis = await server.open()
      const queue = openBullQueue<string>({ redis, lockMillis: 300, stalledCheckMillis: 50 })
      const started = Promise.withResolvers<void>()
      const worker = queue.work(async (_job, signal) => {
        started.resolve()
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      })
      await queue.push('id', 'job')
      await started.promise
      await server.kill()
      await redis.away()
      await worker[Symbol.asyncDispose]()
      await server.start()
      const done = Promise.withResolvers<string>()
      await using _worker = queue.work(async (job) => done.resolve(job))
      expect(await done.promise).toBe('job')
    })
  })
}
