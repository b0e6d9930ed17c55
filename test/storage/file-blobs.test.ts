import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from '@jest/globals'
import { collect, once } from '#protocol/bytes.ts'
import { cidOf, codecOf, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BlobCorrupt, StorageFull } from '#protocol/ports.ts'
import { worldFault } from '#storage/blobs/disk.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { blobStoreConformance, blocksOf } from '#test/conformance/blobs.ts'
import { partsStoreConformance } from '#test/conformance/parts.ts'
import { contentOf, inPieces, sameBytes } from '#test/content.ts'
import { temporaryFolder } from '#test/folder.ts'
import { linesUntilKilled } from '#test/killed.ts'
import { commitsIn } from './commits.ts'

const MIB = 2 ** 20
/** Two lives of a child process and its syncs, on a busy disk. */
const CRASH_MILLIS = 60_000
const pathOf = (folder: string, cid: Cid) => join(folder, 'blocks', cid.at(-2) as string, cid)

const [shared, forParts] = [await temporaryFolder(), await temporaryFolder()]
afterAll(async () => {
  await shared[Symbol.asyncDispose]()
  await forParts[Symbol.asyncDispose]()
})

blobStoreConformance('files', () => openFileBlobs({ folder: shared.path, quotaBytes: 2 ** 30 }), {
  damage: (cid, bytes) => damage(shared.path, cid, bytes),
})
partsStoreConformance('files', () => openFileBlobs({ folder: forParts.path, quotaBytes: 2 ** 30 }), { numRuns: 6 })

