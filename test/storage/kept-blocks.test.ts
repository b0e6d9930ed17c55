import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { equalBytes } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import { openKeptBlocks } from '#storage/blobs/kept-blocks.ts'
import { contentOf } from '#test/content.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'

const KIB = 1024
const blocks: readonly Block[] = Array.from({ length: 12 }, (_, index) => {
  const bytes = contentOf(`kept ${index}`, 8 * KIB)
  return { cid: cidOf(RAW, bytes), bytes }
})
const [first, second] = blocks as readonly [Block, Block]

describe('kept blocks', () => {
  test('are there after a restart, and only those', async () => {
    await using folder = await temporaryFolder()
    const quotaBytes = 1024 * KIB
    const kept = await openKeptBlocks({ folder: folder.path, quotaBytes })
    for (const block of blocks) await kept.keep(block)
    await writeFile(join(folder.path, `${first.cid}.half`), 'what a crash left')
    const again = await openKeptBlocks({ folder: folder.path, quotaBytes })
    expect(again.usedBytes()).toBe(12 * 8 * KIB)
    for (const { cid, bytes } of blocks) expect(equalBytes((await again.get(cid)) as Uint8Array, bytes)).toBe(true)
    expect(await again.get(cidOf(RAW, contentOf('never', 5)))).toBeUndefined()
    expect((await readdir(folder.path)).toSorted()).toEqual(blocks.map(({ cid }) => cid as string).toSorted())
    expect((await stat(join(folder.path, first.cid))).mode & 0o077).toBe(0)
  })

  test('take no more disk than their quota: what was not used for longest is gone', async () => {
    await using folder = await temporaryFolder()
    const kept = await openKeptBlocks({ folder: folder.path, quotaBytes: 10 * 8 * KIB })
    for (const block of blocks.slice(0, 10)) await kept.keep(block)
    await kept.get(first.cid)
    for (const block of blocks.slice(10)) await kept.keep(block)
    expect(kept.usedBytes()).toBe(10 * 8 * KIB)
    expect(await kept.get(first.cid)).toBeDefined()
    expect(await kept.get(second.cid)).toBeUndefined()
    for (let files = 12; files > 10; ) files = (await readdir(folder.path)).length
    // A smaller quota is kept from the start.
    const less = await openKeptBlocks({ folder: folder.path, quotaBytes: 8 * 8 * KIB })
    expect(less.usedBytes()).toBe(8 * 8 * KIB)
    await less.keep({ ...first, bytes: contentOf('large', 9 * KIB) })
    expect(less.usedBytes()).toBeLessThanOrEqual(8 * 8 * KIB)
  })

  test('a short one counts as the page that it takes', async () => {
    await using folder = await temporaryFolder()
    const kept = await openKeptBlocks({ folder: folder.path, quotaBytes: 1024 * KIB })
    const bytes = contentOf('short', 3)
    await kept.keep({ cid: cidOf(RAW, bytes), bytes })
    expect(kept.usedBytes()).toBe(4096)
  })

  test('that the disk has changed or lost are not there any more, and are kept anew', async () => {
    await using folder = await temporaryFolder()
    const kept = await openKeptBlocks({ folder: folder.path, quotaBytes: 1024 * KIB })
    await kept.keep(first)
    await writeFile(join(folder.path, first.cid), contentOf('changed', 8 * KIB))
    expect(await kept.get(first.cid)).toBeUndefined()
    await comesTrue(async () => (await readdir(folder.path)).length === 0)
    await kept.keep(first)
    expect(equalBytes((await kept.get(first.cid)) as Uint8Array, first.bytes)).toBe(true)
  })
})
