import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { collect, once } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { holdFile } from '#protocol/held-file.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { BlobMissing, type BlobStore, BlobTooLarge, type Clock, type PartsStore } from '#protocol/ports.ts'
import { issueTicket } from '#protocol/ticket.ts'
import { RemoteFault, RemoteRefused } from '#storage/blobs/exchange.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { type Gateway, openGateway } from '#storage/blobs/gateway.ts'
import { openHttp } from '#storage/blobs/http-node.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { systemClock } from '#storage/clock.ts'
import { Wire } from '#test/chaos/wire.ts'
import { blocksOf } from '#test/conformance/blobs.ts'
import { contentOf, sameBytes } from '#test/content.ts'
import { temporaryFolder } from '#test/folder.ts'
import { loopback, until } from '#test/loopback.ts'
import { ROOMY } from '#test/storage/roomy.ts'

const MIB = 2 ** 20
const key = contentOf('ticket key', 32)

let seat = 0
const freshTicket = (sizeBytes = 64 * MIB) => {
  const run = 'run_01K00000000000000000000000' as RunId
  const fields = { run, round: 1, seat: seat++, sizeBytes, publish: 'full' } as const
  const ticket = issueTicket(key, { ...fields, expiresAt: Date.now() + 600_000 })
  return () => ticket
}

const gatewayOver = (blobs: PartsStore): Gateway =>
  openGateway({
    ...{ blobs, withheld: openMemoryBlobs(), tickets: openTickets({ key, clock: systemClock }), clock: systemClock },
    limits: ROOMY,
  })

type Trip = (request: IncomingMessage, response: ServerResponse) => boolean

/** A gateway that can be exchanged for another, and in whose way a test may put itself. It counts what it is sent. */
async function receiving(blobs: PartsStore = openMemoryBlobs(), trip: Trip = () => false) {
  const state = { gateway: gatewayOver(blobs), trip }
  /** Blocks that came, by what was answered; and what came of all bodies, the broken ones, too. */
  const seen = { taken: [] as string[], asked: [] as string[], bytes: 0 }
  const server = await loopback((request, response) => {
    const name = request.url?.slice('/ipfs/'.length) ?? ''
    seen.asked.push(name)
    response.on('finish', () => void (response.statusCode === 201 && seen.taken.push(name)))
    request.socket.on('error', () => undefined)
    if (state.trip(request, response)) return
    request.on('data', (chunk: Bytes) => {
      seen.bytes += chunk.length
    })
    request.pause()
    void state.gateway(request, response)
  })
  return Object.assign(server, { state, seen, blobs })
}

/** Quick, so that tests wait for nothing. */
const FAST = { firstPauseMillis: 1, attempts: 50 }

/** A file in a store of its own, which says how many of its leaves are out at a time. */
async function lying(seed: string, sizeBytes: number) {
  const [store, bytes] = [openMemoryBlobs(), contentOf(seed, sizeBytes)]
  const cid = await store.put(once(bytes), sizeBytes)
  const leaves = (await blocksOf(bytes)).slice(0, -1).map((block) => block.cid)
  return { store, bytes, cid, leaves }
}

const holds = async (blobs: BlobStore, cid: Cid, bytes: Bytes) =>
  (await blobs.has(cid)) && sameBytes(await collect(blobs.get(cid, { limitBytes: bytes.length }), bytes.length), bytes)

