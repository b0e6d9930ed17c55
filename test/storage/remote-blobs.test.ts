import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import { collect, once } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { BlobCorrupt, BlobMissing, BlobTooLarge, type Clock, type PartsStore, StorageFull } from '#protocol/ports.ts'
import { issueTicket, type Ticket } from '#protocol/ticket.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { type Fetch, RemoteFault, RemoteRefused } from '#storage/blobs/exchange.ts'
import { openGateway } from '#storage/blobs/gateway.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { systemClock } from '#storage/clock.ts'
import { blobStoreConformance, blocksOf } from '#test/conformance/blobs.ts'
import { contentOf, sameBytes } from '#test/content.ts'
import { loopback, until } from '#test/loopback.ts'
import { ROOMY } from '#test/storage/roomy.ts'

const MIB = 2 ** 20
const key = contentOf('ticket key', 32)

function gatewayOver(blobs: PartsStore, withheld: PartsStore = openMemoryBlobs()) {
  return openGateway({
    blobs,
    withheld,
    tickets: openTickets({ key, clock: systemClock }),
    clock: systemClock,
    limits: ROOMY,
  })
}

/** A ticket for another seat each time: what a seat may upload is not the matter here. */
let seat = 0
const ticketFor = (publish: Ticket['publish']) => () =>
  issueTicket(key, {
    run: 'run_01K00000000000000000000000' as RunId,
    round: 1,
    seat: seat++,
    sizeBytes: 64 * MIB,
    publish,
    expiresAt: Date.now() + 60_000,
  })

const ticket = ticketFor('full')

blobStoreConformance(
  'remote, over a gateway on loopback',
  async () => {
    const gateway = gatewayOver(openMemoryBlobs())
    const server = await loopback((request, response) => void gateway(request, response))
    const close = async () => server[Symbol.asyncDispose]()
    return { ...openRemoteBlobs({ url: server.url, ticket }), [Symbol.asyncDispose]: close }
  },
  { blocks: false, deletes: false },
)

/** A gateway that a test can trip: `trip` sees each request first and says whether it dealt with it. */
async function tripping(trip: (request: IncomingMessage, response: ServerResponse, turn: number) => boolean) {
  const blobs = openMemoryBlobs()
  const gateway = gatewayOver(blobs)
  const asked: string[] = []
  const server = await loopback((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (!trip(request, response, asked.length)) void gateway(request, response)
  })
  return Object.assign(server, { blobs, asked })
}

const problem = (response: ServerResponse, status: number, code: string) =>
  response.writeHead(status, { 'Content-Type': 'application/problem+json' }).end(JSON.stringify({ code, detail: code }))

/** Longer than all pauses of a test: what an attempt has is not over before its answer is here. */
const attemptMillis = 10_000_000

/** A clock that shows each pause between two attempts, from when on it is one. */
function pausing() {
  const time = virtualClock(0)
  const pauses: { readonly from: number; readonly to: number }[] = []
  const clock: Clock = {
    now: time.now,
    wakeAt(at, signal) {
      if (at - time.now() < attemptMillis) pauses.push({ from: time.now(), to: at })
      return time.wakeAt(at, signal)
    },
  }
  return { time, pauses, clock }
}

