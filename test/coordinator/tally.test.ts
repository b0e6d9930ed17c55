import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accumulate } from '#aggregation/accumulate.ts'
import { lanesOf, vectorBytesOf } from '#aggregation/vector.ts'
import { Tally } from '#coordinator/tally.ts'
import { once } from '#protocol/bytes.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { BlobMissing, type BlobStore } from '#protocol/ports.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { contentOf, inPieces } from '#test/content.ts'

const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW' as RunId
const PARAMETERS = 2000
const SIZE = vectorBytesOf(PARAMETERS)
const LIMITS = { bytesMax: 4 * SIZE, leastBytes: 0 }
const VECTORS = Array.from({ length: 9 }, (_, seat) => contentOf(`vector ${seat}`, SIZE))

async function kept(): Promise<{ readonly store: BlobStore; readonly cids: readonly Cid[] }> {
  const store = openMemoryBlobs()
  return { store, cids: await Promise.all(VECTORS.map((bytes) => store.put(once(bytes), SIZE))) }
}

async function sumOf(vectors: readonly Bytes[], ...rest: [] | [Parameters<typeof accumulate>[2]]) {
  const sum = await accumulate(
    vectors.map((bytes) => inPieces(bytes, 700)),
    lanesOf(PARAMETERS),
    ...rest,
  )
  return sum.ok && Buffer.from(sum.value.slice().buffer)
}

const aTurn = () => new Promise((resolve) => setImmediate(resolve))
const named = (cids: readonly Cid[], seats: readonly number[]) =>
  new Map(seats.map((seat) => [seat, cids[seat] as Cid]))

test('whatever came in before the end and in whatever order, the sum is the one of all at once', async () => {
  const { store, cids } = await kept()
  const seats = fc.shuffledSubarray([...VECTORS.keys()], { minLength: 1 })
  await fc.assert(
    fc.asyncProperty(seats, fc.nat(), fc.array(fc.nat({ max: 3 })), async (order, cut, pauses) => {
      const tally = new Tally(LIMITS)
      const early = order.slice(0, cut % (order.length + 1))
      for (const [index, seat] of early.entries()) {
        tally.add(RUN, 1, { seat, vector: cids[seat] as Cid, store, width: PARAMETERS })
        for (let pause = pauses[index] ?? 0; pause > 0; pause--) await aTurn()
      }
      const begun = await tally.take(RUN, 1, named(cids, order))
      expect(tally.sizeBytes).toBe(0)
      expect(early).toEqual(expect.arrayContaining([...(begun?.seats ?? [])]))
      if (early.length > 0) expect(begun?.seats.size).toBeGreaterThan(0)
      const rest = order.filter((seat) => !begun?.seats.has(seat)).map((seat) => VECTORS[seat] as Bytes)
      const whole = await sumOf(order.map((seat) => VECTORS[seat] as Bytes))
      expect(await sumOf(rest, ...(begun ? [begun.sum] : ([] as const)))).toEqual(whole)
    }),
    { numRuns: 40 },
  )
})

test('a sum is taken once, of its own round, and not where it holds what does not count', async () => {
  const { store, cids } = await kept()
  const tally = new Tally(LIMITS)
  const add = (round: number, seat: number) =>
    tally.add(RUN, round, { seat, vector: cids[seat] as Cid, store, width: PARAMETERS })
  add(1, 0)
  expect(await tally.take(RUN, 2, named(cids, [0]))).toBeUndefined()
  expect((await tally.take(RUN, 1, named(cids, [0, 1])))?.seats).toEqual(new Set([0]))
  expect(await tally.take(RUN, 1, named(cids, [0, 1]))).toBeUndefined()
  add(2, 0)
  add(2, 1)
  expect(await tally.take(RUN, 2, named(cids, [1]))).toBeUndefined()
  add(3, 0)
  expect(await tally.take(RUN, 3, new Map([[0, cids[1] as Cid]]))).toBeUndefined()
  expect(tally.sizeBytes).toBe(0)
})

test('a vector that cannot be read, or is of another length, costs the shortcut and nothing else', async () => {
  const { store, cids } = await kept()
  const short = await store.put(once(contentOf('short', SIZE - 16)), SIZE)
  const broken: Pick<BlobStore, 'get'> = {
    async *get() {
      yield (VECTORS[0] as Bytes).subarray(0, 100)
      throw new BlobMissing('gone')
    },
  }
  for (const bad of [
    { vector: short, store },
    { vector: cids[1] as Cid, store: broken },
  ]) {
    const tally = new Tally(LIMITS)
    tally.add(RUN, 1, { seat: 1, ...bad, width: PARAMETERS })
    await aTurn()
    tally.add(RUN, 1, { seat: 0, vector: cids[0] as Cid, store, width: PARAMETERS })
    expect(await tally.take(RUN, 1, new Map([...named(cids, [0]), [1, bad.vector]]))).toBeUndefined()
    expect(tally.sizeBytes).toBe(0)
  }
})

test('sums take no more memory than they may, short vectors none, and a round that is over none', async () => {
  const { store, cids } = await kept()
  const runs = ['A', 'B', 'C', 'D', 'E'].map((letter) => `run_01ARZ3NDEKTSV4RRFFQ69G5FA${letter}` as RunId)
  const tally = new Tally(LIMITS)
  for (const run of runs) tally.add(run, 1, { seat: 0, vector: cids[0] as Cid, store, width: PARAMETERS })
  expect(tally.sizeBytes).toBe(4 * SIZE)
  expect(await tally.take(runs[4] as RunId, 1, named(cids, [0]))).toBeUndefined()
  // What reads for a round that is over is told to stop.
  let stopped: AbortSignal | undefined
  const silent: Pick<BlobStore, 'get'> = {
    async *get(_cid, _range, signal) {
      stopped = signal
      await new Promise((resolve) => signal?.addEventListener('abort', resolve))
    },
  }
  const other = new Tally({ ...LIMITS, leastBytes: SIZE })
  other.add(RUN, 1, { seat: 0, vector: cids[0] as Cid, store: silent, width: PARAMETERS })
  const over = { spec: { run: RUN }, round: undefined } as unknown as Parameters<Tally['forget']>[0]
  await aTurn()
  other.forget(over)
  expect(stopped?.aborted).toBe(true)
  expect(other.sizeBytes).toBe(0)
  const picky = new Tally({ ...LIMITS, leastBytes: SIZE + 1 })
  picky.add(RUN, 1, { seat: 0, vector: cids[0] as Cid, store, width: PARAMETERS })
  expect(picky.sizeBytes).toBe(0)
})