describe('a blob that is sent', () => {
  test.each([0, 1, MIB, MIB + 1, 3 * MIB + 7])('of %i bytes is there, and again costs its root alone', async (size) => {
    await using server = await receiving()
    const { store, bytes, cid, leaves } = await lying(`sent ${size}`, size)
    const remote = openRemoteBlobs({ url: server.url, ticket: freshTicket() })
    await remote.send(store, cid)
    expect(await holds(server.blobs, cid, bytes)).toBe(true)
    expect(server.seen.asked.length).toBe(size > MIB ? leaves.length + 2 : 1)
    server.seen.asked.length = 0
    await remote.send(store, cid)
    expect(server.seen.asked).toEqual([cid])
  })

  test('from memory is not copied first, and is the same blob', async () => {
    await using server = await receiving()
    const held = holdFile(contentOf('held', 2 * MIB + 3))
    await openRemoteBlobs({ url: server.url, ticket: freshTicket() }).send(held, held.cid)
    expect(await server.blobs.has(held.cid)).toBe(true)
  })

  test('after breaks anywhere is whole, and of what came through nothing is sent twice', async () => {
    const { store, bytes, cid, leaves } = await lying('breaks', 4 * MIB + 100)
    const breaks = fc.array(fc.record({ request: fc.nat({ max: 11 }), after: fc.nat({ max: MIB }) }), { maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(breaks, async (points) => {
        const left = new Map(points.map(({ request, after }) => [request, after]))
        let turn = 0
        await using server = await receiving(openMemoryBlobs(), (request, response) => {
          const after = left.get(turn++)
          if (after === undefined) return false
          let came = 0
          request.on('data', (chunk: Bytes) => {
            came += chunk.length
            if (came >= after) response.destroy()
          })
          request.on('end', () => response.destroy())
          return true
        })
        await openRemoteBlobs({ url: server.url, ticket: freshTicket(), ...FAST }).send(store, cid)
        expect(await holds(server.blobs, cid, bytes)).toBe(true)
        expect(server.seen.taken.toSorted()).toEqual([...leaves.map((leaf) => `${leaf}?of=${cid}`), cid].toSorted())
        // What was broken is not in this count: whole blocks alone, each once, and the root again and again.
        expect(server.seen.bytes).toBeLessThanOrEqual(bytes.length + server.seen.asked.length * 1000)
      }),
      { numRuns: 8 },
    )
  })

  test('to a gateway that dies in the middle of a leaf and begins again on its folder goes on with what it lacks', async () => {
    await using folder = await temporaryFolder()
    const { store, bytes, cid, leaves } = await lying('restart', 6 * MIB)
    const openFolder = () => openFileBlobs({ folder: folder.path, quotaBytes: 2 ** 30 })
    let blobs = await openFolder()
    await using server = await receiving(blobs)
    const dead = Promise.withResolvers<void>()
    let died = false
    server.state.trip = (request, response) => {
      if (died || server.seen.taken.length < 3) return false
      died = true
      request.once('data', () => {
        response.destroy()
        dead.resolve()
      })
      return true
    }
    const sending = openRemoteBlobs({ url: server.url, ticket: freshTicket(), ...FAST }).send(store, cid)
    await dead.promise
    server.state.trip = (_request, response) => {
      response.destroy()
      return true
    }
    await blobs[Symbol.asyncDispose]()
    blobs = await openFolder()
    const before = server.seen.taken.slice()
    server.seen.asked.length = 0
    server.state.gateway = gatewayOver(blobs)
    server.state.trip = () => false
    await sending
    expect(await holds(blobs, cid, bytes)).toBe(true)
    const again = server.seen.taken.slice(before.length)
    expect(before.length).toBeGreaterThanOrEqual(3)
    expect(server.seen.asked.filter((name) => before.includes(name))).toEqual([])
    expect(new Set([...before, ...again])).toEqual(new Set([...leaves.map((leaf) => `${leaf}?of=${cid}`), cid]))
    await blobs[Symbol.asyncDispose]()
  })

  test('by a process that is gone is sent on by the next one, from the same outbox', async () => {
    await using server = await receiving()
    await using folder = await temporaryFolder()
    const { bytes, leaves } = await lying('two lives', 5 * MIB)
    const openOutbox = () => openFileBlobs({ folder: folder.path, quotaBytes: 2 ** 30 })
    const ticket = freshTicket()
    let cid: Cid
    {
      await using outbox = await openOutbox()
      cid = await outbox.put(once(bytes), bytes.length)
      const end = new AbortController()
      const sending = openRemoteBlobs({ url: server.url, ticket }).send(outbox, cid, end.signal)
      await until(() => server.seen.taken.length >= 2)
      end.abort(new Error('the process is over'))
      await expect(sending).rejects.toThrow('the process is over')
    }
    const before = new Set(server.seen.taken)
    server.seen.asked.length = 0
    await using outbox = await openOutbox()
    await openRemoteBlobs({ url: server.url, ticket }).send(outbox, cid)
    expect(await holds(server.blobs, cid, bytes)).toBe(true)
    expect(server.seen.asked.filter((name) => before.has(name))).toEqual([])
    expect(server.seen.asked.length).toBeLessThan(leaves.length + 2)
  })

  test('over a line that resets at random arrives, at the price of what was on its way', async () => {
    const { store, bytes, cid } = await lying('storm', 12 * MIB)
    await using server = await receiving()
    await using wire = await Wire.open(server.port, 7, { meanBytesToReset: 3 * MIB })
    await using http = openHttp()
    await openRemoteBlobs({ url: wire.url, ticket: freshTicket(), fetch: http.fetch, ...FAST }).send(store, cid)
    expect(await holds(server.blobs, cid, bytes)).toBe(true)
    expect(wire.seen.resets).toBeGreaterThan(0)
    // Each reset costs at most the block of its connection.
    expect(wire.seen.up + wire.seen.down).toBeLessThan(bytes.length + (wire.seen.resets + 1) * 1.1 * MIB)
  })

  test('has four blocks in memory at the most, and one on a line that is slow', async () => {
    for (const [millisPerLeaf, most] of [
      [0, 4],
      [6000, 1],
    ] as const) {
      const { store, cid, leaves } = await lying('window', 7 * MIB)
      let [begun, out, widest, now] = [0, 0, 0, 0]
      // Once the first few have shown how quick the line is, none goes on before there are as many as there is room for.
      const full = Promise.withResolvers<void>()
      const clock: Clock = { now: () => now, wakeAt: (_at, signal) => untilAborted(signal) }
      const from = {
        getBlock: async (block: Cid, limit: number) => {
          if (!leaves.includes(block)) return store.getBlock(block, limit)
          widest = Math.max(widest, ++out)
          if (widest >= most) full.resolve()
          if (++begun >= most) await full.promise
          return store.getBlock(block, limit)
        },
      }
      await using server = await receiving(openMemoryBlobs(), (request, response) => {
        response.on('finish', () => {
          if (!request.url?.includes('?of=')) return
          now += millisPerLeaf
          out--
        })
        return false
      })
      await openRemoteBlobs({ url: server.url, ticket: freshTicket(), clock }).send(from, cid)
      expect(widest).toBe(most)
    }
  })

  test('goes under the ticket with which it began, whatever ticket came meanwhile', async () => {
    const { store, cid } = await lying('one seat', 3 * MIB)
    await using server = await receiving()
    const [mine, later] = [freshTicket(), freshTicket()]
    let asked = 0
    await openRemoteBlobs({ url: server.url, ticket: () => (asked++ === 0 ? mine() : later()) }).send(store, cid)
    expect(await server.blobs.has(cid)).toBe(true)
    expect(server.seen.asked.length).toBe(5)
  })

  test('that does not lie here, or is larger than the ticket, fails at once and by its name', async () => {
    await using server = await receiving()
    const remote = openRemoteBlobs({ url: server.url, ticket: freshTicket(4 * MIB) })
    await expect(remote.send(openMemoryBlobs(), cidOf(RAW, contentOf('x', 5)))).rejects.toThrow(BlobMissing)
    const leaf = contentOf('the same leaf', MIB)
    const large = holdFile(Buffer.concat(Array(5).fill(leaf)))
    await expect(remote.send(large, large.cid)).rejects.toThrow(BlobTooLarge)
    const { store, cid, leaves } = await lying('half there', 3 * MIB)
    const half: Pick<BlobStore, 'getBlock'> = {
      getBlock: (block, limit) =>
        block === leaves[1] ? Promise.reject(new BlobMissing(block)) : store.getBlock(block, limit),
    }
    await expect(remote.send(half, cid)).rejects.toThrow(BlobMissing)
  })
})

describe('a gateway that lies about what it lacks', () => {
  const answering = (status: number, body: string) => (request: IncomingMessage, response: ServerResponse) => {
    request.resume().on('end', () => response.writeHead(status, { 'Content-Type': 'application/json' }).end(body))
    return true
  }
  const other = cidOf(RAW, contentOf('something else that the node has', 50))

  test.each([
    ['what is no part of the file', JSON.stringify({ missing: [other] })],
    ['more than a node has parts', JSON.stringify({ missing: Array(1025).fill(other) })],
    ['nothing that can be read', 'missing'],
    ['no list', '{"missing":"all"}'],
    ['without end', `{"missing":["${'x'.repeat(300_000)}`],
  ])('gets nothing more where it names %s', async (_what, body) => {
    const { store, cid } = await lying('asked for', 2 * MIB)
    await using server = await receiving(openMemoryBlobs(), answering(202, body))
    await expect(openRemoteBlobs({ url: server.url, ticket: freshTicket() }).send(store, cid)).rejects.toThrow(
      RemoteRefused,
    )
    expect(server.seen.asked).toEqual([cid])
  })

  test('is given up where it wants the same again and again', async () => {
    const { store, cid, leaves } = await lying('insatiable', 2 * MIB)
    await using server = await receiving(openMemoryBlobs(), (request, response) =>
      request.url?.includes('?of=')
        ? answering(201, '')(request, response)
        : answering(202, JSON.stringify({ missing: leaves }))(request, response),
    )
    const remote = openRemoteBlobs({ url: server.url, ticket: freshTicket() })
    await expect(remote.send(store, cid)).rejects.toThrow(RemoteFault)
    expect(server.seen.asked.filter((name) => name.includes('?of='))).toHaveLength(4 * leaves.length)
  })

  test('is given up where it never has what it was sent, or never knows of the upload', async () => {
    const { store, cid, leaves } = await lying('in vain', 2 * MIB)
    for (const leafStatus of [409, 403]) {
      await using server = await receiving(openMemoryBlobs(), (request, response) =>
        request.url?.includes('?of=')
          ? answering(leafStatus, JSON.stringify({ code: leafStatus === 409 ? 'unknown-upload' : 'spent-ticket' }))(
              request,
              response,
            )
          : answering(202, JSON.stringify({ missing: leaves }))(request, response),
      )
      const remote = openRemoteBlobs({ url: server.url, ticket: freshTicket() })
      await expect(remote.send(store, cid)).rejects.toThrow(leafStatus === 409 ? RemoteFault : RemoteRefused)
      expect(server.seen.asked.length).toBeLessThan(20)
    }
  })
})

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}
