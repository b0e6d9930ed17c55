import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BrokenInvariant } from '#protocol/assert.ts'
import { toHex, utf8 } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { LOG_APPEND_MAX, LOG_ENTRY_BYTES_MAX } from '#protocol/limits.ts'
import type { EventLog, SharedLog } from '#protocol/ports.ts'
import { contentOf } from '#test/content.ts'

/**
 * What every EventLog promises.
 *
 * @param open a log that nobody else uses; closed after the suite if it can be
 */
export function eventLogConformance(
  name: string,
  open: () => Promise<EventLog & Partial<AsyncDisposable>> | (EventLog & Partial<AsyncDisposable>),
): void {
  describe(`logs: ${name}`, () => {
    let log: EventLog & Partial<AsyncDisposable>
    let scope = 0
    beforeAll(async () => {
      log = await open()
    })
    afterAll(async () => {
      await log[Symbol.asyncDispose]?.()
    })

    test('it is a list of entries for each stream, whatever is done in whatever order', async () => {
      const stream = fc.constantFrom('run_A', 'run_B', 'run_B2', 'runs')
      const added = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 4 })
      const acts = fc.array(
        fc.oneof(
          fc.record({ act: fc.constant('append' as const), stream, off: fc.constantFrom(0, 0, 0, -1, 1, 7), added }),
          fc.record({ act: fc.constant('read' as const), stream, from: fc.nat({ max: 6 }) }),
          fc.record({ act: fc.constant('streams' as const), prefix: fc.constantFrom('', 'run', 'run_', 'run_B', 'x') }),
        ),
        { maxLength: 40 },
      )
      await fc.assert(
        fc.asyncProperty(acts, async (list) => {
          const own = `s${scope++}/`
          const model = new Map<string, string[]>()
          for (const act of list) {
            if (act.act === 'append') {
              const entries = model.get(act.stream) ?? []
              const position = Math.max(0, entries.length + act.off)
              const expected = position === entries.length ? 'appended' : 'conflict'
              expect(await log.append(own + act.stream, position, act.added)).toBe(expected)
              if (expected === 'appended') model.set(act.stream, [...entries, ...act.added.map(toHex)])
              expect(await log.head(own + act.stream)).toBe(model.get(act.stream)?.length ?? 0)
            } else if (act.act === 'read') {
              const entries = await all(log.read(own + act.stream, act.from))
              expect(entries.map(toHex)).toEqual(model.get(act.stream)?.slice(act.from) ?? [])
            } else {
              const names = await all(log.streams(own + act.prefix))
              const known = [...model.keys()].filter((name) => name.startsWith(act.prefix)).sort()
              expect(names).toEqual(known.map((name) => own + name))
            }
          }
        }),
        { numRuns: 40 },
      )
    })

    test('of many writers at one position exactly one is appended', async () => {
      for (const position of [0, 1, 2]) {
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, writer) =>
            log.append('contended', position, [utf8(`${position} by ${writer}`)]),
          ),
        )
        expect(answers.filter((answer) => answer === 'appended')).toHaveLength(1)
        expect(answers.filter((answer) => answer === 'conflict')).toHaveLength(19)
      }
      expect(await log.head('contended')).toBe(3)
    })

    test('appends that wait together are kept in the order they were asked for', async () => {
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, at) => log.append('together', at, [utf8(`${at}`)])),
      )
      expect(new Set(answers)).toEqual(new Set(['appended']))
      const entries = await all(log.read('together'))
      expect(entries.map((entry) => new TextDecoder().decode(entry))).toEqual(
        Array.from({ length: 50 }, (_, at) => `${at}`),
      )
    })

    test('what is appended together is appended whole and in order, or not at all', async () => {
      const entries = Array.from({ length: LOG_APPEND_MAX }, (_, at) => utf8(`together ${at}`))
      expect(await log.append('whole', 0, entries)).toBe('appended')
      expect(await log.append('whole', LOG_APPEND_MAX - 1, entries)).toBe('conflict')
      expect(await log.append('whole', LOG_APPEND_MAX + 1, entries)).toBe('conflict')
      // Two that overlap, at once: the second comes too late with all it has, not with the part that is taken.
      const [first, second] = [[utf8('a'), utf8('b'), utf8('c')], [utf8('d')]]
      const answers = await Promise.all([
        log.append('whole', LOG_APPEND_MAX, first),
        log.append('whole', LOG_APPEND_MAX, second),
        log.append('whole', LOG_APPEND_MAX + 3, [utf8('e')]),
      ])
      expect(answers).toEqual(['appended', 'conflict', 'appended'])
      const texts = (await all(log.read('whole'))).map((entry) => new TextDecoder().decode(entry))
      expect(texts).toEqual([...entries.map((_, at) => `together ${at}`), 'a', 'b', 'c', 'e'])
    })

    test.each([0, LOG_APPEND_MAX + 1])('an append of %i entries is our own mistake', async (count) => {
      const append = async () =>
        log.append(
          'counted',
          0,
          Array.from({ length: count }, () => utf8('x')),
        )
      await expect(append()).rejects.toThrow(BrokenInvariant)
    })

    test('an open reading stops no writer, and loses nothing by it', async () => {
      for (let at = 0; at < 3; at++) await log.append('read-and-written', at, [utf8(`${at}`)])
      let seen = 0
      for await (const entry of log.read('read-and-written')) {
        expect(new TextDecoder().decode(entry)).toBe(`${seen++}`)
        if (seen === 1) expect(await log.append('read-and-written', 3, [utf8('3')])).toBe('appended')
      }
      expect([3, 4]).toContain(seen)
      expect(await log.head('read-and-written')).toBe(4)
    })

    test('a long stream comes back whole, in order, from any place', async () => {
      const length = 500
      await Promise.all(Array.from({ length }, (_, at) => log.append('long', at, [utf8(`entry ${at}`)])))
      for (const from of [0, 1, 63, 64, 65, 255, 256, 499, 500, 501]) {
        const entries = await all(log.read('long', from))
        expect(entries.map((entry) => new TextDecoder().decode(entry))).toEqual(
          Array.from({ length: Math.max(0, length - from) }, (_, at) => `entry ${from + at}`),
        )
      }
    })

    test('an entry may be as large as the bound, and not larger', async () => {
      const entry = contentOf('largest entry', LOG_ENTRY_BYTES_MAX)
      expect(await log.append('large', 0, [entry])).toBe('appended')
      const [back] = await all(log.read('large'))
      expect(toHex((back as Bytes).slice(0, 64))).toBe(toHex(entry.slice(0, 64)))
      expect(back).toHaveLength(entry.length)
      await expect(
        (async () => log.append('large', 1, [contentOf('larger', LOG_ENTRY_BYTES_MAX + 1)]))(),
      ).rejects.toThrow(BrokenInvariant)
    })

    test.each(['', 'with space', 'a\nb', 'é', 'x'.repeat(201)])('a stream cannot be named %j', async (bad) => {
      await expect(log.append(bad, 0, [utf8('entry')])).rejects.toThrow(BrokenInvariant)
    })

    test('what was appended is not changed by who holds the array', async () => {
      const entry = Buffer.from('as it was')
      const appended = log.append('mutable', 0, [entry])
      entry.fill(0)
      await appended
      const [first] = await all(log.read('mutable'))
      expect(new TextDecoder().decode(first)).toBe('as it was')
      first?.fill(0)
      const [again] = await all(log.read('mutable'))
      expect(new TextDecoder().decode(again)).toBe('as it was')
    })
  })
}

