import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { cachedBlobs } from '#client/block-cache.ts'
import { collect, equalBytes, once } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { BlobCorrupt, BlobMissing, type BlobStore, BlobTooLarge } from '#protocol/ports.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { contentOf } from '#test/content.ts'

function block(seed: string, size: number): Block {
  const bytes = contentOf(seed, size)
  return { cid: cidOf(RAW, bytes), bytes }
}

/** A store that counts what it is asked for. */
function counted() {
  const blobs = openMemoryBlobs()
  const asked: Cid[] = []
  const getBlock: typeof blobs.getBlock = (cid, limit) => {
    asked.push(cid)
    return blobs.getBlock(cid, limit)
  }
  return { blobs: { ...blobs, getBlock }, asked }
}

describe('cached blobs', () => {
  test('ask for a block once, and never for one they were given', async () => {
    const { blobs, asked } = counted()
    const cached = cachedBlobs(blobs, 10_000)
    const [kept, given] = [block('kept', 100), block('given', 100)]
    await blobs.putBlocks([kept])
    cached.remember([given])
    for (const { cid, bytes } of [kept, given, kept, given])
      expect(equalBytes(await cached.getBlock(cid, 100), bytes)).toBe(true)
    expect(
      equalBytes(
        await collect(cached.get(given.cid, { offset: 10, length: 5, limitBytes: 100 }), 5),
        given.bytes.subarray(10, 15),
      ),
    ).toBe(true)
    expect(asked).toEqual([kept.cid])
  })

  test('keep nothing of the memory that a block was a part of', async () => {
    const { blobs } = counted()
    const cached = cachedBlobs(blobs, 10_000)
    const given = block('given', 100)
    const pool = Buffer.alloc(65_536)
    const part = pool.subarray(1000, 1100)
    part.set(given.bytes)
    cached.remember([{ cid: given.cid, bytes: part }])
    part.fill(0)
    const kept = await cached.getBlock(given.cid, 100)
    expect(equalBytes(kept, given.bytes)).toBe(true)
    expect(kept.buffer.byteLength).toBe(100)
  })

  test('hold no more than their bound, whatever is read, and forget what was used longest ago', async () => {
    const { blobs, asked } = counted()
    const cached = cachedBlobs(blobs, 1000)
    const blocks = Array.from({ length: 11 }, (_, index) => block(`${index}`, 100))
    await blobs.putBlocks(blocks)
    const read = (index: number) => cached.getBlock(blocks[index]?.cid as Cid, 100)
    for (let index = 0; index < 10; index++) await read(index)
    await read(0)
    await read(10)
    asked.length = 0
    await read(0)
    await read(1)
    expect(asked).toEqual([blocks[1]?.cid])
    // A block too large for its share pushes nothing out.
    cached.remember([block('large', 126)])
    await read(10)
    expect(asked).toHaveLength(1)
  })

  test('never answer with other bytes, whoever gave them or changes them', async () => {
    const cached = cachedBlobs(openMemoryBlobs(), 10_000)
    const sound = block('sound', 50)
    const wrong = { cid: block('promised', 50).cid, bytes: contentOf('given', 50) }
    const given = { ...sound, bytes: sound.bytes.slice() }
    cached.remember([wrong, given])
    given.bytes.fill(0)
    await expect(cached.getBlock(wrong.cid, 50)).rejects.toThrow(BlobMissing)
    const out = await cached.getBlock(sound.cid, 50)
    out.fill(0)
    expect(equalBytes(await cached.getBlock(sound.cid, 50), sound.bytes)).toBe(true)
    await expect(cached.getBlock(sound.cid, 49)).rejects.toThrow(BlobTooLarge)
    await expect(collect(cached.get(sound.cid, { limitBytes: 49 }), 50)).rejects.toThrow(BlobTooLarge)
  })

  test('do not pass on what a store that lies answers', async () => {
    const lying: BlobStore = { ...openMemoryBlobs(), getBlock: async () => contentOf('anything', 20) }
    await expect(cachedBlobs(lying, 1000).getBlock(block('asked', 20).cid, 20)).rejects.toThrow(BlobCorrupt)
  })

  test('are the store they stand before, for any reads in any order', async () => {
    const blobs = openMemoryBlobs()
    const sizes = [0, 1, 90, 120, 130, 400, 2 ** 20 + 5]
    const cids = await Promise.all(sizes.map((size) => blobs.put(once(contentOf(`${size}`, size)), size)))
    const cached = cachedBlobs(blobs, 1000)
    const reads = fc.record({
      index: fc.nat({ max: sizes.length - 1 }),
      whole: fc.boolean(),
      offset: fc.nat({ max: 500 }),
      length: fc.nat({ max: 500 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(reads, { maxLength: 12 }), async (list) => {
        for (const { index, whole, offset, length } of list) {
          const [cid, limitBytes] = [cids[index] as Cid, 2 ** 21]
          const range = whole ? { limitBytes } : { offset, length, limitBytes }
          const [here, there] = [
            await collect(cached.get(cid, range), limitBytes),
            await collect(blobs.get(cid, range), limitBytes),
          ]
          expect(equalBytes(here, there)).toBe(true)
          expect(equalBytes(await cached.getBlock(cid, limitBytes), await blobs.getBlock(cid, limitBytes))).toBe(true)
        }
      }),
      { numRuns: 60 },
    )
  })
})
