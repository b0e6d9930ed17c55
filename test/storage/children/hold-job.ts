import { writeSync } from 'node:fs'
import { openBullQueue } from '#storage/queues/bullmq.ts'
import { openSharedRedis } from '#storage/redis/connection.ts'

/** Takes jobs, says which, and never ends one. Killed by its test. */
const [url = '', prefix = ''] = process.argv.slice(2)
const redis = await openSharedRedis({ url, prefix })
const queue = openBullQueue<string>({ redis, lockMillis: 400, stalledCheckMillis: 50 })
queue.work(async (job) => {
  writeSync(1, `${job}\n`)
  await new Promise(() => undefined)
})
