import { inspect } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { openSharedRedis, type SharedRedisOptions } from '#storage/redis/connection.ts'
import { comesTrue } from '#test/eventually.ts'
import type { RedisServer } from '#test/redis.ts'
import { redisForTests } from '#test/redis-suite.ts'

const SECRET = 'not-for-the-logs'

async function refusalOf(options: SharedRedisOptions): Promise<string> {
  try {
    await using _opened = await openSharedRedis(options)
  } catch (cause) {
    const shown = inspect(cause, { depth: 10, showHidden: true })
    expect(shown).not.toContain(SECRET)
    return (cause as Error).message
  }
  throw new Error('it was not refused')
}

describe("Redis's address", () => {
  test.each([
    [`http://user:${SECRET}@127.0.0.1:1`, 'is not of the form'],
    [`redis:user:${SECRET}`, 'is not of the form'],
    [SECRET, 'is not of the form'],
    [`redis://user:${SECRET}@127.0.0.1:1/0?family=6`, 'only the number of a database'],
    [`redis://user:${SECRET}@127.0.0.1:1/${SECRET}`, 'only the number of a database'],
  ])('%s is refused, and not repeated', async (url, why) => {
    expect(await refusalOf({ url })).toContain(why)
  })

  test('off this machine it is one with TLS, or in a network that somebody vouched for', async () => {
    const url = `redis://:${SECRET}@redis.invalid:6379`
    expect(await refusalOf({ url })).toContain('without TLS: use rediss://')
    const signal = AbortSignal.abort(new Error('it was let through'))
    for (const options of [{ url, trustedNetwork: true }, { url: url.replace('redis:', 'rediss:') }])
      expect(await refusalOf({ ...options, signal })).toBe('it was let through')
  })

  test('a prefix that would end the hash tag is refused', async () => {
    expect(await refusalOf({ url: 'redis://127.0.0.1:1', prefix: 'a}b' })).toContain('a prefix of keys')
  })
})

const server = await redisForTests('the connection to Redis')
if (server) atServer(server)

function atServer(server: RedisServer): void {
  describe('a Redis that may lose what it acknowledges', () => {
    test.each([
      ['appendonly', 'no', 'yes'],
      ['appendfsync', 'everysec', 'always'],
      ['no-appendfsync-on-rewrite', 'yes', 'no'],
      ['maxmemory-policy', 'allkeys-lru', 'noeviction'],
    ])('with %s %s is refused with the fix, and taken after it', async (name, bad, good) => {
      const { commands } = await server.open()
      await commands.config('SET', name, bad)
      const message = await refusalOf({ url: server.url })
      expect(message).toContain(`put "${name} ${good}" into redis.conf`)
      const [fix = ''] = /CONFIG SET [^"]+/.exec(message) ?? []
      expect(fix).toBe(`CONFIG SET ${name} ${good}`)
      await commands.call('CONFIG', fix.split(' ').slice(1))
      await using _taken = await openSharedRedis({ url: server.url })
    })

    test('is refused with all that is wrong at once', async () => {
      const { commands } = await server.open()
      await commands.config('SET', 'appendfsync', 'no')
      await commands.config('SET', 'maxmemory-policy', 'volatile-ttl')
      expect((await refusalOf({ url: server.url })).split('\n')).toHaveLength(2)
      await commands.config('SET', 'appendfsync', 'always')
      await commands.config('SET', 'maxmemory-policy', 'noeviction')
    })

    test('or that shows nobody how it is set, is refused with what to do', async () => {
      const { commands } = await server.open()
      await commands.call('ACL', 'SETUSER', 'blind', 'on', `>${SECRET}`, '~*', '&*', '+@all', '-config')
      const url = server.url.replace('//', `//blind:${SECRET}@`)
      expect(await refusalOf({ url })).toContain('ACL SETUSER <user> +config|get')
      await commands.call('ACL', 'SETUSER', 'blind', '+config|get')
      await using _seeing = await openSharedRedis({ url })
    })
  })

  describe('a connection', () => {
    test('with a wrong password is refused at once, and the password is nowhere', async () => {
      const reasons: string[] = []
      const url = server.url.replace('//', `//nobody:${SECRET}@`)
      const message = await refusalOf({ url, onChange: (_state, reason) => void reasons.push(reason) })
      expect(message).toContain('does not let us in: WRONGPASS')
      expect(reasons.join()).not.toContain(SECRET)
    })

    test('shows no arguments of a command that failed', async () => {
      const { commands, key } = await server.open()
      await commands.set(key('text'), 'x')
      const failure = await commands.rpush(key('text'), SECRET).catch((cause) => cause)
      expect(failure.message).toContain('WRONGTYPE')
      expect(inspect(failure, { depth: 10, showHidden: true })).not.toContain(SECRET)
    })

    test('can be told from others, and keeps its keys in one slot', async () => {
      const redis = await server.open({ prefix: 'clinic' })
      await redis.connection('news').ping()
      const list = String(await redis.commands.client('LIST'))
      expect(list).toMatch(/ name=clinic /)
      expect(list).toMatch(/ name=clinic-news /)
      expect(redis.key('a', 'b')).toBe('{clinic}:a:b')
    })

    test('says when Redis is away and when it is back, and what was asked meanwhile is done', async () => {
      const states: string[] = []
      const redis = await server.open({ onChange: (state) => void states.push(state) })
      expect(redis.connected()).toBe(true)
      await server.kill()
      await redis.away()
      expect(redis.connected()).toBe(false)
      const answer = redis.commands.incr(redis.key('count'))
      await server.start()
      expect(await answer).toBe(1)
      expect(redis.connected()).toBe(true)
      expect(states).toEqual(['up', 'away', 'up'])
    })

    test('to a Redis that stands still counts as away until it answers', async () => {
      const redis = await server.open({ silentMillis: 100 })
      server.freeze()
      await redis.away()
      expect(redis.connected()).toBe(false)
      server.thaw()
      await comesTrue(async () => redis.connected())
    })

    test('is waited for at the start, until it is there or nobody waits any more', async () => {
      await server.kill()
      const told = Promise.withResolvers<string>()
      const opening = server.open({ onChange: (state, reason) => told.resolve(`${state}: ${reason}`) })
      expect(await told.promise).toContain('away: connect ECONNREFUSED')
      const stop = new AbortController()
      const stopped = server.open({ signal: stop.signal })
      stop.abort(new Error('nobody waits'))
      await expect(stopped).rejects.toThrow('nobody waits')
      await server.start()
      expect((await opening).connected()).toBe(true)
    })

    test('can be closed while Redis is away', async () => {
      const redis = await server.open()
      await server.kill()
      await redis.away()
      const lost = redis.commands.ping()
      await redis[Symbol.asyncDispose]()
      await expect(lost).rejects.toThrow('closed')
      await server.start()
    })
  })
}
