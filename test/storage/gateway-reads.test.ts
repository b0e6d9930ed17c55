import { readdir, writeFile } from 'node:fs/promises'
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { CarReader } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { bundleOf } from '#protocol/bundle.ts'
import { collect, concat, equalBytes, once, utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import type { Clock, PartsStore } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { type GatewayLimits, openGateway } from '#storage/blobs/gateway.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { systemClock } from '#storage/clock.ts'
import { blocksOf } from '#test/conformance/blobs.ts'
import { contentOf } from '#test/content.ts'
import { temporaryFolder } from '#test/folder.ts'
import { loopback, until } from '#test/loopback.ts'
import { ROOMY } from '#test/storage/roomy.ts'

const MIB = 2 ** 20

async function serving(blobs: PartsStore, clock: Clock = systemClock, limits: Partial<GatewayLimits> = {}) {
  const outcomes: string[] = []
  const gateway = openGateway({
    blobs,
    withheld: openMemoryBlobs(),
    clock,
    tickets: openTickets({ key: contentOf('key', 32), clock }),
    limits: { ...ROOMY, ...limits },
    count: (outcome) => void outcomes.push(outcome),
  })
  const server = await loopback(async (request, response) => {
    if (!(await gateway(request, response))) response.writeHead(418).end('not the gateway')
  })
  return Object.assign(server, { outcomes, at: (path: string) => `${server.url}/ipfs/${path}` })
}

const bodyOf = async (response: Response) => new Uint8Array(await response.arrayBuffer())
const same = (left: Bytes, right: Bytes) => expect(equalBytes(left, right)).toBe(true)

/** A request whose path goes out exactly as it is given. */
function exactly(port: number, path: string, options: { method?: string; agent?: Agent } = {}) {
  return new Promise<{ status: number; headers: IncomingHttpHeaders; reused: boolean }>((resolve, reject) => {
    const sent = httpRequest({ port, path, host: '127.0.0.1', ...options }, (response) => {
      response.resume().on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, reused: sent.reusedSocket })
      })
    })
    sent.on('error', reject).end()
  })
}

