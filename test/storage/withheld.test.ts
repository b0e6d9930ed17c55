import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import { CID } from 'multiformats/cid'
import { collect, once } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { BlobMissing, type BlobStore, type PartsStore } from '#protocol/ports.ts'
import { issueTicket, type Ticket } from '#protocol/ticket.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openGateway } from '#storage/blobs/gateway.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { blocksOf } from '#test/conformance/blobs.ts'
import { contentOf, sameBytes } from '#test/content.ts'
import { loopback } from '#test/loopback.ts'
import { ROOMY } from '#test/storage/roomy.ts'

const MIB = 2 ** 20
const key = contentOf('the coordinator', 32)

async function serving({ blobs = openMemoryBlobs() as PartsStore, withheld = openMemoryBlobs() as PartsStore } = {}) {
  const clock = virtualClock(1_000_000)
  const gateway = openGateway({
    ...{ blobs, withheld, clock, tickets: openTickets({ key, clock }) },
    limits: ROOMY,
  })
  const server = await loopback((request, response) => void gateway(request, response))
  const ticket = (publish: Ticket['publish'], seat = 0, signedBy = key, expiresAt = clock.now() + 60_000) =>
    issueTicket(signedBy, {
      ...{ run: 'run_01K00000000000000000000000' as RunId, round: 1, seat, sizeBytes: 4 * MIB, publish },
      expiresAt,
    })
  const put = (name: string, body: Bytes, authorization?: string) =>
    fetch(`${server.url}/ipfs/${name}`, {
      method: 'PUT',
      body: body as Uint8Array<ArrayBuffer>,
      headers: {
        'Content-Type': 'application/vnd.ipld.raw',
        ...(authorization !== undefined && { Authorization: `Bearer ${authorization}` }),
      },
    })
  /** Block by block, and the root once more. @returns the last answer */
  const upload = async (bytes: Bytes, authorization: string) => {
    const blocks = await blocksOf(bytes)
    const { cid, bytes: root } = blocks.at(-1) as Block
    const opened = await put(cid, root, authorization)
    if (opened.status !== 202) return opened
    const { missing } = (await opened.json()) as { missing: readonly Cid[] }
    for (const part of blocks.filter((block) => missing.includes(block.cid))) {
      const sent = await put(`${part.cid}?of=${cid}`, part.bytes, authorization)
      if (!sent.ok) return sent
    }
    return put(cid, root, authorization)
  }
  /** Kept where nobody reads. */
  const withhold = async (bytes: Bytes, seat = 0) => {
    const cid = await rootOf(bytes)
    return { cid, response: await upload(bytes, ticket('commit-only', seat)) }
  }
  return Object.assign(server, { blobs, withheld, clock, ticket, put, upload, withhold })
}

const rootOf = async (bytes: Bytes) => (await blocksOf(bytes)).at(-1)?.cid as Cid
const read = async (blobs: BlobStore, cid: Cid, size: number) => collect(blobs.get(cid, { limitBytes: size }), size)

async function expectNothingOf(blobs: BlobStore, bytes: Bytes) {
  for (const { cid } of await blocksOf(bytes)) await expect(blobs.getBlock(cid, MIB)).rejects.toThrow(BlobMissing)
}

/** All of an answer that a client can see, with the name it asked for struck out. */
async function seen(answer: Promise<Response>, cid: Cid) {
  const response = await answer
  const { date: _, ...headers } = Object.fromEntries(response.headers)
  const text = JSON.stringify({ status: response.status, headers, body: await response.text() })
  return text.replaceAll(cid, 'the name')
}

/** The same by a client that does less: for thousands of questions. */
function keptAlive() {
  const agent = new Agent({ keepAlive: true })
  return {
    seen: (url: string, method: string, headers: Record<string, string>, cid: Cid) =>
      new Promise<string>((resolve, reject) => {
        const asking = request(url, { agent, method, headers }, (response) => {
          const { date: _, ...seen } = response.headers
          let body = ''
          response.setEncoding('latin1').on('data', (text: string) => {
            body += text
          })
          response.on('error', reject).on('end', () => {
            const text = JSON.stringify({ status: response.statusCode, headers: seen, body })
            resolve(text.replaceAll(cid, 'the name'))
          })
        })
        asking.on('error', reject).end()
      }),
    [Symbol.dispose]: () => agent.destroy(),
  }
}

