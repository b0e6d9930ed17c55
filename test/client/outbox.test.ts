import { describe, expect, test } from '@jest/globals'
import { handOver } from '#client/outbox.ts'
import { once } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Cid } from '#protocol/ids.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { asRemote } from '#storage/blobs/copying.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { contentOf } from '#test/content.ts'

const MIB = 2 ** 20
const signal = new AbortController().signal

/** An outbox with a vector in it, of which blocks alone are read, and a coordinator's store. */
async function vectorOf(sizeBytes: number) {
  const [kept, blobs] = [openMemoryBlobs(), openMemoryBlobs()]
  const cid = await kept.put(once(contentOf('vector', sizeBytes)), sizeBytes)
  const read: Cid[] = []
  const outbox: BlobStore = {
    ...kept,
    get: () => {
      throw new Error('nobody reads the whole of it')
    },
    getBlock: (block, limit) => {
      read.push(block)
      return kept.getBlock(block, limit)
    },
  }
  return { doors: { outbox, blobs: asRemote(blobs) }, vector: { cid, sizeBytes, trainMillis: 1 }, read, blobs }
}

const bytes = contentOf('the message', 30_000)
const beside = [{ cid: cidOf(RAW, bytes), bytes }]

describe('a vector that is handed over', () => {
  test('goes beside its message where both find room', async () => {
    const { doors, vector, blobs } = await vectorOf(20_000)
    const blocks = await handOver(doors, vector, beside, signal)
    expect(blocks.map(({ cid }) => cid)).toEqual([beside[0]?.cid, vector.cid])
    expect(await blobs.has(vector.cid)).toBe(false)
  })

  test.each([40_000, 70_000, MIB, 2 * MIB + 5])('of %i bytes goes ahead of it, a block at a time', async (size) => {
    const { doors, vector, blobs, read } = await vectorOf(size)
    expect(await handOver(doors, vector, beside, signal)).toEqual(beside)
    expect(await blobs.has(vector.cid)).toBe(true)
    expect(new Set(read).size).toBe(size > MIB ? 4 : 1)
  })
})
