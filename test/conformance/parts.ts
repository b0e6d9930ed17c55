import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { collect, concat, once } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing, BlobTooLarge, type PartsStore } from '#protocol/ports.ts'
import { contentOf, sameBytes } from '#test/content.ts'
import { times } from '#test/effort.ts'
import { blocksOf, nodeOf } from './blobs.ts'

const MIB = BLOCK_BYTES_MAX

export type PartsConformance = {
  /** False where what nobody needs any more goes later, at a time of the store's own. */
  readonly forgetsAtOnce?: boolean
  /** How many times each property is tried: fewer where the store is slow. */
  readonly numRuns?: number
}

/**
 * What every PartsStore promises besides what every BlobStore does.
 *
 * @param open a store that nobody else uses; closed after the suite if it can be
 */
export function partsStoreConformance(
  name: string,
  open: () => Promise<PartsStore & Partial<AsyncDisposable>> | (PartsStore & Partial<AsyncDisposable>),
  { forgetsAtOnce = true, numRuns = times(4, 10) }: PartsConformance = {},
): void {
  describe(`parts: ${name}`, () => {
    let store: PartsStore & Partial<AsyncDisposable>
    beforeAll(async () => {
      store = await open()
    })
    afterAll(async () => {
      await store[Symbol.asyncDispose]?.()
    })

    const until: Millis = 1000
    const isHere = (cid: Cid) =>
      store.getBlock(cid, MIB).then(
        () => true,
        () => false,
      )
    const isWhole = async (root: Cid, bytes: Bytes) =>
      sameBytes(await collect(store.get(root, { limitBytes: bytes.length }), bytes.length), bytes)

    test('a blob whose parts came in any order, some of them again, is the blob; and no sooner', async () => {
      const bytes = contentOf('any order', 2 * MIB + 5)
      const blocks = await blocksOf(bytes)
      const root = blocks.at(-1)?.cid as Cid
      const order = fc.shuffledSubarray([...blocks, ...blocks], { minLength: 2 * blocks.length })
      await fc.assert(
        fc.asyncProperty(order, fc.integer({ min: 1, max: 4 }), async (given, together) => {
          const came = new Set<Cid>()
          for (let at = 0; at < given.length; at += together) {
            const some = given.slice(at, at + together)
            await store.putParts(root, some, until)
            for (const { cid } of some) came.add(cid)
            for (const { cid, bytes: block } of some)
              expect(sameBytes(await store.getBlock(cid, MIB), block)).toBe(true)
            expect(await store.has(root)).toBe(came.size === blocks.length)
            expect(await store.finish(root)).toBe(came.size === blocks.length)
          }
          expect(await isWhole(root, bytes)).toBe(true)
          // It is a blob as any other: whatever parts waited for is over, and it goes when it is deleted.
          await store.sweep(Number.MAX_SAFE_INTEGER)
          expect(await isWhole(root, bytes)).toBe(true)
          await store.delete(root)
          if (forgetsAtOnce) for (const { cid } of blocks) expect(await isHere(cid)).toBe(false)
        }),
        { numRuns },
      )
    })

    test('many parts put at once are all there, and so is the same one put by many', async () => {
      const bytes = contentOf('at once', 3 * MIB + 1)
      const blocks = await blocksOf(bytes)
      const root = blocks.at(-1)?.cid as Cid
      await Promise.all([...blocks, ...blocks].map((block) => store.putParts(root, [block], until)))
      const finished = await Promise.all([1, 2, 3].map(() => store.finish(root)))
      expect(finished).toEqual([true, true, true])
      expect(await isWhole(root, bytes)).toBe(true)
    })

    test('a single block is finished like any blob, and finishing what was put changes nothing', async () => {
      const bytes = contentOf('single', 70_000)
      const cid = cidOf(RAW, bytes)
      expect(await store.finish(cid)).toBe(false)
      await store.putParts(cid, [{ cid, bytes }], until)
      expect(await store.finish(cid)).toBe(true)
      await store.sweep(Number.MAX_SAFE_INTEGER)
      expect(await isWhole(cid, bytes)).toBe(true)
      const other = contentOf('put as a whole', MIB + 1)
      const root = await store.put(once(other), other.length)
      expect(await store.finish(root)).toBe(true)
      expect(await isWhole(root, other)).toBe(true)
    })

    test('a part under another name, or larger than a block may be, is refused, and nothing that came with it is kept', async () => {
      const [good, bytes] = [contentOf('a good part', 300), contentOf('a part', 100)]
      const root = cidOf(RAW, contentOf('some blob', 5))
      const sound = { cid: cidOf(RAW, good), bytes: good }
      const wrong = { cid: cidOf(RAW, contentOf('another part', 100)), bytes }
      await expect(store.putParts(root, [sound, wrong], until)).rejects.toThrow(BlobCorrupt)
      for (const { cid } of [sound, wrong]) await expect(store.getBlock(cid, MIB)).rejects.toThrow(BlobMissing)
      const large = contentOf('a large part', MIB + 1)
      await expect(store.putParts(root, [{ cid: cidOf(RAW, large), bytes: large }], until)).rejects.toThrow(
        BlobTooLarge,
      )
      await store.putParts(root, [], until)
      expect(await store.finish(root)).toBe(false)
    })

    test('a tree whose blocks are not as large as it says, or of two sizes at once, never is a blob', async () => {
      const leaf = rawOf(contentOf('a leaf of 100', 100))
      const other = rawOf(contentOf('a leaf of 50', 50))
      const inner = nodeOf([{ cid: leaf.cid, sizeBytes: 100 }])
      for (const root of [
        nodeOf([{ cid: leaf.cid, sizeBytes: 101 }]),
        nodeOf([leaf, other].map(({ cid }) => ({ cid, sizeBytes: 100 }))),
        nodeOf([100, 99].map((sizeBytes) => ({ cid: leaf.cid, sizeBytes }))),
        nodeOf([{ cid: inner.cid, sizeBytes: 99 }]),
      ]) {
        await store.putParts(root.cid, [root, leaf, other, inner], until)
        await expect(store.finish(root.cid)).rejects.toThrow(BlobCorrupt)
        await store.delete(root.cid)
      }
      const sound = nodeOf([inner, inner].map(({ cid }) => ({ cid, sizeBytes: 100 })))
      await store.putParts(sound.cid, [sound, leaf, inner], until)
      expect(await store.finish(sound.cid)).toBe(true)
      await store.delete(sound.cid)
    })

    test('nobody can change a part through the array that went in', async () => {
      const bytes = contentOf('mutable part', 1000)
      const given = Buffer.from(bytes)
      const cid = cidOf(RAW, bytes)
      await store.putParts(cid, [{ cid, bytes: given }], until)
      given.fill(0)
      expect(sameBytes(await store.getBlock(cid, MIB), bytes)).toBe(true)
      await store.delete(cid)
    })

    if (forgetsAtOnce) {
      test('what is swept is what is overdue, and says how many bytes that was', async () => {
        await store.sweep(Number.MAX_SAFE_INTEGER)
        const parts = [10, 70_000, MIB].map((size) => {
          const bytes = contentOf(`overdue ${size}`, size)
          return { cid: cidOf(RAW, bytes), bytes }
        }) as [Block, Block, Block]
        const [small, middle, large] = parts
        const blob = cidOf(RAW, contentOf('never whole', 9))
        await store.putParts(blob, [small, large], 100)
        await store.putParts(blob, [middle], 200)
        expect(await store.sweep(99)).toBe(0)
        expect(await store.sweep(100)).toBe(10 + MIB)
        expect(await Promise.all(parts.map(({ cid }) => isHere(cid)))).toEqual([false, true, false])
        // Asked for again, for longer: the later time counts.
        await store.putParts(blob, [middle], 300)
        await store.putParts(blob, [middle], 150)
        expect(await store.sweep(299)).toBe(0)
        expect(await isHere(middle.cid)).toBe(true)
        expect(await store.sweep(300)).toBe(70_000)
        expect(await store.sweep(300)).toBe(0)
      })

      test('whatever is put, finished, deleted and swept, there is what a blob has or waits for, and nothing else', async () => {
        // Files that share leaves: each is a choice of the same four, two of them small. A single leaf is a blob of its own.
        const leaves = [MIB, MIB, 500, 80_000].map((size, index) => contentOf(`leaf ${index}`, size))
        const choices = [[0], [0, 1], [1, 0, 1], [0, 2], [1, 3], [2], [0, 1, 0, 3]]
        const trees = await Promise.all(
          choices.map((choice) => blocksOf(concat(...choice.map((index) => leaves[index] as Bytes)))),
        )
        const every = [...new Set(trees.flat().map(({ cid }) => cid))]
        const file = fc.nat({ max: trees.length - 1 })
        const act = fc.oneof(
          {
            weight: 4,
            arbitrary: fc.record({ what: fc.constant('part' as const), file, take: fc.nat(31), until: fc.nat(9) }),
          },
          { weight: 2, arbitrary: fc.record({ what: fc.constant('finish' as const), file }) },
          fc.record({ what: fc.constantFrom('put' as const, 'delete' as const), file }),
          fc.record({ what: fc.constant('sweep' as const), now: fc.nat(9) }),
        )
        await store.sweep(Number.MAX_SAFE_INTEGER)
        await fc.assert(
          fc.asyncProperty(fc.array(act, { maxLength: 14 }), async (acts) => {
            const whole = new Set<number>()
            const waiting = trees.map(() => new Map<Cid, Millis>())
            const cidsOf = (index: number) => (trees[index] as readonly Block[]).map(({ cid }) => cid)
            const needed = () =>
              new Set([...[...whole].flatMap(cidsOf), ...waiting.flatMap((parts) => [...parts.keys()])])
            for (const one of acts) {
              if (one.what === 'sweep') {
                await store.sweep(one.now)
                for (const parts of waiting) for (const [cid, at] of parts) if (at <= one.now) parts.delete(cid)
              } else {
                const tree = trees[one.file] as readonly Block[]
                const root = tree.at(-1)?.cid as Cid
                const parts = waiting[one.file] as Map<Cid, Millis>
                if (one.what === 'part') {
                  const some = tree.filter((_, index) => one.take & (1 << index))
                  await store.putParts(root, some, one.until)
                  for (const { cid } of some) parts.set(cid, Math.max(one.until, parts.get(cid) ?? 0))
                } else if (one.what === 'finish') {
                  const complete = cidsOf(one.file).every((cid) => needed().has(cid))
                  expect(await store.finish(root)).toBe(complete)
                  if (complete) whole.add(one.file)
                  if (complete) parts.clear()
                } else if (one.what === 'put') {
                  await store.put(
                    once(concat(...(choices[one.file]?.map((index) => leaves[index] as Bytes) ?? []))),
                    8 * MIB,
                  )
                  whole.add(one.file)
                } else {
                  await store.delete(root)
                  whole.delete(one.file)
                  parts.clear()
                }
              }
              const here = needed()
              for (const cid of every) expect({ cid, here: await isHere(cid) }).toEqual({ cid, here: here.has(cid) })
            }
            for (const tree of trees) await store.delete(tree.at(-1)?.cid as Cid)
          }),
          { numRuns: 2 * numRuns },
        )
      })
    }
  })
}

function rawOf(bytes: Bytes): Block {
  return { cid: cidOf(RAW, bytes), bytes }
}