describe('remote blobs', () => {
  test('after a broken connection reading goes on at the block where it was', async () => {
    const bytes = contentOf('resumed', 4 * MIB + 1)
    let broken = 0
    await using server = await tripping((_request, response, turn) => {
      // Every other answer ends in the middle of its block, or before it begins.
      if (turn % 2 === 1) return false
      broken++
      if (turn % 4 === 0) response.destroy()
      else {
        response.writeHead(200, { 'Content-Length': MIB })
        response.write(bytes.subarray(0, 1000), () => response.destroy())
      }
      return true
    })
    const cid = await server.blobs.put(once(bytes), bytes.length)
    // In the order of asking: over several connections they may come in another.
    const begun: string[] = []
    const fetch: Fetch = (target, question) => {
      begun.push(target.pathname)
      return globalThis.fetch(target, question)
    }
    const remote = openRemoteBlobs({ url: server.url, fetch, firstPauseMillis: 1 })
    expect(sameBytes(await collect(remote.get(cid, { limitBytes: bytes.length }), bytes.length), bytes)).toBe(true)
    expect(broken).toBeGreaterThan(2)
    // What came whole was never asked for again: as many good answers as blocks.
    const blocks = await blocksOf(bytes)
    expect(server.asked.length - broken).toBe(blocks.length)
    const order = [...new Set(begun)].map((path) => path.split('/')[2])
    expect(order).toEqual([blocks.at(-1)?.cid, ...blocks.slice(0, -1).map(({ cid }) => cid)])
  })

  test('a gateway that lies is caught at the first wrong block, and not believed later', async () => {
    const bytes = contentOf('true', 3 * MIB)
    const blocks = await blocksOf(bytes)
    const victim = blocks[1]?.cid as Cid
    const lies: Bytes[] = [contentOf('lie', MIB), bytes.subarray(0, MIB), new Uint8Array(0), contentOf('long', 2 * MIB)]
    for (const lie of lies) {
      await using server = await tripping((request, response) => {
        if (!request.url?.includes(victim)) return false
        response.writeHead(200).end(lie)
        return true
      })
      const cid = await server.blobs.put(once(bytes), bytes.length)
      const remote = openRemoteBlobs({ url: server.url, firstPauseMillis: 1 })
      const pieces: Bytes[] = []
      const read = async () => {
        for await (const piece of remote.get(cid, { limitBytes: bytes.length })) pieces.push(piece)
      }
      await expect(read()).rejects.toThrow(BlobCorrupt)
      expect(pieces).toHaveLength(1)
      expect(sameBytes(pieces[0] as Bytes, bytes.subarray(0, MIB))).toBe(true)
    }
  })

  test('an answer without end is not read to its end', async () => {
    let sent = 0
    await using server = await tripping((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(contentOf('endless', 65_536))) sent += 65_536
      }
      response.on('drain', more)
      response.writeHead(200)
      more()
      return true
    })
    const remote = openRemoteBlobs({ url: server.url })
    await expect(remote.getBlock(cidOf(RAW, contentOf('x', 9)), 1000)).rejects.toThrow(BlobTooLarge)
    expect(sent).toBeLessThan(64 * MIB)
  })

  test.each([
    ['7', [7000, 7000]],
    ['999999999', [60_000, 60_000]],
    ['0', [1000, 1000]],
    // Not a number of seconds: as if nothing had been said.
    ['Wed, 21 Oct 2099 07:28:00 GMT', [100, 200]],
  ])(
    'who is told to come again after %j waits for that long, however often, and within bounds',
    async (after, pauses) => {
      const { time, clock, pauses: begun } = pausing()
      await using server = await tripping((_request, response, turn) => {
        if (turn > pauses.length) return false
        response.setHeader('Retry-After', after)
        problem(response, 503, 'busy')
        return true
      })
      const cid = await server.blobs.put(once(contentOf('wanted', 10)), 10)
      const jitter = () => (after.includes('Oct') ? 1 : 0)
      const times = { clock, attempts: 3, firstPauseMillis: 100, attemptMillis, jitter }
      const reading = collect(openRemoteBlobs({ url: server.url, ...times }).get(cid, { limitBytes: 10 }), 10)
      for (const [turn, pause] of pauses.entries()) {
        await until(() => begun.length === turn + 1)
        await time.advance(pause - 1)
        expect(server.asked.length).toBe(turn + 1)
        await time.advance(1)
      }
      expect((await reading).length).toBe(10)
    },
  )

  test('a gateway that always says later is given up in the end', async () => {
    const { time, clock, pauses } = pausing()
    await using server = await tripping((_request, response) => {
      response.setHeader('Retry-After', '60')
      problem(response, 429, 'busy-ticket')
      return true
    })
    const reading = openRemoteBlobs({ url: server.url, clock, attemptMillis }).has(cidOf(RAW, contentOf('never', 10)))
    reading.catch(() => undefined)
    for (let waits = 1; waits <= 60; waits++) {
      await until(() => pauses.length >= waits)
      await time.advance(120_000)
    }
    await expect(reading).rejects.toThrow(RemoteFault)
    expect(server.asked.length).toBe(61)
  })

  test.each([408, 429, 500, 502, 503, 504])('%i is not the last word', async (status) => {
    await using server = await tripping((_request, response, turn) => {
      if (turn > 3) return false
      problem(response, status, 'not-now')
      return true
    })
    const bytes = contentOf('at last', 100)
    const remote = openRemoteBlobs({ url: server.url, ticket, firstPauseMillis: 1 })
    expect(await remote.put(once(bytes), 100)).toBe(cidOf(RAW, bytes))
    expect(await server.blobs.has(cidOf(RAW, bytes))).toBe(true)
  })

  test('a network that stays away is given up after the last attempt', async () => {
    await using server = await tripping((_request, response) => {
      response.destroy()
      return true
    })
    const remote = openRemoteBlobs({ url: server.url, attempts: 3, firstPauseMillis: 1 })
    await expect(remote.getBlock(cidOf(RAW, contentOf('x', 9)), 1000)).rejects.toThrow()
    expect(server.asked).toHaveLength(3)
  })

  test('pauses grow, and an abort ends them at once', async () => {
    const { time, clock, pauses } = pausing()
    await using server = await tripping((_request, response) => {
      problem(response, 503, 'busy')
      return true
    })
    const remote = openRemoteBlobs({ url: server.url, clock, firstPauseMillis: 100, attempts: 100, attemptMillis })
    const stop = new AbortController()
    const reading = collect(remote.get(cidOf(RAW, contentOf('x', 9)), { limitBytes: 9 }, stop.signal), 9)
    reading.catch(() => undefined)
    for (let attempt = 1; attempt <= 4; attempt++) {
      await until(() => pauses.length === attempt)
      const { from, to } = pauses[attempt - 1] as { from: number; to: number }
      const longest = 100 * 2 ** (attempt - 1)
      expect(to - from).toBeGreaterThan(longest / 2 - 0.001)
      expect(to - from).toBeLessThan(longest + 0.001)
      await time.advance(to - time.now() - 0.01)
      expect(server.asked).toHaveLength(attempt)
      await time.advance(0.02)
    }
    await until(() => pauses.length === 5)
    stop.abort(new Error('the round is over'))
    await expect(reading).rejects.toThrow('the round is over')
    expect(server.asked).toHaveLength(5)
    expect(time.waiting()).toBe(0)
  })

  test('a gateway that is away for long is noticed soon after it is back', async () => {
    const clock = virtualClock(0)
    const backAt = 20_000
    const bytes = contentOf('x', 9)
    let asked = 0
    const fetch = async () => {
      asked++
      if (clock.now() < backAt) throw new TypeError('fetch failed')
      return new Response(bytes as Uint8Array<ArrayBuffer>)
    }
    const remote = openRemoteBlobs({ url: 'http://127.0.0.1', clock, fetch, attempts: 16, firstPauseMillis: 250 })
    const reading = remote.getBlock(cidOf(RAW, bytes), 1000)
    for (let before = -1; before !== asked; ) {
      before = asked
      await clock.advance(4000)
    }
    expect(sameBytes(await reading, bytes)).toBe(true)
    expect(clock.now()).toBeLessThan(backAt + 3 * 4000)
  })

  test('a gateway that says nothing is not waited for longer than allowed', async () => {
    const clock = virtualClock(0)
    await using server = await tripping(() => true)
    const remote = openRemoteBlobs({ url: server.url, clock, attempts: 1, attemptMillis: 5000 })
    const reading = remote.getBlock(cidOf(RAW, contentOf('x', 9)), 1000)
    reading.catch(() => undefined)
    await until(() => server.asked.length === 1)
    await clock.advance(5000)
    await expect(reading).rejects.toThrow(RemoteFault)
    expect(clock.waiting()).toBe(0)
  })

  test.each([
    [413, 'too-large', BlobTooLarge],
    [422, 'wrong-content', BlobCorrupt],
    [507, 'storage-full', StorageFull],
    [401, 'expired-ticket', RemoteRefused],
    [403, 'spent-ticket', RemoteRefused],
    [400, 'not-uploadable', RemoteRefused],
  ])('%i %s is thrown at once, by its name', async (status, code, kind) => {
    await using server = await tripping((request, response) => {
      if (request.method !== 'PUT') return false
      request.resume().on('end', () => problem(response, status, code))
      return true
    })
    const remote = openRemoteBlobs({ url: server.url, ticket })
    const put = remote.put(once(contentOf('refused', 10)), 10)
    await expect(put).rejects.toThrow(kind)
    await expect(put).rejects.toThrow(code)
    expect(server.asked.filter((line) => line.startsWith('PUT'))).toHaveLength(1)
  })

  test('410 is as good as 404, and a redirect leads nowhere', async () => {
    await using server = await tripping((request, response) => {
      if (request.url?.startsWith('/elsewhere')) return false
      response.writeHead(request.method === 'HEAD' ? 410 : 307, { Location: '/elsewhere' }).end()
      return true
    })
    const remote = openRemoteBlobs({ url: server.url, ticket, attempts: 2, firstPauseMillis: 1 })
    const bytes = contentOf('gone', 10)
    expect(await remote.has(cidOf(RAW, bytes))).toBe(false)
    await expect(remote.getBlock(cidOf(RAW, bytes), 10)).rejects.toThrow()
    await expect(remote.put(once(bytes), 10)).rejects.toThrow()
    expect(server.asked.some((line) => line.includes('elsewhere'))).toBe(false)
  })

  test('without a ticket the gateway takes nothing, and the client says why', async () => {
    await using server = await tripping(() => false)
    const remote = openRemoteBlobs({ url: server.url })
    const bytes = contentOf('no ticket', 10)
    await expect(remote.put(once(bytes), 10)).rejects.toMatchObject({ status: 401, code: 'no-ticket' })
    await expect(server.blobs.getBlock(cidOf(RAW, bytes), 10)).rejects.toThrow(BlobMissing)
  })

  test('it runs in a browser: nothing that it imports is of Node', async () => {
    const seen = new Set<string>()
    const outside = new Set<string>()
    const follow = async (path: string): Promise<void> => {
      if (seen.has(path)) return
      seen.add(path)
      const source = await readFile(new URL(`../../${path}`, import.meta.url), 'utf8')
      for (const [, name = ''] of source.matchAll(/from '([^']+)'/g)) {
        if (name.startsWith('./') || name.startsWith('../'))
          await follow(new URL(name, `file:///${path}`).pathname.slice(1))
        else if (name.startsWith('#') && name !== '#crypto') await follow(name.slice(1))
        else outside.add(name)
      }
    }
    await follow('storage/blobs/remote.ts')
    expect(seen.size).toBeGreaterThan(5)
    expect([...outside].filter((name) => name.startsWith('node:'))).toEqual([])
  })
})
