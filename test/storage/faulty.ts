import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes } from '#protocol/ids.ts'
import { type Clock, type PartsStore, StorageFull } from '#protocol/ports.ts'
import { type VirtualClock, virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { quorumBlobs } from '#storage/blobs/quorum.ts'
import { contentOf } from '#test/content.ts'

/**
 * What may be wrong with a store. One that can do everything but delete is no part of the campaign: what it still has of a
 * blob is hidden by the blob's name, but a leaf can be read by its own until the deletion is made up for.
 */
export type Fault = 'none' | 'cannot delete' | (typeof FAULTS)[number]
export const FAULTS = ['away', 'full', 'hangs', 'hangs midway', 'lies', 'forgets', 'is slow'] as const

/** A quorum of two of three stores in memory, one or another of which is at fault, and time that passes by itself. */
export function quorumOfFaulty(faults: readonly Fault[]): PartsStore & AsyncDisposable {
  const clock = hastyClock()
  const stores = faults.map((fault) => faulty(openMemoryBlobs(), () => fault, clock))
  const store = quorumBlobs({ stores, quorum: 2, clock, report: () => undefined })
  return {
    ...store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      await clock[Symbol.asyncDispose]()
    },
  }
}

/** Time that passes whenever nothing else is to be done. */
export function hastyClock(): VirtualClock & AsyncDisposable {
  const clock = virtualClock(0)
  let isOpen = true
  const passing = (async () => {
    while (isOpen) {
      await new Promise((resolve) => setImmediate(resolve))
      if (clock.waiting() > 0) await clock.advance(100)
    }
  })()
  return {
    ...clock,
    async [Symbol.asyncDispose]() {
      isOpen = false
      await passing
    },
  }
}

/** The store, with what is wrong with it at the moment. */
export function faulty(store: PartsStore, fault: () => Fault, clock: Clock): PartsStore {
  const never = () => new Promise<never>(() => undefined)

  async function act<T>(work: () => Promise<T>, lie: (answer: T) => T = (answer) => answer): Promise<T> {
    if (fault() === 'away') throw new Error('the store is away')
    if (fault() === 'hangs') return never()
    if (fault() === 'is slow') await clock.wakeAt(clock.now() + 500, new AbortController().signal)
    const lies = fault() === 'lies'
    const answer = await work()
    return lies ? lie(answer) : answer
  }

  async function write<T>(work: (store: PartsStore) => Promise<T>, lie?: (answer: T) => T): Promise<T> {
    if (fault() === 'full') throw new StorageFull('the store is full')
    // As if it were kept.
    return act(() => work(fault() === 'forgets' ? openMemoryBlobs() : store), lie)
  }

  return {
    ...store,
    put: (source, limitBytes, signal, expected) =>
      write(
        (to) => to.put(fault() === 'hangs midway' ? stuck(source) : source, limitBytes, signal, expected),
        () => cidOf(RAW, contentOf('another', 9)),
      ),
    putBlocks: (blocks) => write((to) => to.putBlocks(blocks)),
    putParts: (blob, blocks, until) => write((to) => to.putParts(blob, blocks, until)),
    finish: (blob) =>
      act(
        () => store.finish(blob),
        (is) => !is,
      ),
    sweep: (now) => act(() => store.sweep(now)),
    getBlock: (cid, limitBytes) => {
      if (fault() === 'lies') return Promise.resolve(contentOf('a lie', 10))
      return act(() => store.getBlock(cid, limitBytes))
    },
    has: (cid) =>
      act(
        () => store.has(cid),
        (is) => !is,
      ),
    async delete(cid) {
      if (fault() === 'cannot delete') throw new Error('the store cannot delete')
      await act(() => store.delete(cid))
    },
  }

  async function* stuck(source: AsyncIterable<Bytes>): AsyncIterable<Bytes> {
    for await (const piece of source) {
      yield piece
      await never()
    }
  }
}
