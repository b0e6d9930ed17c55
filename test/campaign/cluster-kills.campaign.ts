import { setTimeout as pause } from 'node:timers/promises'
import { test } from '@jest/globals'
import { openRedisLog } from '#storage/logs/redis.ts'
import { openSharedRedis } from '#storage/redis/connection.ts'
import { campaign, checkLedger, compare, figures } from '#test/chaos/campaign.ts'
import { Deployment } from '#test/chaos/deployment.ts'
import type { Risks } from '#test/chaos/storm.ts'
import { Wire } from '#test/chaos/wire.ts'
import type { RedisServer } from '#test/redis.ts'
import { redisForTests } from '#test/redis-suite.ts'

/**
 * How many times one of the coordinators is killed over all runs, and from which seed on: a slice in CI, the whole by hand. A kill costs
 * as much as a few seeds of a simulation.
 */
const KILLS = Math.ceil(Number(process.env['CONSILIUM_SEEDS'] ?? 600) / 3)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 50_000)

const FEDERATION = { seed: 'kills', nodes: 3 }
const COORDINATORS = 3
/** The longest that Redis is stopped, cut off or dead. */
const AWAY_MILLIS = 3000

const what = `${KILLS} times kill -9 of one of ${COORDINATORS} coordinators from seed ${FIRST} on, and of the Redis that they share: nothing lost, nobody paid twice, no round stranded, the same model`
const redis = await redisForTests(what)
if (redis)
  test(what, async () => {
    const { played, receipts } = await disturbed(redis)
    await using calm = await Deployment.open(FEDERATION)
    const compared = await compare(calm, played)
    process.stdout.write(`cluster kills campaign: ${JSON.stringify(figures(played, { receipts, compared }))}\n`)
  }, 3_600_000)

async function disturbed(redis: RedisServer) {
  await using wire = await Wire.open(redis.port, FIRST, { meanMillisToReset: 20_000 })
  const shape = { ...FEDERATION, coordinators: COORDINATORS, redis: `redis://127.0.0.1:${wire.port}` }
  await using deployment = await Deployment.open({ ...shape, weather: { meanMillisToReset: 30_000, delayMillis: 1 } })
  const risks = { crashCoordinator: 8, pauseCoordinator: 1, pauseNode: 1, resetWires: 1, others: ofRedis(redis, wire) }
  const done = await campaign(deployment, { kills: KILLS, firstSeed: FIRST, risks, harmful: { crashNode: 2 } })
  await deployment.close()
  await using shared = await openSharedRedis({ url: redis.url })
  await checkLedger(
    openRedisLog(shared),
    done.played.map(({ account }) => account),
  )
  return done
}

function ofRedis(redis: RedisServer, wire: Wire): NonNullable<Risks['others']> {
  return [
    {
      ...{ name: 'Redis killed', likely: 1 },
      befall: async (unit) => {
        await redis.kill()
        await pause(AWAY_MILLIS * unit())
        await redis.start()
      },
    },
    {
      ...{ name: 'Redis paused', likely: 1 },
      befall: async (unit) => {
        redis.freeze()
        await pause(AWAY_MILLIS * unit())
        redis.thaw()
      },
    },
    {
      ...{ name: 'Redis cut off', likely: 1 },
      befall: async (unit) => {
        wire.cut()
        await pause(AWAY_MILLIS * unit())
        wire.mend()
      },
    },
  ]
}
