import { afterAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { collect, concat } from '#protocol/bytes.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import type { Fetch } from '#storage/blobs/exchange.ts'
import { openHttp } from '#storage/blobs/http-node.ts'
import { openRemoteBlobs, type RemoteBlobsOptions } from '#storage/blobs/remote.ts'
import { blocksOf } from '#test/conformance/blobs.ts'
import { contentOf, sameBytes } from '#test/content.ts'
import { until } from '#test/loopback.ts'
import { blockServer, honest } from '#test/storage/block-server.ts'

const MIB = 2 ** 20
/** The block that is waited for, what may be in flight beyond it, and one that was begun while there was room. */
const IN_FLIGHT_MAX = 8

const fileOf = async (seed: string, sizeBytes: number) => {
  const bytes = contentOf(seed, sizeBytes)
  const blocks = await blocksOf(bytes)
  return { bytes, blocks, root: blocks.at(-1)?.cid as Cid }
}

describe.each<[string, () => { readonly fetch: Fetch } & Partial<AsyncDisposable>]>([
  ['of ours', openHttp],
  ['of the platform', () => ({ fetch: globalThis.fetch })],
])('a gateway that is read by a fetch %s', (_name, open) => {
  const http = open()
  afterAll(async () => http[Symbol.asyncDispose]?.())
  const remoteOf = (url: string, options: Partial<RemoteBlobsOptions> = {}) =>
    openRemoteBlobs({ url, fetch: http.fetch, firstPauseMillis: 1, ...options })
  const whole = (url: string, cid: Cid, options?: Partial<RemoteBlobsOptions>) =>
    collect(remoteOf(url, options).get(cid, { limitBytes: 64 * MIB }), 64 * MIB)
  /** Says how many questions it has begun: so many come to the server, however long that takes. */
  const counting = () => {
    let begun = 0
    const fetch: Fetch = (...question) => {
      begun++
      return http.fetch(...question)
    }
    return { fetch, begun: () => begun }
  }

  test('is asked for several blocks at a time, which come out in order however they come in', async () => {
    const { bytes, blocks, root } = await fileOf('out of order', 10 * MIB + 5)
    const waiting: (() => void)[] = []
    await using server = await blockServer(blocks, (response, block) => {
      waiting.push(() => honest(response, block, response.req))
    })
    const { fetch, begun } = counting()
    let over = false
    const reading = whole(server.url, root, { fetch }).finally(() => {
      over = true
    })
    for (let turn = 1; !over; turn++) {
      await new Promise(setImmediate)
      // Once nobody else comes, the last that asked is answered first.
      if (turn % 100 === 0 && server.asked.length === begun()) waiting.pop()?.()
    }
    expect(sameBytes(await reading, bytes)).toBe(true)
    expect(server.asked).toHaveLength(blocks.length)
    expect(server.inFlight.most).toBeGreaterThan(2)
    expect(server.inFlight.most).toBeLessThanOrEqual(IN_FLIGHT_MAX)
  })

  test('never has more in flight or held than the bound, however slow its reader is', async () => {
    const { bytes, blocks, root } = await fileOf('slow reader', 10 * MIB)
    await using server = await blockServer(blocks)
    const pieces = remoteOf(server.url).get(root, { limitBytes: bytes.length })[Symbol.asyncIterator]()
    for (let read = 0; !(await pieces.next()).done; ) {
      read++
      let asked = 0
      while (asked !== server.asked.length || server.inFlight.now > 0) {
        asked = server.asked.length
        for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
      }
      // Besides the root.
      expect(server.asked.length - 1 - read).toBeLessThan(IN_FLIGHT_MAX)
    }
  })

  test('goes on at the block where it was, wherever and however often connections break', async () => {
    const { bytes, blocks, root } = await fileOf('breaks', 3 * MIB + 77)
    const breaks = fc.record({
      block: fc.nat(blocks.length - 1),
      // Before the head of the answer, right after it, inside the body, at its last byte.
      after: fc.oneof(fc.constantFrom(-1, 0, MIB - 1), fc.nat(MIB - 1)),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(breaks, { maxLength: 12 }), async (planned) => {
        const left = new Map<Cid, number[]>()
        for (const { block, after } of planned) {
          const victim = blocks[block]?.cid as Cid
          left.set(victim, [...(left.get(victim) ?? []), after].slice(0, 4))
        }
        const expected = [...left.values()].flat().length + blocks.length
        await using server = await blockServer(blocks, (response, block, request) => {
          const after = left.get(request.url?.split(/[/?]/)[2] as Cid)?.pop()
          if (after === undefined || !block) return honest(response, block, request)
          if (after < 0) return response.destroy()
          response.writeHead(200, { 'Content-Length': block.length }).flushHeaders()
          response.write(block.subarray(0, Math.min(after, block.length - 1)), () => response.destroy())
        })
        expect(sameBytes(await whole(server.url, root), bytes)).toBe(true)
        // What came whole was never asked for again.
        expect(server.asked).toHaveLength(expected)
      }),
      { numRuns: 6 },
    )
  })

  test('is asked for what a range touches, and for nothing ahead of that', async () => {
    const { bytes, blocks, root } = await fileOf('range', 9 * MIB)
    await using server = await blockServer(blocks)
    const remote = remoteOf(server.url)
    await fc.assert(
      fc.asyncProperty(fc.nat(9 * MIB - 1), fc.integer({ min: 1, max: 3 * MIB }), async (offset, length) => {
        server.asked.length = 0
        const range = { offset, length, limitBytes: bytes.length }
        const read = await collect(remote.get(root, range), bytes.length)
        expect(sameBytes(read, bytes.subarray(offset, offset + length))).toBe(true)
        const last = Math.min(offset + length, bytes.length) - 1
        const touched = blocks.slice(Math.floor(offset / MIB), Math.floor(last / MIB) + 1)
        expect(server.asked[0]?.cid).toBe(root)
        expect(server.asked.map(({ cid }) => cid).sort()).toEqual([root, ...touched.map(({ cid }) => cid)].sort())
      }),
      { numRuns: 5 },
    )
  })

  test('is left in peace at once when the reader stops early', async () => {
    const { bytes, blocks, root } = await fileOf('stops early', 10 * MIB)
    const first = blocks[0]?.cid as Cid
    await using server = await blockServer(blocks, (response, block, request) => {
      if (request.url?.includes(first) || request.url?.includes(root)) return honest(response, block, request)
      // The others never come to an end.
      response.writeHead(200, { 'Content-Length': MIB }).write('x')
    })
    const { fetch, begun } = counting()
    for await (const piece of remoteOf(server.url, { fetch }).get(root, { limitBytes: bytes.length })) {
      expect(sameBytes(piece, bytes.subarray(0, MIB))).toBe(true)
      await until(() => server.inFlight.now > 1 && server.asked.length === begun())
      break
    }
    await until(() => server.inFlight.now === 0)
    const asked = server.asked.length
    for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate)
    expect(server.asked).toHaveLength(asked)
  })

  test('is left in peace when the reader is stopped, which hears why', async () => {
    const { bytes, blocks, root } = await fileOf('is stopped', 10 * MIB)
    await using server = await blockServer(blocks, (response, block, request) => {
      if (server.asked.length < 3) honest(response, block, request)
    })
    const stop = new AbortController()
    const pieces: Bytes[] = []
    const reading = (async () => {
      const range = { limitBytes: bytes.length }
      for await (const piece of remoteOf(server.url).get(root, range, stop.signal)) pieces.push(piece)
    })()
    reading.catch(() => undefined)
    await until(() => server.asked.length > 3)
    stop.abort(new Error('the round is over'))
    await expect(reading).rejects.toThrow('the round is over')
    await until(() => server.inFlight.now === 0)
    const read = concat(...pieces)
    expect(sameBytes(read, bytes.subarray(0, read.length))).toBe(true)
  })
})