describe('a vector under a commit-only ticket', () => {
  test.each([1, MIB, 2 * MIB + 5])('of %i bytes is kept apart, and again is the same one', async (size) => {
    await using server = await serving()
    const bytes = contentOf('masked', size)
    const { cid, response } = await server.withhold(bytes)
    expect([response.status, response.headers.get('location'), response.headers.get('etag')]).toEqual([201, null, null])
    expect(sameBytes(await read(server.withheld, cid, size), bytes)).toBe(true)
    await expectNothingOf(server.blobs, bytes)
    expect((await server.withhold(bytes)).response.status).toBe(200)
    await expectNothingOf(server.blobs, bytes)
  })

  test('that is wrong or too long leaves nothing, in neither store', async () => {
    await using server = await serving()
    const [bytes, other] = [contentOf('promised', MIB - 5), contentOf('sent', MIB - 5)]
    const wrong = await server.put(await rootOf(bytes), other, server.ticket('commit-only'))
    expect(wrong.status).toBe(422)
    const long = contentOf('long', 4 * MIB + 1)
    expect((await server.upload(long, server.ticket('commit-only'))).status).toBe(413)
    for (const store of [server.blobs, server.withheld])
      for (const some of [bytes, other, long]) await expectNothingOf(store, some)
  })

  test('takes one of the two places of its seat, whatever ticket it showed', async () => {
    await using server = await serving()
    const upload = async (name: string, publish: Ticket['publish'], seat = 0) => {
      const bytes = contentOf(name, 100)
      return (await server.put(await rootOf(bytes), bytes, server.ticket(publish, seat))).status
    }
    expect(await upload('one', 'commit-only')).toBe(201)
    expect(await upload('two', 'full')).toBe(201)
    expect(await upload('three', 'commit-only')).toBe(403)
    expect(await upload('three', 'full')).toBe(403)
    expect(await upload('three', 'commit-only', 1)).toBe(201)
  })

  test('fills its own store and no other', async () => {
    await using server = await serving({ withheld: openMemoryBlobs({ quotaBytes: MIB }) })
    expect((await server.withhold(contentOf('no room', 2 * MIB))).response.status).toBe(507)
    const bytes = contentOf('public', 2 * MIB)
    expect((await server.upload(bytes, server.ticket('full'))).status).toBe(201)
  })

  test('is uploaded by the same client in the same way, large or small, and once more after an answer was lost', async () => {
    await using server = await serving()
    for (const size of [100, 3 * MIB]) {
      const bytes = contentOf('from a node', size)
      const remote = openRemoteBlobs({ url: server.url, ticket: () => server.ticket('commit-only') })
      for (let turn = 0; turn < 2; turn++) expect(await remote.put(once(bytes), size)).toBe(await rootOf(bytes))
      expect(await remote.has(await rootOf(bytes))).toBe(false)
      await expect(read(remote, await rootOf(bytes), size)).rejects.toThrow(BlobMissing)
    }
  })
})

/** Every way to ask for a blob, and some to ask about it. */
const QUERIES = [
  ...['', '?format=raw', '?format=car', '?format=car&dag-scope=block', '?format=car&dag-scope=entity', '?format=json'],
  ...[
    '?format=car&entity-bytes=0:9',
    '?format=car&dag-scope=all&car-order=unk',
    '?filename=x',
    '/x',
    '/',
    '?format=raw&x=1',
  ],
]
const HEADERS = (cid: Cid): readonly Record<string, string>[] => [
  {},
  { Range: 'bytes=0-3' },
  { Range: 'bytes=-1' },
  { Range: 'bytes=99999999-' },
  ...[`"${cid}"`, `"${cid}.raw"`, `W/"${cid}.car.all"`, '*'].map((tag) => ({ 'If-None-Match': tag })),
  { Range: 'bytes=0-3', 'If-Range': `"${cid}"` },
  { 'If-Match': '*' },
  { 'If-Modified-Since': 'Thu, 01 Jan 1970 00:00:00 GMT' },
  ...['application/vnd.ipld.raw', 'application/vnd.ipld.car', 'text/html'].map((Accept) => ({ Accept })),
  { 'Cache-Control': 'only-if-cached' },
]

