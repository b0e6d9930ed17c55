import type { Redis } from 'ioredis'
import { randomBytes } from '#crypto'
import type { Bytes } from '#protocol/ids.ts'
import { type SharedLog, StorageFull } from '#protocol/ports.ts'
import type { SharedRedis } from '../redis/connection.ts'
import { defineScript } from '../redis/script.ts'
import { checkAppend } from './bounds.ts'
import { News } from './news.ts'

/**
 * A log in Redis, for any number of processes: a list for each stream, and their names in a sorted set. A script appends
 * at a position, so of two writers one gets `conflict`. Redis answers after its sync (`appendfsync always`), one for all
 * that reached it meanwhile; the appends of one turn of the event loop are on their way together, in their order.
 */
export function openRedisLog(redis: SharedRedis): SharedLog {
  const names = redis.key('streams')
  const channel = redis.key('news')
  const keyOf = (stream: string) => redis.key('stream', stream)
  const append = defineScript<number>(redis.commands, { name: 'consiliumAppend', keys: 2, lua: APPEND })
  const news = new News()
  let listening: Promise<unknown> | undefined

  function listen(): Promise<unknown> {
    const connection: Redis = redis.connection('news')
    connection.on('message', (_channel, stream: string) => news.tell(stream))
    return connection.subscribe(channel)
  }

  return {
    async append(stream, position, entries) {
      checkAppend(stream, position, entries)
      const token = randomBytes(TOKEN_BYTES)
      const marked = entries.map((entry) => Buffer.concat([token, entry]))
      const appended = await append(keyOf(stream), names, position, stream, channel, TOKEN_BYTES, ...marked).catch(
        (cause: unknown) => {
          throw isFull(cause) ? new StorageFull('Redis has no room', { cause }) : cause
        },
      )
      return appended === 1 ? 'appended' : 'conflict'
    },
    async *read(stream, from = 0) {
      for (let at = from; ; at += PAGE_ENTRIES) {
        const page = await redis.commands.lrangeBuffer(keyOf(stream), at, at + PAGE_ENTRIES - 1)
        for (const marked of page) yield marked.subarray(TOKEN_BYTES) as Bytes
        if (page.length < PAGE_ENTRIES) return
      }
    },
    head: (stream) => redis.commands.llen(keyOf(stream)),
    async *streams(prefix) {
      // Names are visible ASCII, so everything with the prefix sorts before the prefix and a DEL.
      for (let after = `[${prefix}`; ; ) {
        const page = await redis.commands.zrangebylex(names, after, `(${prefix}\x7f`, 'LIMIT', 0, PAGE_NAMES)
        yield* page
        if (page.length < PAGE_NAMES) return
        after = `(${page.at(-1)}`
      }
    },
    async *news(signal) {
      listening ??= listen()
      await listening
      yield* news.heard(signal)
    },
  }
}

/** It refuses a script as a whole, before it begins: for want of memory, or since it cannot write to its disk. */
function isFull(cause: unknown): boolean {
  return cause instanceof Error && /^(OOM|MISCONF) /.test(cause.message)
}

/** Entries are 4 KiB at most in practice and 1 MiB by the door's bound: a page is 256 KiB, at worst 64 MiB. */
const PAGE_ENTRIES = 64
const PAGE_NAMES = 1000

/** In front of each entry: who appended it. Two appends of one token in the life of a log are out of the question. */
const TOKEN_BYTES = 16

/**
 * A connection that breaks between execution and answer makes ioredis send the append again. It finds its own token at
 * its position then, and answers what the lost answer said; the tokens stay, so it does not matter what came after it.
 * The name is added first: it is of no consequence without its stream, the reverse is.
 */
const APPEND = `
local position, length, width = tonumber(ARGV[1]), redis.call('LLEN', KEYS[1]), tonumber(ARGV[4])
if length ~= position then
  local there = redis.call('LINDEX', KEYS[1], position)
  if there and string.sub(there, 1, width) == string.sub(ARGV[5], 1, width) then return 1 end
  return 0
end
if length == 0 then redis.call('ZADD', KEYS[2], 0, ARGV[2]) end
redis.call('RPUSH', KEYS[1], unpack(ARGV, 5))
redis.call('PUBLISH', ARGV[3], ARGV[2])
return 1
`
