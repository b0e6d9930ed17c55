import { describe, expect, test } from '@jest/globals'
import { collect, equalBytes, once } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { BlobMissing, BlobTooLarge } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openGateway } from '#storage/blobs/gateway.ts'
import { hotBlocks } from '#storage/blobs/hot-blocks.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { systemClock } from '#storage/clock.ts'
import { contentOf } from '#test/content.ts'
import { loopback } from '#test/loopback.ts'
import { ROOMY } from '#test/storage/roomy.ts'

const MIB = 2 ** 20
const FRESH_MILLIS = 1000

function block(seed: string, size: number): Block {
  const bytes = contentOf(seed, size)
  return { cid: cidOf(RAW, bytes), bytes }
}

/** A store that counts its reads, and the same behind a cache. */
function behind(limitBytes: number) {
  const blobs = openMemoryBlobs()
  const reads: Cid[] = []
  const counts = { hit: 0, joined: 0, miss: 0 }
  const clock = virtualClock(0)
  const getBlock: typeof blobs.getBlock = (cid, limit) => {
    reads.push(cid)
    return blobs.getBlock(cid, limit)
  }
  const hot = hotBlocks(
    { ...blobs, getBlock },
    { clock, limitBytes, freshMillis: FRESH_MILLIS, count: (how) => counts[how]++ },
  )
  return { blobs, hot, reads, counts, clock }
}

describe('hot blocks', () => {
  test('sixteen who ask for a block at once cause one read, and later ones none', async () => {
    const { blobs, hot, reads, counts } = behind(16 * MIB)
    const { cid, bytes } = block('asked', MIB)
    await blobs.putBlocks([{ cid, bytes }])
    const found = await Promise.all(Array.from({ length: 16 }, () => hot.getBlock(cid, MIB)))
    found.push(await hot.getBlock(cid, MIB))
    expect(found.every((one) => equalBytes(one, bytes))).toBe(true)
    expect(reads).toEqual([cid])
    expect(counts).toEqual({ miss: 1, joined: 15, hit: 1 })
  })

  test('sixteen downloads of a file over a gateway read each of its blocks once', async () => {
    const { blobs, reads } = behind(0)
    const counts = { hit: 0, joined: 0, miss: 0 }
    const bytes = contentOf('file', 5 * MIB + 3)
    const cid = await blobs.put(once(bytes), bytes.length)
    const getBlock: typeof blobs.getBlock = (at, limit) => {
      reads.push(at)
      return blobs.getBlock(at, limit)
    }
    const gateway = openGateway({
      ...{ blobs: { ...blobs, getBlock }, withheld: openMemoryBlobs(), clock: systemClock },
      tickets: openTickets({ key: contentOf('key', 32), clock: systemClock }),
      limits: { ...ROOMY, cacheBytes: 64 * MIB },
      countRead: (how) => counts[how]++,
    })
    await using server = await loopback((request, response) => void gateway(request, response))
    const whole = async () => new Uint8Array(await (await fetch(`${server.url}/ipfs/${cid}`)).arrayBuffer())
    const all = await Promise.all(Array.from({ length: 16 }, whole))
    expect(all.every((one) => equalBytes(one, bytes))).toBe(true)
    expect(reads.toSorted()).toEqual([...new Set(reads)].toSorted())
    expect(counts.miss).toBe(7)
    expect(counts.hit + counts.joined).toBeGreaterThan(15 * 6)
  })

  test('what is missing is missing for all who ask, and is found once it is there', async () => {
    const { blobs, hot, reads } = behind(16 * MIB)
    const late = block('late', 100)
    const asked = await Promise.allSettled(Array.from({ length: 4 }, () => hot.getBlock(late.cid, MIB)))
    expect(asked.map((one) => one.status === 'rejected' && one.reason instanceof BlobMissing)).toEqual([
      ...[true, true, true, true],
    ])
    await blobs.putBlocks([late])
    expect(equalBytes(await hot.getBlock(late.cid, MIB), late.bytes)).toBe(true)
    expect(reads).toHaveLength(2)
  })

  test('a block that was deleted is answered for a while at most', async () => {
    const { blobs, hot, clock } = behind(16 * MIB)
    const gone = block('gone', 100)
    await blobs.putBlocks([gone])
    await hot.getBlock(gone.cid, MIB)
    await blobs.delete(gone.cid)
    await hot.getBlock(gone.cid, MIB)
    await clock.advance(FRESH_MILLIS)
    await expect(hot.getBlock(gone.cid, MIB)).rejects.toThrow(BlobMissing)
    await expect(hot.getBlock(gone.cid, MIB)).rejects.toThrow(BlobMissing)
  })

  test('memory stays within its bound, tiny blocks counted with what they cost, and what was used longest ago goes', async () => {
    const { blobs, hot, reads } = behind(20_000)
    const tiny = Array.from({ length: 100 }, (_, index) => block(`${index}`, 1 + index))
    await blobs.putBlocks(tiny)
    for (const { cid } of tiny) await hot.getBlock(cid, MIB)
    reads.length = 0
    for (const { cid } of tiny.toReversed()) await hot.getBlock(cid, MIB)
    expect(reads.length).toBeGreaterThan(30)
    expect(reads.length).toBeLessThan(60)
    expect(reads[0]).not.toBe(tiny.at(-1)?.cid)
  })

  test('a limit is kept also for what is in memory, and any part of a file comes as it is', async () => {
    const { blobs, hot } = behind(16 * MIB)
    const bytes = contentOf('parts', 2 * MIB + 7)
    const cid = await blobs.put(once(bytes), bytes.length)
    for (let turn = 0; turn < 2; turn++) {
      const part = await collect(hot.get(cid, { offset: MIB - 3, length: 9, limitBytes: bytes.length }), 9)
      expect(equalBytes(part, bytes.subarray(MIB - 3, MIB + 6))).toBe(true)
      await expect(collect(hot.get(cid, { limitBytes: MIB }), MIB)).rejects.toThrow(BlobTooLarge)
      await expect(hot.getBlock(cid, 10)).rejects.toThrow(BlobTooLarge)
    }
  })
})