describe('who asks for what is withheld', () => {
  const bytes = contentOf('withheld', 2 * MIB + 5)
  const unknown = contentOf('nobody has this', 2 * MIB + 5)

  test('hears what it hears of what is not there: in every form, by every method, of the file and of each block', async () => {
    await using server = await serving()
    expect((await server.withhold(bytes)).response.status).toBe(201)
    const [here, away] = [await blocksOf(bytes), await blocksOf(unknown)]
    using agent = keptAlive()
    const ask = (cid: Cid, method: string, query = '', place = 0) =>
      agent.seen(`${server.url}/ipfs/${cid}${query}`, method, HEADERS(cid)[place] ?? {}, cid)
    const forms = QUERIES.flatMap((query) => HEADERS(here[0]?.cid as Cid).map((_, place) => ({ query, place })))
    const expectSame = async (index: number, method: string, query?: string, place?: number) => {
      const found = await ask(here.at(index)?.cid as Cid, method, query, place)
      expect(found).toBe(await ask(away.at(index)?.cid as Cid, method, query, place))
      expect(JSON.parse(found).status).toBeGreaterThanOrEqual(400)
    }
    // A leaf, and the root.
    for (const index of [0, -1])
      for (const method of ['GET', 'HEAD'])
        for (const { query, place } of forms) await expectSame(index, method, query, place)
    for (const index of here.keys())
      for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'PATCH']) await expectSame(index, method)
  })

  test('also when it shows a ticket that is not for that: of a public run, expired, or by another key', async () => {
    await using server = await serving()
    await server.withhold(bytes)
    const [here, away] = [await blocksOf(bytes), await blocksOf(unknown)]
    for (const shown of [
      'not.one',
      server.ticket('full'),
      server.ticket('commit-only', 0, key, server.clock.now()),
      server.ticket('commit-only', 0, contentOf('another coordinator', 32)),
    ])
      for (const method of ['GET', 'HEAD'])
        for (const query of QUERIES) {
          const headers = { Authorization: `Bearer ${shown}` }
          const ask = (cid: Cid) => seen(fetch(`${server.url}/ipfs/${cid}${query}`, { method, headers }), cid)
          for (const index of [0, -1]) {
            const found = await ask(here.at(index)?.cid as Cid)
            expect(found).toBe(await ask(away.at(index)?.cid as Cid))
            expect(JSON.parse(found).status).toBeGreaterThanOrEqual(400)
          }
        }
  })

  test('also when it sends something there without the right ticket', async () => {
    await using server = await serving()
    await server.withhold(bytes)
    const authorizations = (): readonly (string | undefined)[] => [
      undefined,
      'not.one',
      server.ticket('commit-only', 0, contentOf('another coordinator', 32)),
      server.ticket('full', 1),
    ]
    const bodies = [
      new Uint8Array(0),
      contentOf('something else', 100),
      bytes.subarray(1),
      contentOf('long', 4 * MIB + 1),
    ]
    for (const [place] of authorizations().entries())
      for (const body of bodies) {
        const answers = [bytes, unknown].map(async (content) => {
          const cid = await rootOf(content)
          return seen(server.put(cid, body, authorizations()[place]), cid)
        })
        const [found, other] = await Promise.all(answers)
        expect(found).toBe(other)
        expect(JSON.parse(found ?? '').status).toBeGreaterThanOrEqual(400)
      }
  })

  test('or follows a public link to it', async () => {
    await using server = await serving()
    await server.withhold(bytes)
    const lengths = []
    for (const content of [bytes, unknown]) {
      const manifest = dagCbor.encode({ vector: CID.parse(await rootOf(content)) })
      const cid = cidOf(DAG_CBOR, manifest)
      await server.blobs.putBlocks([{ cid, bytes: manifest }])
      const socket = connect(server.port, '127.0.0.1')
      socket.write(`GET /ipfs/${cid}?format=car HTTP/1.1\r\nHost: x\r\n\r\n`)
      lengths.push((await collect(socket, 10_000)).length)
    }
    expect(lengths[0]).toBe(lengths[1])
    expect(lengths[0]).toBeLessThan(2000)
  })

  test('and may publish it, if it has its bytes: then it is public, and was not there before', async () => {
    await using server = await serving()
    const { cid } = await server.withhold(bytes)
    const published = await server.upload(bytes, server.ticket('full', 1))
    expect([published.status, published.headers.get('location')]).toEqual([201, `/ipfs/${cid}`])
    expect((await fetch(`${server.url}/ipfs/${cid}`)).status).toBe(200)
    await server.blobs.delete(cid)
    expect((await fetch(`${server.url}/ipfs/${cid}`)).status).toBe(404)
    expect(await server.withheld.has(cid)).toBe(true)
  })

  test('and what is public may be withheld as well: it stays public', async () => {
    await using server = await serving()
    const cid = await server.blobs.put(once(bytes), bytes.length)
    expect((await server.withhold(bytes)).response.status).toBe(201)
    expect(await server.withheld.has(cid)).toBe(true)
    expect((await fetch(`${server.url}/ipfs/${cid}`)).status).toBe(200)
  })
})

describe('a member of a run that withholds its vectors', () => {
  test.each([1, MIB, 2 * MIB + 5])(
    'reads one of %i bytes with its ticket, from a client that shows it',
    async (size) => {
      await using server = await serving()
      const bytes = contentOf('of another seat', size)
      const { cid } = await server.withhold(bytes)
      const ticket = () => server.ticket('commit-only', 1)
      const member = openRemoteBlobs({ url: server.url, ticket, reads: 'withheld' })
      expect(await member.has(cid)).toBe(true)
      expect(sameBytes(await read(member, cid, size), bytes)).toBe(true)
      const anybody = openRemoteBlobs({ url: server.url, ticket })
      await expect(read(anybody, cid, size)).rejects.toThrow(BlobMissing)
    },
  )

  test('leaves nothing of it in a cache on the way; what is public may stay there', async () => {
    await using server = await serving()
    const headers = { Authorization: `Bearer ${server.ticket('commit-only')}` }
    const { cid } = await server.withhold(contentOf('masked', 100))
    const open = await server.blobs.put(once(contentOf('public', 100)), 100)
    const cached = async (name: Cid) =>
      (await fetch(`${server.url}/ipfs/${name}`, { headers })).headers.get('cache-control')
    expect(await cached(cid)).toBe('no-store')
    expect(await cached(open)).toContain('immutable')
  })

  test('is not told of what nobody has', async () => {
    await using server = await serving()
    const member = openRemoteBlobs({ url: server.url, ticket: () => server.ticket('commit-only'), reads: 'withheld' })
    const cid = await rootOf(contentOf('nobody has this', 100))
    expect(await member.has(cid)).toBe(false)
    await expect(read(member, cid, 100)).rejects.toThrow(BlobMissing)
  })
})
