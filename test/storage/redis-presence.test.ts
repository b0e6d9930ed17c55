import { describe, expect, test } from '@jest/globals'
import type { NodeId } from '#protocol/ids.ts'
import type { Presence } from '#protocol/ports.ts'
import { systemClock } from '#storage/clock.ts'
import { openRedisPresence } from '#storage/presence/redis.ts'
import type { SharedRedis } from '#storage/redis/connection.ts'
import { openRedisSnapshots } from '#storage/snapshots/redis.ts'
import { Wire } from '#test/chaos/wire.ts'
import { nodesOf, type Processes, presenceConformance } from '#test/conformance/presence.ts'
import { snapshotsConformance } from '#test/conformance/snapshots.ts'
import { comesTrue } from '#test/eventually.ts'
import type { RedisServer } from '#test/redis.ts'
import { redisForTests } from '#test/redis-suite.ts'

const server = await redisForTests('presence and snapshots in Redis')
let fleets = 0

/** Long against what a busy machine and the disk under Redis may take from one process and not from another: three are its death. */
const RENEW_MILLIS = 400

/** Each process with a connection of its own, as it is in the world. */
async function openFleet({ open }: RedisServer): Promise<Processes> {
  const scope = new AsyncDisposableStack()
  const prefix = `fleet${fleets++}`
  const links = new Map<Presence, SharedRedis>()
  return {
    async enter() {
      const redis = scope.use(await open({ prefix }))
      const presence = scope.use(openRedisPresence({ redis, clock: systemClock, renewMillis: RENEW_MILLIS }))
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
  withFaults(server)
}

function withFaults(server: RedisServer): void {
  const [ann, ben, cat] = nodesOf(3) as [NodeId, NodeId, NodeId]
  const renewMillis = RENEW_MILLIS / 2
  /** Longer than a process may be silent. */
  const long = () => new Promise((resolve) => setTimeout(resolve, 5 * renewMillis))

  /** Two processes, the second behind a wire of its own. */
  async function pair(prefix: string) {
    const scope = new AsyncDisposableStack()
    const wire = scope.use(await Wire.open(server.port, 1))
    const [first, second] = [
      scope.use(await server.open({ prefix, longestPauseMillis: 20 })),
      scope.use(await server.open({ prefix, longestPauseMillis: 20, url: `redis://127.0.0.1:${wire.port}` })),
    ]
    const [one, two] = [first, second].map((redis) =>
      scope.use(openRedisPresence({ redis, clock: systemClock, renewMillis })),
    ) as [Presence, Presence]
    return { one, two, wire, first, second, [Symbol.asyncDispose]: () => scope.disposeAsync() as Promise<void> }
  }

  describe('presence in a Redis that fails', () => {
    test.each(['is killed and comes back', 'stands still'])(
      'when it %s after longer than a process may be silent, nobody who is linked is told as an orphan',
      async (how) => {
        await using both = await pair(`away-${how.length}`)
        const { one, two } = both
        await one.arrived(ann)
        await two.arrived(ben)
        if (how === 'stands still') server.freeze()
        else await server.kill()
        await long()
        if (how === 'stands still') server.thaw()
        else await server.start()
        const started = performance.now()
        for (let asked = 0; asked < 20 || performance.now() - started < 8 * renewMillis; asked++) {
          expect(await one.orphans()).toEqual([])
          expect(await two.orphans()).toEqual([])
          expect(await one.nodes()).toEqual([ann, ben])
        }
      },
    )

    test('a process that was cut off says its links again when it is back, but takes back none that moved', async () => {
      await using both = await pair('cut-off')
      const { one, two, wire } = both
      for (const node of [ann, ben, cat]) await two.arrived(node)
      await one.arrived(cat)
      wire.cut()
      expect(await orphansOf(one, 2)).toEqual([ann, ben])
      await one.arrived(ben)
      expect(await one.departed(cat)).toBe(true)
      wire.mend()
      await comesTrue(async () => (await one.has(ann)) && (await two.has(ann)))
      expect(await one.nodes()).toEqual([ann, ben])
      await comesTrue(async () => (await two.moved()).length === 2)
      expect(await two.moved()).toEqual([ben, cat])
      expect(await two.departed(ben)).toBe(false)
      expect(await two.departed(cat)).toBe(false)
      expect(await two.departed(ann)).toBe(true)
      expect(await one.nodes()).toEqual([ben])
    })

    test('orphans whose telling was lost on the way are told to who asked', async () => {
      await using both = await pair('lost-telling')
      const { one, two, wire, first } = both
      await one.arrived(ann)
      await first[Symbol.asyncDispose]()
      await comesTrue(async () => !(await two.has(ann)))
      wire.stall('down')
      const told = two.orphans()
      await comesTrue(async () => wire.seen.held > 0)
      wire.reset()
      wire.flow('down')
      expect(await told).toEqual([ann])
      expect(await two.orphans()).toEqual([])
    })

    test('a process can say farewell while Redis is away; its links end as those of a dead one', async () => {
      await using both = await pair('mute-farewell')
      const { one, two, wire, second } = both
      await two.arrived(ann)
      wire.cut()
      await second.away()
      await two[Symbol.asyncDispose]()
      await second[Symbol.asyncDispose]()
      expect(await orphansOf(one, 1)).toEqual([ann])
    })
  })
}

/** So many that it is told of in the end: a process that was itself not heard of for a moment finds nobody dead. */
async function orphansOf(presence: Presence, count: number): Promise<readonly NodeId[]> {
  const told: NodeId[] = []
  await comesTrue(async () => {
    told.push(...(await presence.orphans()))
    return told.length >= count
  })
  return told
}
