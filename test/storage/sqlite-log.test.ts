import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { utf8 } from '#protocol/bytes.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { temporaryFolder } from '#test/folder.ts'
import { linesUntilKilled } from '#test/killed.ts'
import { commitsIn } from './commits.ts'

async function textsOf(source: AsyncIterable<Uint8Array>): Promise<string[]> {
  const texts: string[] = []
  for await (const entry of source) texts.push(new TextDecoder().decode(entry))
  return texts
}

describe('sqlite log', () => {
  test('is made by one commit, and opened again by none', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'log')
    await using log = openSqliteLog({ file })
    expect(await commitsIn(file)).toBe(1)
    await using again = openSqliteLog({ file })
    expect(await commitsIn(file)).toBe(1)
    expect([await log.head('a'), await again.head('a')]).toEqual([0, 0])
  })

  test('a hundred appends of one turn cost one commit', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'log')
    await using log = openSqliteLog({ file })
    const before = await commitsIn(file)
    await Promise.all(
      Array.from({ length: 100 }, (_, node) => log.append(`run_${node % 7}`, Math.floor(node / 7), [utf8('x')])),
    )
    expect(await commitsIn(file)).toBe(before + 1)
    await log.append('run_0', 15, [utf8('alone')])
    expect(await commitsIn(file)).toBe(before + 2)
  })

  test('appends are durable when they answer: full sync, in a write-ahead log', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'log')
    await using log = openSqliteLog({ file })
    await log.append('a', 0, [utf8('x')])
    const database = new DatabaseSync(file)
    expect(database.prepare('PRAGMA journal_mode').get()).toEqual(expect.objectContaining({ journal_mode: 'wal' }))
    database.close()
  })

  test('a second writer is fenced: at a position that is taken it gets a conflict, and then sees what was written', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'log')
    await using first = openSqliteLog({ file })
    await using second = openSqliteLog({ file })
    expect(await first.append('run', 0, [utf8('first')])).toBe('appended')
    expect(await second.append('run', 0, [utf8('second')])).toBe('conflict')
    expect(await textsOf(second.read('run'))).toEqual(['first'])
    for (let position = 1; position <= 20; position++) {
      const answers = await Promise.all([
        first.append('run', position, [utf8(`first ${position}`)]),
        second.append('run', position, [utf8(`second ${position}`)]),
      ])
      expect(answers.sort()).toEqual(['appended', 'conflict'])
    }
    expect(await second.head('run')).toBe(21)
    expect(await textsOf(first.read('run'))).toEqual(await textsOf(second.read('run')))
  })

  test('a writer that stays in the way is a fault of the world, and nothing of the batch is kept', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'log')
    await using log = openSqliteLog({ file, busyMillis: 20 })
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    const answers = await Promise.allSettled([log.append('run', 0, [utf8('a')]), log.append('other', 0, [utf8('b')])])
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    other.exec('ROLLBACK')
    other.close()
    expect(await log.head('run')).toBe(0)
    expect(await log.append('run', 0, [utf8('a')])).toBe('appended')
  })

  test('what waits when the log closes is kept, what comes later is refused, and all is there when it opens again', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'log')
    const log = openSqliteLog({ file })
    const waiting = log.append('run', 0, [utf8('just in time')])
    await log[Symbol.asyncDispose]()
    expect(await waiting).toBe('appended')
    await expect(log.append('run', 1, [utf8('too late')])).rejects.toThrow('closed')
    await using again = openSqliteLog({ file })
    expect(await textsOf(again.read('run'))).toEqual(['just in time'])
  })

  test('a log of a later version is left alone', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'log')
    await openSqliteLog({ file })[Symbol.asyncDispose]()
    const database = new DatabaseSync(file)
    database.exec('PRAGMA user_version = 99')
    database.close()
    expect(() => openSqliteLog({ file })).toThrow('version 99')
  })

  test('killed while it appends, it has every acknowledged entry, in order', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'log')
    const script = fileURLToPath(new URL('./children/append-entries.ts', import.meta.url))
    const heads = new Map<string, number>()
    for (const lines of [50, 300]) {
      for (const line of await linesUntilKilled(script, [file], lines)) {
        const [stream, position] = line.split(' ') as [string, string]
        expect(Number(position)).toBe(heads.get(stream) ?? 0)
        heads.set(stream, Number(position) + 1)
      }
      await using log = openSqliteLog({ file })
      expect([...heads.keys()].sort()).toEqual(['a', 'b', 'c', 'd'])
      for (const [stream, head] of heads) {
        const entries = await textsOf(log.read(stream))
        // At most one entry a stream was on its way when the answer was cut off.
        expect(entries.length - head).toBeGreaterThanOrEqual(0)
        expect(entries.length - head).toBeLessThanOrEqual(1)
        expect(entries).toEqual(entries.map((_, position) => `${stream} ${position}`))
        heads.set(stream, entries.length)
      }
    }
  }, 60_000)
})
