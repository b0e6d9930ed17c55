import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { collect, once } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobMissing, StorageFull } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { fanOut } from '#storage/blobs/quorum/fan-out.ts'
import { quorumBlobs } from '#storage/blobs/quorum.ts'
import { blobStoreConformance, blocksOf } from '#test/conformance/blobs.ts'
import { partsStoreConformance } from '#test/conformance/parts.ts'
import { contentOf, inPieces, sameBytes } from '#test/content.ts'
import { times } from '#test/effort.ts'
import { until } from '#test/loopback.ts'
import { type Fault, faulty, hastyClock, quorumOfFaulty } from './faulty.ts'

const MIB = BLOCK_BYTES_MAX

// Every fault in every place, and more of each, is the campaign's.
blobStoreConformance('of three stores, of which the first hangs', () => quorumOfFaulty(['hangs', 'none', 'none']))
blobStoreConformance('of three stores, of which the second lies', () => quorumOfFaulty(['none', 'lies', 'none']))
partsStoreConformance('of three stores, of which the last is away', () => quorumOfFaulty(['none', 'none', 'away']), {
  numRuns: times(2, 4),
})

describe('a quorum of stores', () => {
  test('answers when two of three have it, and the third has it when it is back', async () => {
    const faults: Fault[] = ['none', 'none', 'hangs']
    const { store, stores, clock, reports } = opened(faults)
    const bytes = contentOf('a file', 2 * MIB + 5)
    const cid = await store.put(inPieces(bytes, 70_000), bytes.length)
    expect([await stores[0]?.has(cid), await stores[1]?.has(cid)]).toEqual([true, true])
    await clock.advance(60_000)
    expect(reports).toEqual(['store 2 will have it later'])
    expect(store.owed()).toBe(1)
    faults[2] = 'none'
    await clock.advance(60_000)
    expect(store.owed()).toBe(0)
    expect(await stores[2]?.has(cid)).toBe(true)
    await store[Symbol.asyncDispose]()
  })

  test('has what a quorum has, and says what went wrong where none can keep it', async () => {
    const faults: Fault[] = ['none', 'full', 'full']
    const { store, stores } = opened(faults)
    const bytes = contentOf('a file', MIB + 5)
    await expect(store.put(inPieces(bytes, 70_000), bytes.length)).rejects.toThrow(StorageFull)
    const block = { cid: cidOf(RAW, bytes.subarray(0, 9)), bytes: bytes.subarray(0, 9) }
    await expect(store.putBlocks([block])).rejects.toThrow(StorageFull)
    await until(() => store.owed() === 0)
    await stores[0]?.putBlocks([block])
    expect(await store.has(block.cid)).toBe(false)
    expect(sameBytes(await store.getBlock(block.cid, MIB), block.bytes)).toBe(true)
    await stores[1]?.putBlocks([block])
    expect(await store.has(block.cid)).toBe(true)
  })

  test('does not read from a store what that still has to forget, and does not say forgotten while a quorum may have it', async () => {
    const faults: Fault[] = ['none', 'none', 'none']
    const { store, stores, clock } = opened(faults)
    const bytes = contentOf('to be forgotten', 100)
    const cid = await store.put(once(bytes), 100)
    await clock.advance(0)
    faults.splice(0, 3, 'cannot delete', 'cannot delete', 'none')
    await expect(store.delete(cid)).rejects.toThrow('cannot')
    faults.splice(0, 3, 'cannot delete', 'none', 'none')
    await store.delete(cid)
    expect(await stores[0]?.has(cid)).toBe(true)
    const other = { cid: cidOf(RAW, bytes.subarray(1)), bytes: bytes.subarray(1) }
    // Until it is not passed over any more for what it failed to do.
    for (let turn = 0; turn < 20; turn++) {
      await expect(store.getBlock(cid, MIB)).rejects.toThrow(BlobMissing)
      expect(await store.has(cid)).toBe(false)
      await clock.advance(30_000)
      await store.putBlocks([other])
    }
    expect(await stores[0]?.has(other.cid)).toBe(true)
    faults[0] = 'none'
    await clock.advance(120_000)
    expect(await stores[0]?.has(cid)).toBe(false)
    await store[Symbol.asyncDispose]()
  })

  test('puts right on request what stores have lost or damaged, from any one that has it', async () => {
    const { store, stores, kept } = opened(['none', 'none', 'none'])
    const bytes = contentOf('a file', 2 * MIB + 5)
    const cid = await store.put(once(bytes), bytes.length)
    const leaf = (await blocksOf(bytes))[1]?.cid as Cid
    await until(() => kept.every((blocks) => blocks.has(cid)))
    await stores[0]?.delete(cid)
    kept[1]?.delete(leaf)
    expect(await store.has(cid)).toBe(false)
    expect(await store.repair(cid)).toBe(3)
    for (const one of stores) expect(await one.has(cid)).toBe(true)
    await expect(store.repair(cidOf(RAW, contentOf('nowhere', 9)))).rejects.toThrow(BlobMissing)
  })

  test('whatever is put and deleted while one store at a time is away, hangs or is full, they agree once all are back', async () => {
    const files = [100, 70_000, MIB + 9].map((size) => contentOf(`file ${size}`, size))
    const cids = await Promise.all(files.map(async (bytes) => (await blocksOf(bytes)).at(-1)?.cid as Cid))
    const step = fc.record({
      file: fc.nat({ max: files.length - 1 }),
      drop: fc.boolean(),
      struck: fc.nat({ max: 2 }),
      fault: fc.constantFrom<Fault>('none', 'away', 'hangs', 'full', 'cannot delete'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await using clock = hastyClock()
        const faults: Fault[] = ['none', 'none', 'none']
        const { store, stores } = opened(faults, clock)
        const kept = new Set<Cid>()
        for (const { file, drop, struck, fault } of steps) {
          // While one still owes what it missed, another that fails is one too many.
          if (faults[struck] === 'none') {
            faults.fill('none')
            await until(() => store.owed() === 0)
          }
          faults[struck] = fault
          const [bytes, cid] = [files[file] as Bytes, cids[file] as Cid]
          if (drop) await store.delete(cid)
          else expect(await store.put(once(bytes), bytes.length)).toBe(cid)
          drop ? kept.delete(cid) : kept.add(cid)
          for (const other of cids) expect(await store.has(other)).toBe(kept.has(other))
          for (const [index, other] of cids.entries())
            if (kept.has(other)) {
              const whole = await collect(store.get(other, { limitBytes: 2 * MIB }), 2 * MIB)
              expect(sameBytes(whole, files[index] as Bytes)).toBe(true)
            } else await expect(store.getBlock(other, MIB)).rejects.toThrow(BlobMissing)
        }
        faults.fill('none')
        await until(() => store.owed() === 0)
        for (const one of stores) for (const cid of cids) expect(await one.has(cid)).toBe(kept.has(cid))
        await store[Symbol.asyncDispose]()
      }),
      { numRuns: 15 },
    )
  })

  function opened(faults: readonly Fault[], clock = virtualClock(0)) {
    const kept = faults.map(() => new Map<Cid, Bytes>())
    const stores = kept.map((blocks) => openMemoryBlobs({ blocks }))
    const reports: string[] = []
    const report = (cause: unknown) => void reports.push((cause as Error).message)
    const members = stores.map((store, index) => faulty(store, () => faults[index] as Fault, clock))
    return { store: quorumBlobs({ stores: members, quorum: 2, clock, report }), stores, kept, clock, reports }
  }
})

describe('a stream for several readers', () => {
  test('is read no faster than those that set the pace, and one that lags a window behind is left there', async () => {
    let read = 0
    const large = contentOf('large', MIB)
    const source = async function* () {
      while (read++ < 20) yield large
    }
    const fan = fanOut(source(), { follow: 3, pace: 2, clock: virtualClock(0) })
    const [leader, one, two, late] = [fan.leader, ...fan.followers].map((stream) => stream[Symbol.asyncIterator]())
    for (let turn = 0; turn < 3; turn++) {
      const some = [leader?.next(), one?.next()]
      await new Promise((resolve) => setImmediate(resolve))
      expect(read).toBe(turn)
      await Promise.all([...some, two?.next()])
    }
    await late?.next()
    for (let turn = 3; turn < 20; turn++) await Promise.all([leader?.next(), one?.next(), two?.next()])
    await expect(
      (async () => {
        for (;;) if ((await late?.next())?.done) return
      })(),
    ).rejects.toThrow('too slow')
  })
})