describe('file blobs', () => {
  test('what was put is there after closing and opening again, and as large', async () => {
    await using folder = await temporaryFolder()
    const kept = [contentOf('a', 10), contentOf('b', 2 * MIB + 3)]
    let used = 0
    {
      await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 64 * MIB })
      for (const bytes of kept) await blobs.put(once(bytes), 4 * MIB)
      used = blobs.usedBytes()
    }
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 64 * MIB })
    for (const bytes of kept) {
      const cid = (await blocksOf(bytes)).at(-1)?.cid as Cid
      expect(await blobs.has(cid)).toBe(true)
      expect(sameBytes(await collect(blobs.get(cid, { limitBytes: 4 * MIB }), 4 * MIB), bytes)).toBe(true)
    }
    expect(blobs.usedBytes()).toBe(used)
    expect(used).toBe(await bytesIn(folder.path))
  })

  test('the quota counts each block once, counts uploads on their way, and is free again after deleting', async () => {
    await using folder = await temporaryFolder()
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 3 * MIB })
    const [first, second] = [contentOf('first', 2 * MIB), contentOf('second', 2 * MIB)]
    const cid = await blobs.put(once(first), 2 * MIB)
    await expect(blobs.put(once(second), 2 * MIB)).rejects.toThrow(StorageFull)
    expect(blobs.usedBytes()).toBe(await bytesIn(folder.path))
    expect(await readdir(join(folder.path, 'temp'))).toEqual([])
    await blobs.delete(cid)
    expect(blobs.usedBytes()).toBe(0)
    // Two at once do not fit either: whoever comes second is told, and the other is whole.
    const outcomes = await Promise.allSettled(
      [first, second].map((bytes) => blobs.put(inPieces(bytes, 65_536), 2 * MIB)),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1)
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(StorageFull)
    expect(blobs.usedBytes()).toBe(await bytesIn(folder.path))
    await blobs.put(once(contentOf('small', 10)), 10)
  })

  test('a full disk is a full store, other faults stay what they are', () => {
    for (const code of ['ENOSPC', 'EDQUOT'])
      expect(worldFault(Object.assign(new Error(code), { code }))).toBeInstanceOf(StorageFull)
    const other = Object.assign(new Error('EIO'), { code: 'EIO' })
    expect(worldFault(other)).toBe(other)
  })

  test('one process at a time: a second opening is refused, and possible after the first has closed', async () => {
    await using folder = await temporaryFolder()
    const open = () => openFileBlobs({ folder: folder.path, quotaBytes: MIB })
    const first = await open()
    await expect(open()).rejects.toThrow('in use')
    await first.put(once(contentOf('still works', 10)), 10)
    await first[Symbol.asyncDispose]()
    await expect(first.put(once(contentOf('closed', 10)), 10)).rejects.toThrow('closed')
    await using second = await open()
    expect(await second.has(cidOf(RAW, contentOf('still works', 10)))).toBe(true)
  })

  test('opening sweeps what a crash left: half uploads, and blocks that no blob reaches', async () => {
    await using folder = await temporaryFolder()
    const bytes = contentOf('kept', 2 * MIB + 1)
    {
      await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 64 * MIB })
      await blobs.put(once(bytes), 4 * MIB)
    }
    const orphan = { bytes: contentOf('orphan', 100_000), cid: cidOf(RAW, contentOf('orphan', 100_000)) }
    await writeFile(pathOf(folder.path, orphan.cid), orphan.bytes)
    await writeFile(join(folder.path, 'blocks', 'a', 'not-a-cid'), 'what is this')
    await mkdir(join(folder.path, 'temp', 'half'))
    await writeFile(join(folder.path, 'temp', 'half', orphan.cid), orphan.bytes.subarray(0, 50_000))
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 64 * MIB })
    expect(await blobs.has(orphan.cid)).toBe(false)
    expect(await readdir(join(folder.path, 'temp'))).toEqual([])
    expect(await blocksIn(folder.path)).toEqual((await blocksOf(bytes)).map(({ cid }) => cid).sort())
    expect(blobs.usedBytes()).toBe(await bytesIn(folder.path))
  })

  test.each([1000, 100_000])(
    'a damaged block of %i bytes is set aside at the first reading, and counts no longer',
    async (size) => {
      await using folder = await temporaryFolder()
      await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 64 * MIB })
      const bytes = contentOf('rots', size)
      const cid = await blobs.put(once(bytes), size)
      await damage(folder.path, cid, contentOf('rotten', size))
      // Nobody has looked yet.
      expect(await blobs.has(cid)).toBe(true)
      await Promise.all([1, 2, 3].map(() => expect(blobs.getBlock(cid, MIB)).rejects.toThrow()))
      expect(await blobs.has(cid)).toBe(false)
      expect(sameBytes(await readFile(join(folder.path, 'damaged', cid)), contentOf('rotten', size))).toBe(true)
      expect(blobs.usedBytes()).toBe(0)
      await blobs.put(once(bytes), size)
      expect(await blobs.has(cid)).toBe(true)
      expect(blobs.usedBytes()).toBe(size)
    },
  )

  test('a hundred small puts of one turn cost one commit, and so do blocks put together', async () => {
    await using folder = await temporaryFolder()
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 64 * MIB })
    const block = (index: number) => {
      const bytes = contentOf(`block ${index}`, 100 + index)
      return { cid: cidOf(RAW, bytes), bytes }
    }
    const before = await commitsIn(join(folder.path, 'catalogue.sqlite'))
    await blobs.putBlocks(Array.from({ length: 100 }, (_, index) => block(index)))
    expect(await commitsIn(join(folder.path, 'catalogue.sqlite'))).toBe(before + 1)
    await Promise.all(Array.from({ length: 100 }, (_, index) => blobs.putBlocks([block(200 + index)])))
    expect(await commitsIn(join(folder.path, 'catalogue.sqlite'))).toBe(before + 2)
  })

  test('blocks put together that do not fit are none of them kept', async () => {
    await using folder = await temporaryFolder()
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 200_000 })
    const blocks = [100, 90_000, 120_000].map((size) => ({
      cid: cidOf(RAW, contentOf('full', size)),
      bytes: contentOf('full', size),
    }))
    await expect(blobs.putBlocks(blocks)).rejects.toThrow(StorageFull)
    expect(await blocksIn(folder.path)).toEqual([])
    expect(blobs.usedBytes()).toBe(0)
    await blobs.putBlocks(blocks.slice(0, 2))
    expect(blobs.usedBytes()).toBe(90_100)
  })

  test('a file whose parts lie partly in files and partly in the catalogue comes and goes whole', async () => {
    await using folder = await temporaryFolder()
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 64 * MIB })
    const [short, long] = [contentOf('parts', MIB + 10), contentOf('parts', 2 * MIB + 10)]
    const [first, second] = [await blobs.put(once(short), 4 * MIB), await blobs.put(once(long), 4 * MIB)]
    await blobs.delete(first)
    expect(sameBytes(await collect(blobs.get(second, { limitBytes: 4 * MIB }), 4 * MIB), long)).toBe(true)
    expect(await blocksIn(folder.path)).toEqual((await blocksOf(long)).map(({ cid }) => cid).sort())
    expect(blobs.usedBytes()).toBe(await bytesIn(folder.path))
    await blobs.delete(second)
    expect(await blocksIn(folder.path)).toEqual([])
    expect(blobs.usedBytes()).toBe(0)
  })

  test('a file that grew on the disk is damaged, not too large', async () => {
    await using folder = await temporaryFolder()
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 64 * MIB })
    const cid = await blobs.put(once(contentOf('grows', MIB)), MIB)
    await writeFile(pathOf(folder.path, cid), contentOf('grows', MIB + 1))
    await expect(blobs.getBlock(cid, MIB)).rejects.toThrow(BlobCorrupt)
  })

  test('parts outlast a restart, count in the quota, and are finished by whoever comes after', async () => {
    await using folder = await temporaryFolder()
    const bytes = contentOf('in two lives', 2 * MIB + 1000)
    const blocks = await blocksOf(bytes)
    const root = blocks.at(-1)?.cid as Cid
    {
      await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 64 * MIB })
      await blobs.putParts(root, blocks.slice(1), 100)
      expect(blobs.usedBytes()).toBe(await bytesIn(folder.path))
    }
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 2 * MIB + 2000 })
    expect(await blocksIn(folder.path)).toEqual(
      blocks
        .slice(1)
        .map(({ cid }) => cid)
        .sort(),
    )
    expect(blobs.usedBytes()).toBe(await bytesIn(folder.path))
    const other = { cid: cidOf(RAW, contentOf('no room', MIB)), bytes: contentOf('no room', MIB) }
    await blobs.putParts(root, blocks.slice(0, 1), 100)
    await expect(blobs.putParts(root, [other], 100)).rejects.toThrow(StorageFull)
    expect(await blobs.finish(root)).toBe(true)
    await blobs.sweep(100)
    expect(sameBytes(await collect(blobs.get(root, { limitBytes: 4 * MIB }), 4 * MIB), bytes)).toBe(true)
    expect(blobs.usedBytes()).toBe(await bytesIn(folder.path))
  })

  test('a folder from before there were parts opens as it is, and takes parts from then on', async () => {
    await using folder = await temporaryFolder()
    const database = new DatabaseSync(join(folder.path, 'catalogue.sqlite'))
    database.exec(`
      PRAGMA journal_mode = WAL;
      CREATE TABLE blocks (cid TEXT NOT NULL UNIQUE, root INTEGER NOT NULL, bytes BLOB) STRICT;
      CREATE TABLE used (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL) STRICT;
      INSERT INTO used VALUES (1, 300);
      PRAGMA user_version = 1;
    `)
    const old = contentOf('old', 300)
    database.prepare('INSERT INTO blocks VALUES (?, 1, ?)').run(cidOf(RAW, old), old)
    database.close()
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 64 * MIB })
    expect(sameBytes(await blobs.getBlock(cidOf(RAW, old), MIB), old)).toBe(true)
    const part = { cid: cidOf(RAW, contentOf('new', 200)), bytes: contentOf('new', 200) }
    await blobs.putParts(part.cid, [part], 100)
    expect(blobs.usedBytes()).toBe(500)
    expect(await blobs.sweep(100)).toBe(200)
    expect(await blobs.has(cidOf(RAW, old))).toBe(true)
  })

  test('a name that is no CID reaches no file', async () => {
    await using folder = await temporaryFolder()
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: MIB })
    for (const bad of ['../lock', '../../etc/passwd', '', 'temp'])
      for (const reach of [
        blobs.getBlock(bad as Cid, MIB),
        blobs.putParts(bad as Cid, [], 1),
        blobs.finish(bad as Cid),
      ])
        await expect(reach).rejects.toThrow('not a CID')
  })

  test(
    'killed while it puts and deletes, it has every acknowledged blob, whole, and nothing by halves',
    async () => {
      await using folder = await temporaryFolder()
      const expected = new Map<Cid, { seed: string; size: number }>()
      for (const [life, lines] of [15, 30].entries()) {
        const script = fileURLToPath(new URL('./children/put-blobs.ts', import.meta.url))
        for (const line of await linesUntilKilled(script, [folder.path, `${life}`], lines)) {
          const [what, cid, seed, size] = line.split(' ') as [string, Cid, string, string]
          if (what === 'put') expected.set(cid, { seed, size: Number(size) })
          if (what !== 'put') expected.delete(cid)
        }
        await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 2 ** 30 })
        expect(expected.size).toBeGreaterThan(5)
        for (const [cid, { seed, size }] of expected) {
          expect(await blobs.has(cid)).toBe(true)
          const whole = await collect(blobs.get(cid, { limitBytes: size }), size)
          expect(sameBytes(whole, contentOf(seed, size))).toBe(true)
        }
        // Whatever else is there is a whole blob whose acknowledgement was cut off, or waits for one, and no block lies about
        // unreached.
        await blobs.sweep(Number.MAX_SAFE_INTEGER)
        const reached = new Set<string>()
        for (const root of rowsIn(folder.path, 'root = 1').map(({ cid }) => cid)) {
          expect(await blobs.has(root)).toBe(true)
          const whole = await collect(blobs.get(root, { limitBytes: 4 * MIB }), 4 * MIB)
          for (const { cid } of codecOf(root) === RAW ? [{ cid: root }] : await blocksOf(whole)) reached.add(cid)
        }
        expect(await blocksIn(folder.path)).toEqual([...reached].sort())
        expect(blobs.usedBytes()).toBe(await bytesIn(folder.path))
        expect(await readdir(join(folder.path, 'temp'))).toEqual([])
      }
    },
    CRASH_MILLIS,
  )
})