/**
 * What a SharedLog promises beyond that.
 *
 * @param open the log as two processes see it, both at the same streams
 */
export function sharedLogConformance(
  name: string,
  open: () => Promise<readonly [SharedLog, SharedLog]> | readonly [SharedLog, SharedLog],
): void {
  describe(`shared logs: ${name}`, () => {
    let logs: readonly [SharedLog, SharedLog]
    beforeAll(async () => {
      logs = await open()
    })

    /** Lengthens the stream until the listener has heard of it: what was written before it listened is no news. */
    async function heardOf(listener: AsyncIterator<string>, log: SharedLog, stream: string): Promise<void> {
      let waits = true
      const heard = (async () => {
        for (let told = await listener.next(); told.value !== stream; told = await listener.next())
          expect(told.done).toBe(false)
        waits = false
      })()
      for (let position = await log.head(stream); waits; position++) await log.append(stream, position, [utf8('x')])
      await heard
    }

    test('what one process appends is news to both', async () => {
      const stop = new AbortController()
      const [here, there] = logs.map((log) => log.news(stop.signal)[Symbol.asyncIterator]())
      if (!here || !there) throw new Error('two processes')
      await Promise.all([heardOf(here, logs[0], 'news/a'), heardOf(there, logs[0], 'news/a')])
      stop.abort()
    })

    test('a listener that is slow hears of every stream, and not once for each of its entries', async () => {
      const stop = new AbortController()
      const listener = logs[1].news(stop.signal)[Symbol.asyncIterator]()
      await heardOf(listener, logs[0], 'slow/first')
      for (let position = 0; position < 100; position++)
        for (const stream of ['slow/b', 'slow/c']) await logs[0].append(stream, position, [utf8('x')])
      const heard: string[] = []
      while (!heard.includes('slow/b') || !heard.includes('slow/c')) heard.push((await listener.next()).value)
      expect(heard.length).toBeLessThan(20)
      stop.abort()
    })

    test('a conflict is no news, and listening ends with its signal', async () => {
      const stop = new AbortController()
      const listener = logs[1].news(stop.signal)[Symbol.asyncIterator]()
      await heardOf(listener, logs[0], 'ends/a')
      expect(await logs[0].append('ends/b', 7, [utf8('x')])).toBe('conflict')
      expect(await logs[0].append('ends/c', 0, [utf8('x')])).toBe('appended')
      let heard: string
      do heard = (await listener.next()).value
      while (heard === 'ends/a')
      expect(heard).toBe('ends/c')
      const waiting = listener.next()
      stop.abort()
      expect(await waiting).toEqual({ done: true, value: undefined })
    })

    test('whoever is behind gets a conflict, reads on, and writes after what it read', async () => {
      const [one, two] = logs
      expect(await one.append('shared', 0, [utf8('one')])).toBe('appended')
      expect(await two.append('shared', 0, [utf8('two')])).toBe('conflict')
      expect((await all(two.read('shared'))).map((entry) => new TextDecoder().decode(entry))).toEqual(['one'])
      expect(await two.append('shared', 1, [utf8('two')])).toBe('appended')
      for (let position = 2; position <= 20; position++) {
        const answers = await Promise.all(logs.map((log) => log.append('shared', position, [utf8(`${position}`)])))
        expect(answers.sort()).toEqual(['appended', 'conflict'])
      }
      expect(await Promise.all(logs.map((log) => log.head('shared')))).toEqual([21, 21])
      expect(await all(one.read('shared'))).toEqual(await all(two.read('shared')))
    })
  })
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of source) found.push(item)
  return found
}
