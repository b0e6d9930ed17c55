import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { collect, concat, once } from '#protocol/bytes.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { type BlobStore, StorageFull } from '#protocol/ports.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { blocksOf } from '#test/conformance/blobs.ts'
import { contentOf, sameBytes } from '#test/content.ts'
import { temporaryFolder } from '#test/folder.ts'
import { linesUntilKilled } from '#test/killed.ts'

const MIB = 2 ** 20
const QUOTA = 2 ** 30
const openIn = (folder: string, quotaBytes = QUOTA) => openFileBlobs({ folder, quotaBytes, shared: true })

/** Files made of few large blocks, so that most of them share some, and small ones. */
const pieces = ['a', 'b', 'c'].map((name) => contentOf(name, MIB))
const contents: readonly Bytes[] = [
  ...[[0, 1], [0, 2], [1, 2], [0, 1, 2], [0]].map((parts) => concat(...parts.map((at) => pieces[at] as Bytes))),
  contentOf('small', 1000),
]

async function holds(blobs: BlobStore, cid: Cid, bytes: Bytes): Promise<boolean> {
  return (await blobs.has(cid)) && sameBytes(await collect(blobs.get(cid, { limitBytes: 4 * MIB }), 4 * MIB), bytes)
}

describe('blobs of one folder, open twice', () => {
  test('are the same blobs, and neither takes a block from the other, whatever is put and deleted at once', async () => {
    await using folder = await temporaryFolder()
    await using first = await openIn(folder.path)
    await using second = await openIn(folder.path)
    const names = await Promise.all(contents.map((bytes) => first.put(once(bytes), 4 * MIB)))
    const act = fc.record({ by: fc.nat(1), what: fc.constantFrom('put', 'delete'), which: fc.nat(contents.length - 1) })
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 2, maxLength: 6 }), async (acts) => {
        // Each blob is put or deleted, not both, so that what must be there in the end is known.
        const once = [...new Map(acts.map((one) => [one.which, one])).values()]
        await Promise.all(
          once.map(async ({ by, what, which }) => {
            const blobs = by === 0 ? first : second
            if (what === 'delete') await blobs.delete(names[which] as Cid)
            else await blobs.put(pieceBy(contents[which] as Bytes), 4 * MIB)
          }),
        )
        for (const { what, which } of once)
          for (const blobs of [first, second]) {
            const [cid, bytes] = [names[which] as Cid, contents[which] as Bytes]
            if (what === 'put') expect(await holds(blobs, cid, bytes)).toBe(true)
          }
        expect(first.usedBytes()).toBe(second.usedBytes())
      }),
      { numRuns: 15 },
    )
    const used = first.usedBytes()
    await first[Symbol.asyncDispose]()
    await second[Symbol.asyncDispose]()
    // Whoever is alone counts again what lies there.
    await using alone = await openIn(folder.path)
    expect(alone.usedBytes()).toBe(used)
  }, 60_000)

  test('are whole in both when one took the last of the parts, and what one sweeps away no blob of the other needs', async () => {
    await using folder = await temporaryFolder()
    await using first = await openIn(folder.path)
    await using second = await openIn(folder.path)
    const trees = await Promise.all(contents.slice(0, 4).map(blocksOf))
    const parts = trees.flatMap((tree) => tree.map((block) => ({ root: tree.at(-1)?.cid as Cid, block })))
    const split = fc.array(fc.record({ by: fc.nat(1), until: fc.nat(1) }), {
      minLength: parts.length,
      maxLength: parts.length,
    })
    await fc.assert(
      fc.asyncProperty(split, async (choices) => {
        const put = parts.map(({ root, block }, index) => {
          const { by, until } = choices[index] as (typeof choices)[number]
          return (by === 0 ? first : second).putParts(root, [block], until)
        })
        await Promise.all(put)
        const finished = trees.map((tree, index) => (index % 2 ? first : second).finish(tree.at(-1)?.cid as Cid))
        const [whole] = await Promise.all([Promise.all(finished), first.sweep(0), second.sweep(0)])
        await first.sweep(1)
        for (const [index, tree] of trees.entries()) {
          if (!whole[index]) continue
          for (const blobs of [first, second])
            expect(await holds(blobs, tree.at(-1)?.cid as Cid, contents[index] as Bytes)).toBe(true)
        }
        for (const [index, tree] of trees.entries()) await (index % 2 ? second : first).delete(tree.at(-1)?.cid as Cid)
        expect([first.usedBytes(), second.usedBytes()]).toEqual([0, 0])
      }),
      { numRuns: 8 },
    )
  }, 60_000)

  test('have one quota', async () => {
    await using folder = await temporaryFolder()
    await using first = await openIn(folder.path, 3 * MIB)
    await using second = await openIn(folder.path, 3 * MIB)
    await first.put(once(contents[0] as Bytes), 4 * MIB)
    await expect(second.put(once(contents[2] as Bytes), 4 * MIB)).rejects.toThrow(StorageFull)
  })

  test('belong to nobody alone: who wants the folder for itself is refused', async () => {
    await using folder = await temporaryFolder()
    await using _shared = await openIn(folder.path)
    await expect(openFileBlobs({ folder: folder.path, quotaBytes: QUOTA })).rejects.toThrow('in use')
  })

  test('outlive one of the processes, killed in the middle', async () => {
    await using folder = await temporaryFolder()
    const kept = new Map<Cid, Bytes>()
    const script = fileURLToPath(new URL('./children/put-blobs.ts', import.meta.url))
    {
      await using blobs = await openIn(folder.path)
      const lines = linesUntilKilled(script, [folder.path, 'other', 'shared'], 20)
      let ended = false
      void lines.finally(() => {
        ended = true
      })
      for (let index = 0; !ended && index < 200; index++) {
        const bytes = contents[index % contents.length] as Bytes
        const cid = await blobs.put(once(bytes), 4 * MIB)
        if (index % 3 === 0) await blobs.delete(cid)
        if (index % 3 === 0) kept.delete(cid)
        else kept.set(cid, bytes)
      }
      for (const line of await lines) {
        const [what, cid, seed, size] = line.split(' ') as [string, Cid, string, string]
        if (what === 'put') kept.set(cid, contentOf(seed, Number(size)))
        else kept.delete(cid)
      }
      for (const [cid, bytes] of kept) expect(await holds(blobs, cid, bytes)).toBe(true)
    }
    await using again = await openIn(folder.path)
    for (const [cid, bytes] of kept) expect(await holds(again, cid, bytes)).toBe(true)
  }, 60_000)
})

async function* pieceBy(bytes: Bytes): AsyncIterable<Bytes> {
  for (let at = 0; at < bytes.length; at += 300_000) yield bytes.subarray(at, at + 300_000)
}