test('a line has as many blocks under way as it can finish soon, and as the bound allows', async () => {
  const { bytes, blocks, root } = await fileOf('line', 20 * MIB)
  const kept = new Map(blocks.map(({ cid, bytes }) => [cid as string, bytes]))
  /** One block after the other comes through. @returns the most that were under way in the second half of the file */
  const mostUnderWay = async (bytesPerSecond: number) => {
    const clock = virtualClock(0)
    let [asked, underWay, most, freeAt] = [0, 0, 0, 0]
    const fetch: Fetch = async (url, { signal }) => {
      asked++
      underWay++
      if (asked > 10) most = Math.max(most, underWay)
      freeAt = Math.max(freeAt, clock.now()) + (1000 * MIB) / bytesPerSecond
      await clock.wakeAt(freeAt, signal)
      underWay--
      return new Response(kept.get(url.pathname.split('/')[2] as string) as Uint8Array<ArrayBuffer>)
    }
    let over = false
    const remote = openRemoteBlobs({ url: 'http://127.0.0.1', fetch, clock, attempts: 1 })
    const reading = collect(remote.get(root, { limitBytes: bytes.length }), bytes.length).finally(() => {
      over = true
    })
    while (!over) await clock.advance(100)
    expect(sameBytes(await reading, bytes)).toBe(true)
    return most
  }
  expect(await mostUnderWay(24 * MIB)).toBe(IN_FLIGHT_MAX - 1)
  // 4 Mbit/s: enough that the line is never idle, and each is there within a few seconds.
  expect([2, 3, 4]).toContain(await mostUnderWay(500_000))
  expect(await mostUnderWay(50_000)).toBe(1)
})
