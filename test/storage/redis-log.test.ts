import { describe, expect, test } from '@jest/globals'
import { utf8 } from '#protocol/bytes.ts'
import type { SharedLog } from '#protocol/ports.ts'
import { openRedisLog } from '#storage/logs/redis.ts'
import { Wire } from '#test/chaos/wire.ts'
import { eventLogConformance, sharedLogConformance } from '#test/conformance/logs.ts'
import { comesTrue } from '#test/eventually.ts'
import type { RedisServer } from '#test/redis.ts'
import { redisForTests } from '#test/redis-suite.ts'

const server = await redisForTests('the log in Redis')

if (server) {
  eventLogConformance('redis', async () => openRedisLog(await server.open()))
  sharedLogConformance('redis', async () => {
    const prefix = 'shared'
    return [openRedisLog(await server.open({ prefix })), openRedisLog(await server.open({ prefix }))]
  })
  withFaults(server)
}

async function textsOf(log: SharedLog, stream: string): Promise<string[]> {
  const texts: string[] = []
  for await (const entry of log.read(stream)) texts.push(new TextDecoder().decode(entry))
  return texts
}

function withFaults(server: RedisServer): void {
  describe('a log in a Redis that fails', () => {
    test('an append whose answer was lost is sent again, and is there once', async () => {
      await using wire = await Wire.open(server.port, 1)
      const prefix = 'lost-answers'
      const direct = openRedisLog(await server.open({ prefix }))
      await using redis = await server.open({ prefix, url: `redis://127.0.0.1:${wire.port}` })
      const log = openRedisLog(redis)
      expect(await log.append('run', 0, [utf8('before')])).toBe('appended')
      expect(await log.append('other', 0, [utf8('before')])).toBe('appended')

      wire.stall('down')
      const answers = Promise.all([
        log.append('run', 1, [utf8('a'), utf8('b')]),
        log.append('run', 3, [utf8('c')]),
        log.append('run', 3, [utf8('too late')]),
        log.append('other', 1, [utf8('d')]),
        log.append('new', 0, [utf8('e')]),
      ])
      // Executed, but nobody here knows; and somebody else goes on from there.
      while ((await direct.head('new')) === 0);
      expect(await direct.append('run', 4, [utf8('theirs')])).toBe('appended')
      await comesTrue(async () => wire.seen.held > 0)
      wire.reset()
      wire.flow('down')

      expect(await answers).toEqual(['appended', 'appended', 'conflict', 'appended', 'appended'])
      expect(await textsOf(log, 'run')).toEqual(['before', 'a', 'b', 'c', 'theirs'])
      expect(await textsOf(log, 'other')).toEqual(['before', 'd'])
      expect(await textsOf(log, 'new')).toEqual(['e'])
    })

    test('an append that never arrived waits for Redis, and loses against whoever came first', async () => {
      await using wire = await Wire.open(server.port, 1)
      const prefix = 'refused'
      const direct = openRedisLog(await server.open({ prefix }))
      await using redis = await server.open({ prefix, url: `redis://127.0.0.1:${wire.port}` })
      const log = openRedisLog(redis)
      wire.cut()
      await redis.away()
      const [lost, kept] = [log.append('run', 0, [utf8('late')]), log.append('other', 0, [utf8('late too')])]
      expect(await direct.append('run', 0, [utf8('first')])).toBe('appended')
      wire.mend()
      expect(await lost).toBe('conflict')
      expect(await kept).toBe('appended')
      expect(await textsOf(direct, 'run')).toEqual(['first'])
    })

    test('killed with appends under way, Redis has every acknowledged one when it is back, none twice, without a hole', async () => {
      const prefix = 'killed'
      const writers = [openRedisLog(await server.open({ prefix })), openRedisLog(await server.open({ prefix }))]
      const acknowledged = new Map<string, string>()
      let kills = 0
      const write = async (log: SharedLog, writer: number, stream: string) => {
        for (let number = 0, position = 0; kills < 2 || number < 20; ) {
          const text = `${writer} ${stream} ${number}`
          if ((await log.append(stream, position, [utf8(text)])) === 'appended') {
            acknowledged.set(`${stream} ${position}`, text)
            number++
            position++
          } else position = await log.head(stream)
        }
      }
      const writing = Promise.all(
        ['a', 'b', 'c'].flatMap((stream) => writers.map((log, writer) => write(log, writer, stream))),
      )
      for (; kills < 2; kills++) {
        const before = acknowledged.size
        await comesTrue(async () => acknowledged.size > before + 60)
        await server.kill()
        await server.start()
      }
      await writing
      const log = openRedisLog(await server.open({ prefix }))
      for (const stream of ['a', 'b', 'c']) {
        const texts = await textsOf(log, stream)
        expect(await log.head(stream)).toBe(texts.length)
        expect(new Set(texts).size).toBe(texts.length)
        // Every writer got an answer to every append in the end, so what is there is what was acknowledged.
        expect(texts).toEqual(texts.map((_, position) => acknowledged.get(`${stream} ${position}`)))
      }
    })

    test.each([
      ['a while', false],
      ['so long that the connection is given up and all is sent again', true],
    ])('while Redis stands still for %s, everything waits, and then goes on in its order', async (_, givenUp) => {
      const redis = await server.open({ silentMillis: 100 })
      const log = openRedisLog(redis)
      await log.append('run', 0, [utf8('0')])
      server.freeze()
      const appends = Array.from({ length: 20 }, (_, at) => log.append('run', at + 1, [utf8(`${at + 1}`)]))
      let answers = 0
      for (const append of appends) append.then(() => answers++)
      await redis.away()
      if (givenUp) await new Promise((resolve) => redis.commands.once('close', resolve))
      expect(answers).toBe(0)
      server.thaw()
      expect(new Set(await Promise.all(appends))).toEqual(new Set(['appended']))
      expect(await textsOf(log, 'run')).toEqual(Array.from({ length: 21 }, (_, at) => `${at}`))
    })
  })
}
