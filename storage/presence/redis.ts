import { randomBytes } from '#crypto'
import { toHex } from '#protocol/bytes.ts'
import type { Millis, NodeId } from '#protocol/ids.ts'
import type { Clock, Presence } from '#protocol/ports.ts'
import type { SharedRedis } from '../redis/connection.ts'
import { openPresenceScripts } from './scripts.ts'

export type RedisPresenceOptions = {
  readonly redis: SharedRedis
  readonly clock: Clock
  /** How often a process says that it lives. It is found dead after three of these. */
  readonly renewMillis?: Millis
  /** Told of a renewal that failed. The next one is tried in its time. */
  readonly onError?: (cause: unknown) => void
}

/** Links that one command says again, so that others get their turn at Redis. */
const SAID_AT_ONCE = 500

/**
 * Who is linked, for the processes that share a Redis. Each renews a key of its own, and one whose key ran out is dead,
 * unless that may be because none of them could reach Redis: then nobody counts as dead until all had the time to renew.
 * A process that finds itself thought dead, or its links otherwise than it knows them, says them again, without taking
 * from another process what has moved there.
 */
export function openRedisPresence({
  redis,
  clock,
  renewMillis = 2000,
  onError = () => undefined,
}: RedisPresenceOptions): Presence {
  const me = toHex(randomBytes(8))
  const say = openPresenceScripts(redis, me, renewMillis)
  const stop = new AbortController()
  /** Links to this process, each with the arrival that made it. */
  const links = new Map<NodeId, object>()

  async function renew(): Promise<void> {
    // Both are of one moment: what is asked of Redis is done in the order of asking.
    const expected = links.size
    const counted = await say.alive()
    if (counted !== expected && !stop.signal.aborted) await sayAgain()
  }

  async function sayAgain(): Promise<void> {
    const known = new Set(await say.mine())
    if (stop.signal.aborted) return
    const missing = [...links].filter(([node]) => !known.has(node))
    const ghosts = [...known].filter((node) => !links.has(node))
    const asked = ghosts.map((node): Promise<unknown> => say.departed(node))
    for (let at = 0; at < missing.length; at += SAID_AT_ONCE) asked.push(claim(missing.slice(at, at + SAID_AT_ONCE)))
    await Promise.all(asked)
  }

  async function claim(missing: readonly (readonly [NodeId, object])[]): Promise<void> {
    const moved = new Set(await say.claim(missing.map(([node]) => node)))
    for (const [node, arrival] of missing) if (moved.has(node) && links.get(node) === arrival) links.delete(node)
  }

  async function renewAlways(): Promise<void> {
    while (!stop.signal.aborted) {
      await renew().catch((cause) => stop.signal.aborted || onError(cause))
      await clock.wakeAt(clock.now() + renewMillis, stop.signal).catch(() => undefined)
    }
  }
  const renewing = renewAlways()

  return {
    async arrived(node) {
      links.set(node, {})
      await say.arrived(node)
    },
    async departed(node) {
      links.delete(node)
      return (await say.departed(node)) === 1
    },
    has: async (node) => (await say.has(node)) === 1,
    nodes: async () => (await say.nodes()).toSorted(),
    count: () => say.count(),
    moved: async () => (await say.moved()).toSorted(),
    orphans: async () => (await say.orphans(toHex(randomBytes(8)))).toSorted(),
    async [Symbol.asyncDispose]() {
      stop.abort(new DOMException('the process says farewell', 'AbortError'))
      links.clear()
      // With Redis away nobody hears it; the key runs out, as that of a dead process.
      await Promise.race([Promise.all([renewing, say.farewell()]), redis.away()])
    },
  }
}
