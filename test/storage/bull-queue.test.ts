import { afterAll } from '@jest/globals'
import { Queue as BullQueue } from 'bullmq'
import { openBullQueue } from '#storage/queues/bullmq.ts'
import type { SharedRedis } from '#storage/redis/connection.ts'
import { type QueueJob, queueConformance } from '#test/conformance/queues.ts'
import { redisForTests } from '#test/redis.ts'

const server = await redisForTests('the queue in Redis')

/** Waits until what can be done without time has been done; and when much time is to pass, until all pauses are over. */
async function settle(redis: SharedRedis, patient: boolean): Promise<void> {
  await using scope = new AsyncDisposableStack()
  const jobs = scope.adopt(
    new BullQueue('jobs', { connection: redis.commands, prefix: redis.prefix, skipVersionCheck: true }),
    (queue) => queue.close(),
  )
  let before = ''
  for (let same = 0; same < 20; ) {
    const counts = await jobs.getJobCounts('wait', 'active', 'delayed')
    const now = JSON.stringify(counts)
    same = now === before && !(patient && counts['delayed'] !== 0) ? same + 1 : 0
    before = now
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

if (server) {
  const opened = new AsyncDisposableStack()
  afterAll(() => opened.disposeAsync() as Promise<void>)

  queueConformance('bullmq', async () => {
    const redis = await server.open()
    const queue = opened.use(openBullQueue<QueueJob>({ redis, firstPauseMillis: 100, longestPauseMillis: 200 }))
    return { queue, pass: (millis) => settle(redis, millis > 1000) }
  })
}
