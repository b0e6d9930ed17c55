import type { Presence } from '#protocol/ports.ts'
import { systemClock } from '#storage/clock.ts'
import { openRedisPresence } from '#storage/presence/redis.ts'
import type { SharedRedis } from '#storage/redis/connection.ts'
import { openRedisSnapshots } from '#storage/snapshots/redis.ts'
import { type Processes, presenceConformance } from '#test/conformance/presence.ts'
import { snapshotsConformance } from '#test/conformance/snapshots.ts'
import { type RedisServer, redisForTests } from '#test/redis.ts'

const server = await redisForTests('presence and snapshots in Redis')
let fleets = 0

/** Each process with a connection of its own, as it is in the world. */
async function openFleet({ open }: RedisServer): Promise<Processes> {
  const scope = new AsyncDisposableStack()
  const prefix = `fleet${fleets++}`
  const links = new Map<Presence, SharedRedis>()
  return {
    async enter() {
      const redis = scope.use(await open({ prefix }))
      const presence = scope.use(openRedisPresence({ redis, clock: systemClock, renewMillis: 40 }))
      links.set(presence, redis)
      return presence
    },
    kill: async (presence) => links.get(presence)?.[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: () => scope.disposeAsync() as Promise<void>,
  }
}

if (server) {
  presenceConformance('redis', () => openFleet(server))
  snapshotsConformance('redis', async () => openRedisSnapshots(await server.open()))
}