type Row = { readonly cid: Cid; readonly bytes: Bytes | null }

function rowsIn(folder: string, where: string): readonly Row[] {
  const database = new DatabaseSync(join(folder, 'catalogue.sqlite'))
  const rows = database.prepare(`SELECT cid, bytes FROM blocks WHERE ${where}`).all() as Row[]
  database.close()
  return rows
}

/** Puts other bytes where the block is kept. */
async function damage(folder: string, cid: Cid, bytes: Bytes): Promise<void> {
  const database = new DatabaseSync(join(folder, 'catalogue.sqlite'))
  const { changes } = database
    .prepare('UPDATE blocks SET bytes = ? WHERE cid = ? AND bytes IS NOT NULL')
    .run(bytes, cid)
  database.close()
  if (changes === 0) await writeFile(pathOf(folder, cid), bytes)
}

async function filesIn(folder: string): Promise<string[]> {
  const shards = await readdir(join(folder, 'blocks'))
  return (await Promise.all(shards.map((shard) => readdir(join(folder, 'blocks', shard))))).flat()
}

async function blocksIn(folder: string): Promise<string[]> {
  return [...(await filesIn(folder)), ...rowsIn(folder, 'bytes IS NOT NULL').map(({ cid }) => cid)].sort()
}

async function bytesIn(folder: string): Promise<number> {
  const files = (await filesIn(folder)) as Cid[]
  const blocks: Bytes[] = await Promise.all(files.map((cid) => readFile(pathOf(folder, cid))))
  const rows = rowsIn(folder, 'bytes IS NOT NULL').map(({ bytes }) => bytes as Bytes)
  return [...blocks, ...rows].reduce((sum, { length }) => sum + length, 0)
}
