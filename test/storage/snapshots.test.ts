import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, test } from '@jest/globals'
import { utf8 } from '#protocol/bytes.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { openSqliteSnapshots } from '#storage/snapshots/sqlite.ts'
import { snapshotsConformance } from '#test/conformance/snapshots.ts'
import { temporaryFolder } from '#test/folder.ts'

const shared = await temporaryFolder()
afterAll(async () => {
  await shared[Symbol.asyncDispose]()
})

snapshotsConformance('memory', () => openMemorySnapshots())
snapshotsConformance('sqlite', () => openSqliteSnapshots({ file: join(shared.path, 'snapshots.sqlite') }))

describe('snapshots in a file', () => {
  const snapshot = { position: 5, state: utf8('the state') }

  async function kept(change: (file: string) => Promise<void> | void) {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'snapshots')
    const before = openSqliteSnapshots({ file })
    await before.keep('run', snapshot)
    await before[Symbol.asyncDispose]()
    await change(file)
    await using after = openSqliteSnapshots({ file })
    const found = await after.latest('run')
    await after.keep('run', { position: 1, state: utf8('afresh') })
    return { found, next: await after.latest('run') }
  }

  test('they are there when it opens again', async () => {
    const { found, next } = await kept(() => undefined)
    expect(found).toEqual(snapshot)
    expect(next).toEqual(snapshot)
  })

  test.each<[string, (file: string) => Promise<void> | void]>([
    ['is no database', (file) => writeFile(file, 'not a database, and longer than its header would be'.repeat(3))],
    ['is cut off', async (file) => writeFile(file, (await readFile(file)).subarray(0, 5000))],
    [
      'has a page overwritten',
      async (file) => {
        const bytes = await readFile(file)
        await writeFile(file, bytes.fill(0xa5, 4096, 4200))
      },
    ],
    [
      'has a bit in a state fallen over',
      async (file) => {
        const bytes = await readFile(file)
        const at = bytes.indexOf('the state')
        bytes[at] = (bytes[at] as number) ^ 1
        await writeFile(file, bytes)
      },
    ],
    [
      'is of another version',
      (file) => {
        const database = new DatabaseSync(file)
        database.exec('PRAGMA user_version = 99')
        database.close()
      },
    ],
  ])('a file that %s gives nothing, and is begun afresh', async (_what, change) => {
    const { found, next } = await kept(change)
    expect(found).toBeUndefined()
    expect(next).toEqual({ position: 1, state: utf8('afresh') })
  })
})
