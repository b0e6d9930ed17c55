import { describe, expect, test } from '@jest/globals'
import { StorageFull } from '#protocol/ports.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openRedisLog } from '#storage/logs/redis.ts'
import { redisForTests } from '#test/redis-suite.ts'
import { playFull } from './full-log.ts'
import { served } from './served.ts'

/** Two processes over one log in memory, in which there is room for so many more appends. */
async function filling() {
  const log = openMemoryLog()
  let room = Number.POSITIVE_INFINITY
  const append: typeof log.append = (...args) =>
    room-- > 0 ? log.append(...args) : Promise.reject(new StorageFull('the disk is full'))
  const one = await served({ log: { ...log, append } })
  const apis = [one, await served(one)] as const
  const fill = async (left: number) => {
    room = left
  }
  return { apis, fill, empty: () => fill(Number.POSITIVE_INFINITY) }
}

describe('a log that is full', () => {
  test.each([0, 1, 2])(
    'refuses what it has no room for as what may be tried again, and nothing of it is there: room for %d appends',
    async (left) => {
      // What needs one append has it where there is room for one; a run needs two, and is there with both or not at all.
      expect(await playFull(await filling(), left, 0)).toBe([15, 1, 0][left])
    },
  )

  test('keeps nobody from reading, though it cannot be kept that a key was used', async () => {
    const { apis, fill } = await filling()
    const [api] = apis
    const payload = { name: 'one', scopes: ['runs:read'] }
    const { key } = (await api.ask('/v1/api-keys', { method: 'POST', payload })).body
    await fill(0)
    for (const path of ['/v1/runs', '/v1/whoami']) expect((await api.ask(path, { key })).status).toBe(200)
  })
})

const what = 'a Redis without room, under two processes'
const redis = await redisForTests(what)
if (redis)
  test(`${what}: refuses changes by name, shows both what is there, and loses none of it`, async () => {
    const prefix = 'full'
    const [first, second] = [await redis.open({ prefix }), await redis.open({ prefix })]
    const one = await served({ log: openRedisLog(first), blobs: openMemoryBlobs() })
    const apis = [one, await served({ ...one, log: openRedisLog(second) })] as const
    const limit = (bytes: number) => first.commands.config('SET', 'maxmemory', bytes)
    expect(await playFull({ apis, fill: () => limit(1), empty: () => limit(0) }, 0, 1)).toBe(15)
  })