describe('gateway, reading', () => {
  const small = contentOf('small', 1000)
  const large = contentOf('large', 3 * MIB + 17)
  const manifest = dagCbor.encode({ a: CID.parse(cidOf(RAW, small)), b: 'text' })
  const manifestCid = cidOf(DAG_CBOR, manifest)

  async function filled() {
    const blobs = openMemoryBlobs()
    const smallCid = await blobs.put(once(small), MIB)
    const largeCid = await blobs.put(once(large), 4 * MIB)
    await blobs.putBlocks([{ cid: manifestCid, bytes: manifest }])
    return { blobs, smallCid, largeCid }
  }

  test('a raw block comes with what the trustless gateway specification asks for', async () => {
    const { blobs, smallCid } = await filled()
    await using server = await serving(blobs)
    const response = await fetch(server.at(`${smallCid}?format=raw`))
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/vnd.ipld.raw',
      'content-length': '1000',
      'content-disposition': `attachment; filename="${smallCid}.bin"`,
      'cache-control': 'public, max-age=29030400, immutable',
      'x-content-type-options': 'nosniff',
      'x-ipfs-path': `/ipfs/${smallCid}`,
      etag: `"${smallCid}.raw"`,
      vary: 'Accept',
    })
    same(await bodyOf(response), small)
    const accepted = await fetch(server.at(smallCid), {
      headers: { Accept: 'text/html;q=0.1, application/vnd.ipld.raw' },
    })
    expect(accepted.headers.get('content-location')).toBe(`/ipfs/${smallCid}?format=raw`)
    same(await bodyOf(accepted), small)
    await until(() => server.outcomes.length === 2)
    expect(server.outcomes).toEqual(['sent', 'sent'])
  })

  test('HEAD says what GET would, without the bytes', async () => {
    const { blobs, smallCid, largeCid } = await filled()
    await using server = await serving(blobs)
    for (const path of [`${smallCid}?format=raw`, largeCid, `${largeCid}?format=car`]) {
      const got = await fetch(server.at(path))
      const headers = Object.fromEntries(got.headers)
      await got.arrayBuffer()
      const head = await fetch(server.at(path), { method: 'HEAD' })
      expect(head.status).toBe(200)
      const { date, connection, 'keep-alive': _, 'transfer-encoding': __, ...rest } = headers
      expect(Object.fromEntries(head.headers)).toMatchObject(rest)
      expect(await head.text()).toBe('')
    }
  })

  test('a CAR holds the DAG depth first, each block once, and is the file the protocol describes', async () => {
    const blobs = openMemoryBlobs()
    const leaf = contentOf('twice', MIB)
    const bytes = concat(leaf, leaf, contentOf('end', 5))
    const cid = await blobs.put(once(bytes), 4 * MIB)
    const top = dagCbor.encode({ file: CID.parse(cid), more: [CID.parse(manifestCid)] })
    const topCid = cidOf(DAG_CBOR, top)
    await blobs.put(once(small), MIB)
    await blobs.putBlocks([{ cid: manifestCid, bytes: manifest }])
    await blobs.putBlocks([{ cid: topCid, bytes: top }])
    await using server = await serving(blobs)
    const response = await fetch(server.at(`${topCid}?format=car`))
    expect(response.headers.get('content-type')).toBe('application/vnd.ipld.car; version=1; order=dfs; dups=n')
    expect(response.headers.get('etag')).toMatch(/^W\/"/)
    const car = await bodyOf(response)
    same(
      car,
      await collect(
        bundleOf(topCid, (at) => blobs.getBlock(at, MIB), { vectors: true }),
        16 * MIB,
      ),
    )
    const reader = await CarReader.fromBytes(car)
    expect((await reader.getRoots()).map(String)).toEqual([topCid])
    const order: string[] = []
    for await (const block of reader.blocks()) order.push(String(block.cid))
    const [leafCid, endCid] = [cidOf(RAW, leaf), cidOf(RAW, contentOf('end', 5))]
    expect(order).toEqual([topCid, cid, leafCid, endCid, manifestCid, cidOf(RAW, small)])
  })

  test('dag-scope and entity-bytes say how much of the DAG a CAR holds', async () => {
    const { blobs, largeCid } = await filled()
    await using server = await serving(blobs)
    const blocks = (await blocksOf(large)).map(({ cid }) => cid)
    const [a, b, c, d, root] = blocks as [Cid, Cid, Cid, Cid, Cid]
    const cases: [string, readonly Cid[]][] = [
      [`${manifestCid}?format=car&dag-scope=block`, [manifestCid]],
      [`${manifestCid}?format=car&dag-scope=entity`, [manifestCid]],
      [`${manifestCid}?format=car&dag-scope=all`, [manifestCid, cidOf(RAW, small)]],
      [`${largeCid}?format=car&dag-scope=block`, [root]],
      [`${largeCid}?format=car&dag-scope=entity`, [root, a, b, c, d]],
      [`${largeCid}?format=car&entity-bytes=0:0`, [root, a]],
      [`${largeCid}?format=car&entity-bytes=${MIB}:${2 * MIB}`, [root, b, c]],
      [`${largeCid}?format=car&entity-bytes=-1:*`, [root, d]],
      [`${largeCid}?format=car&entity-bytes=${99 * MIB}:*`, [root]],
      [`${manifestCid}?format=car&entity-bytes=5:*`, [manifestCid]],
    ]
    const tags = new Set<string | null>()
    for (const [path, expected] of cases) {
      const response = await fetch(server.at(path))
      expect(response.status).toBe(200)
      tags.add(response.headers.get('etag'))
      const order: string[] = []
      for await (const { cid } of (await CarReader.fromBytes(await bodyOf(response))).blocks()) order.push(String(cid))
      expect([path, order]).toEqual([path, expected])
    }
    expect(tags.size).toBe(cases.length)
  })

  test('the probe for gateways is answered', async () => {
    await using server = await serving(openMemoryBlobs())
    const raw = await fetch(server.at('bafkqaaa?format=raw'))
    expect([raw.status, await raw.text()]).toEqual([200, ''])
    const car = await CarReader.fromBytes(await bodyOf(await fetch(server.at('bafkqaaa?format=car'))))
    expect((await car.getRoots()).map(String)).toEqual(['bafkqaaa'])
    expect((await fetch(server.at('bafkqaaa?format=raw'), { method: 'HEAD' })).status).toBe(200)
  })

  test('a file comes as its bytes, and any range of it as that slice', async () => {
    const { blobs, largeCid } = await filled()
    await using server = await serving(blobs)
    same(await bodyOf(await fetch(server.at(largeCid))), large)
    const near = fc.oneof(fc.nat({ max: large.length + 5 }), fc.constantFrom(0, 1, MIB - 1, MIB, large.length - 1))
    await fc.assert(
      fc.asyncProperty(near, fc.option(near), async (first, last) => {
        const response = await fetch(server.at(largeCid), { headers: { Range: `bytes=${first}-${last ?? ''}` } })
        const body = await bodyOf(response)
        if (last !== null && last < first) return expect(response.status).toBe(200)
        if (first >= large.length) {
          expect(response.status).toBe(416)
          return expect(response.headers.get('content-range')).toBe(`bytes */${large.length}`)
        }
        const end = Math.min(last ?? large.length, large.length - 1)
        expect(response.status).toBe(206)
        expect(response.headers.get('content-range')).toBe(`bytes ${first}-${end}/${large.length}`)
        same(body, large.slice(first, end + 1))
      }),
      { numRuns: 25 },
    )
  })

  test.each([
    ['bytes=-10', 206, 10],
    ['bytes=-99999999', 206, 1000],
    ['bytes=-0', 416, undefined],
    ['bytes=0-0,5-9', 200, 1000],
    [`bytes=0-0${',1-1'.repeat(20)}`, 200, 1000],
    ['bytes=5-4', 200, 1000],
    ['bytes=-', 200, 1000],
    ['bytes=a-b', 200, 1000],
    ['bytes=0x1-0x2', 200, 1000],
    ['bytes=99999999999999999999-', 200, 1000],
    ['lines=1-2', 200, 1000],
  ])('Range: %s is answered by the book', async (range, status, length) => {
    const { blobs, smallCid } = await filled()
    await using server = await serving(blobs)
    for (const path of [smallCid, `${smallCid}?format=raw`]) {
      const response = await fetch(server.at(path), { headers: { Range: range } })
      expect(response.status).toBe(status)
      if (length !== undefined) expect((await bodyOf(response)).length).toBe(length)
    }
  })

  test('If-Range with another validator brings the whole', async () => {
    const { blobs, smallCid } = await filled()
    await using server = await serving(blobs)
    const asked = (validator: string) =>
      fetch(server.at(smallCid), { headers: { Range: 'bytes=0-9', 'If-Range': validator } })
    expect((await asked(`"${smallCid}"`)).status).toBe(206)
    expect((await asked('"another"')).status).toBe(200)
  })

  test('what the client has already is not sent again', async () => {
    const { blobs, smallCid } = await filled()
    await using server = await serving(blobs)
    const status = async (path: string, tag: string) =>
      (await fetch(server.at(path), { headers: { 'If-None-Match': tag } })).status
    expect(await status(`${smallCid}?format=raw`, `"${smallCid}.raw"`)).toBe(304)
    expect(await status(`${smallCid}?format=raw`, `"x", W/"${smallCid}.raw"`)).toBe(304)
    expect(await status(smallCid, '*')).toBe(304)
    expect(await status(smallCid, `"${smallCid}.raw"`)).toBe(200)
    const car = await fetch(server.at(`${smallCid}?format=car`))
    expect(await status(`${smallCid}?format=car`, car.headers.get('etag') ?? '')).toBe(304)
    expect(await status(`${smallCid}?format=car&dag-scope=block`, car.headers.get('etag') ?? '')).toBe(200)
  })

  test('what is not here is a problem with a name', async () => {
    await using server = await serving(openMemoryBlobs())
    const cid = cidOf(RAW, small)
    for (const query of ['', '?format=raw', '?format=car']) {
      const response = await fetch(server.at(cid + query))
      expect(response.status).toBe(404)
      expect(response.headers.get('content-type')).toBe('application/problem+json')
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(response.headers.get('etag')).toBeNull()
      expect(await response.json()).toMatchObject({ status: 404, code: 'not-found', title: 'Not found' })
    }
    const cached = await fetch(server.at(`${cid}?format=raw`), { headers: { 'Cache-Control': 'only-if-cached' } })
    expect(cached.status).toBe(412)
    expect((await fetch(server.at(cid), { method: 'HEAD' })).status).toBe(404)
  })

  test.each([
    '../../../etc/passwd',
    '..%2f..%2fetc%2fpasswd',
    '%2e%2e/%2e%2e/etc/passwd',
    'blocks/a/../../lock',
    'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPZpm',
    'BAFKREIHDWDCEFGH4DQKJV67UZCMW7OJEE6XEDZDETOJUZJEVTENXQUVYKU',
    'bafkqabtimvwgy3yk',
    `${'b'.repeat(59)}`,
    'x'.repeat(8000),
    '',
    '.',
    '?format=raw',
  ])('the path /ipfs/%s reaches nothing', async (path) => {
    await using folder = await temporaryFolder()
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: MIB })
    await using server = await serving(blobs)
    for (const method of ['GET', 'HEAD', 'PUT'])
      expect((await exactly(server.port, `/ipfs/${path}`, { method })).status).toBe(400)
    await until(() => server.outcomes.length === 3)
    expect(new Set(server.outcomes)).toEqual(new Set(['bad-cid']))
  })

  test('a path below a blob, and other methods, are refused; other paths are left to others', async () => {
    const { blobs, smallCid } = await filled()
    await using server = await serving(blobs)
    expect((await exactly(server.port, `/ipfs/${smallCid}/x`)).status).toBe(404)
    expect((await exactly(server.port, `/ipfs/${smallCid}/`)).status).toBe(404)
    for (const method of ['POST', 'DELETE', 'PATCH', 'OPTIONS']) {
      const { status, headers } = await exactly(server.port, `/ipfs/${smallCid}`, { method })
      expect([status, headers.allow]).toEqual([405, 'GET, HEAD, PUT'])
    }
    for (const path of ['/', '/ipfs', '/ipfsx/y', '/v1/runs', '//ipfs/', `/x/../ipfs/${smallCid}`])
      expect((await exactly(server.port, path)).status).toBe(418)
  })

  test.each([
    ['?format=ipns-record', 400, 'bad-format'],
    ['?format=', 400, 'bad-format'],
    ['?format=file', 400, 'bad-format'],
    ['?format=car&dag-scope=some', 400, 'bad-scope'],
    ['?format=car&entity-bytes=1', 400, 'bad-scope'],
    ['?format=car&entity-bytes=1e9:*', 400, 'bad-scope'],
    ['?format=car&car-version=2', 406, 'not-acceptable'],
    ['?format=car&car-order=random', 406, 'not-acceptable'],
  ])('%s is refused by name', async (query, status, code) => {
    const { blobs, smallCid } = await filled()
    await using server = await serving(blobs)
    const response = await fetch(server.at(smallCid + query))
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ code })])
  })

  test('headers nobody asked for, however large, change nothing', async () => {
    const { blobs, smallCid } = await filled()
    await using server = await serving(blobs)
    const accept = `${'text/x;q=0.5,'.repeat(700)}*/*`
    const response = await fetch(server.at(smallCid), {
      headers: { Accept: accept, 'X-Forwarded-For': 'x'.repeat(4000) },
    })
    expect(response.status).toBe(200)
    same(await bodyOf(response), small)
  })

  test('one connection carries refusals and answers in turn', async () => {
    const { blobs, smallCid } = await filled()
    await using server = await serving(blobs)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const paths = ['/ipfs/nonsense', `/ipfs/${smallCid}`, `/ipfs/${cidOf(RAW, large)}`, `/ipfs/${smallCid}?format=car`]
    const answers = []
    for (const path of [...paths, ...paths]) answers.push(await exactly(server.port, path, { agent }))
    agent.destroy()
    expect(answers.map(({ status }) => status)).toEqual([400, 200, 404, 200, 400, 200, 404, 200])
    expect(answers.slice(1).every(({ reused }) => reused)).toBe(true)
  })

  test('a damaged block never leaves: it is a named fault, and a file breaks off before it', async () => {
    await using folder = await temporaryFolder()
    await using blobs = await openFileBlobs({ folder: folder.path, quotaBytes: 64 * MIB })
    const cid = await blobs.put(once(large), 4 * MIB)
    await using server = await serving(blobs)
    const [, second] = await blocksOf(large)
    await writeFile(join(folder.path, 'blocks', second?.cid.at(-2) as string, second?.cid as string), utf8('other'))
    const response = await fetch(server.at(cid))
    await expect(response.arrayBuffer()).rejects.toThrow()
    expect(await readdir(join(folder.path, 'damaged'))).toEqual([second?.cid])
    // Set aside, so from now on the file is plainly not here.
    expect((await fetch(server.at(cid))).status).toBe(404)
    const [first] = await blocksOf(large)
    await writeFile(join(folder.path, 'blocks', first?.cid.at(-2) as string, first?.cid as string), utf8('other'))
    const raw = await fetch(server.at(`${first?.cid}?format=raw`))
    expect([raw.status, await raw.json()]).toEqual([500, expect.objectContaining({ code: 'damaged' })])
  })

  test('who asks and does not read is cut off, and its place is free again', async () => {
    const blobs = openMemoryBlobs()
    const cid = await blobs.put(once(contentOf('more than any buffer', 48 * MIB)), 64 * MIB)
    const clock = virtualClock(0)
    await using server = await serving(blobs, clock, { downloads: { total: 1, each: 1 }, leastBytesPerSecond: 8192 })
    const deaf = connect({ port: server.port, host: '127.0.0.1' })
    deaf.write(`GET /ipfs/${cid} HTTP/1.1\r\nHost: x\r\n\r\n`)
    deaf.on('error', () => undefined)
    await new Promise((resolve) => deaf.once('readable', resolve))
    const turnedAway = await fetch(server.at(cid))
    expect([turnedAway.status, turnedAway.headers.get('retry-after')]).toEqual([503, '5'])
    while (server.outcomes.length < 2) await clock.advance(10_000)
    expect(server.outcomes).toEqual(['busy', 'broken-off'])
    deaf.destroy()
    expect((await fetch(server.at(`${cid}?format=raw`))).status).toBe(200)
  })
})
