import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { Journal } from '#client/journal.ts'
import { startNode } from '#client/node.ts'
import { siteTerms } from '#client/site.ts'
import { once } from '#protocol/bytes.ts'
import type { BlobStore, EventLog } from '#protocol/ports.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { contentOf } from '#test/content.ts'
import { temporaryFolder } from '#test/folder.ts'
import { coordinator } from './bench.ts'

test('a node keeps its journal for its owner alone, and removes masked vectors that an earlier life left', async () => {
  await using folder = await temporaryFolder()
  const [csv, state] = [join(folder.path, 'site.csv'), join(folder.path, 'state')]
  await writeFile(csv, `x,y,z\n${'1,2,0\n3,4,1\n'.repeat(20)}`)
  const start = () =>
    startNode({
      ...{ state, urls: ['http://127.0.0.1:9'], coordinator: coordinator.id, data: { kind: 'csv', path: csv } },
      ...{ backend: 'cpu', population: 'open', cohortMin: 2, site: siteTerms('open', 'open') },
      ...{ share: undefined, siteNodes: [], sharedBytes: 2 ** 24, linkChanged: () => undefined },
    })
  await (await start())[Symbol.asyncDispose]()
  expect((await stat(join(state, 'journal.sqlite'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(state, 'outbox'))).mode & 0o777).toBe(0o700)

  // It died between keeping a vector and noting where it lies.
  const stray = await withPlaces((blobs) => blobs.put(once(contentOf('stray', 100)), 100))
  await (await start())[Symbol.asyncDispose]()
  expect(await withPlaces((blobs) => blobs.has(stray))).toBe(false)
  expect((await stat(join(state, 'outbox'))).mode & 0o777).toBe(0o700)

  const lodged = await withPlaces(async (blobs, log) => {
    const vectors = []
    for (const until of [1, Number.MAX_SAFE_INTEGER]) {
      const vector = await blobs.put(once(contentOf(`until ${until}`, 100)), 100)
      await new Journal(log).lodge(vector, until)
      vectors.push(vector)
    }
    return vectors
  })
  await (await start())[Symbol.asyncDispose]()
  const left = await withPlaces((blobs) =>
    Promise.all(lodged.map((vector) => blobs.getBlock(vector, 100).then(Boolean, () => false))),
  )
  expect(left).toEqual([false, true])

  /** What lies in the node's folder, while it is down. */
  async function withPlaces<T>(act: (blobs: BlobStore, log: EventLog) => Promise<T>): Promise<T> {
    await using blobs = await openFileBlobs({ folder: join(state, 'outbox'), quotaBytes: 2 ** 20 })
    await using log = openSqliteLog({ file: join(state, 'journal.sqlite') })
    return await act(blobs, log)
  }
})
