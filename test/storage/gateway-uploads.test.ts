import { connect } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { collect, equalBytes } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { BlobMissing } from '#protocol/ports.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { contentOf } from '#test/content.ts'
import { until } from '#test/loopback.ts'
import { bearer, codeIn, expectNothingOf, IDLE, refused, rootOf, serving, slowPut } from './serving.ts'

const MIB = 2 ** 20

describe('gateway, uploads', () => {
  test.each([1, MIB])('a ticket lets its seat upload %i bytes; again is the same blob', async (size) => {
    await using server = await serving()
    const bytes = contentOf('vector', size)
    const cid = await rootOf(bytes)
    const first = await server.put(cid, bytes, bearer(server.ticket()))
    expect([first.status, first.headers.get('location')]).toEqual([201, `/ipfs/${cid}`])
    expect(equalBytes(await collect(server.blobs.get(cid, { limitBytes: size }), size), bytes)).toBe(true)
    expect((await server.put(cid, bytes, bearer(server.ticket()))).status).toBe(200)
    await until(() => server.outcomes.length === 2)
    expect(server.outcomes).toEqual(['kept', 'already-here'])
  })

  test('without a ticket, or with a foreign, changed, expired or malformed one, nothing is kept', async () => {
    await using server = await serving()
    const bytes = contentOf('anonymous', MIB + 5)
    const cid = await rootOf(bytes)
    const good = server.ticket()
    const cases: [string, string | undefined][] = [
      ['no-ticket', undefined],
      ['no-ticket', 'Basic dXNlcjpwYXNz'],
      ['no-ticket', 'Bearer '],
      ['bad-ticket', `Bearer ${server.ticket({}, contentOf('another coordinator', 32))}`],
      ['bad-ticket', `Bearer ${good.slice(0, -2)}${good.endsWith('AA') ? 'BB' : 'AA'}`],
      ['bad-ticket', `Bearer ${good}.${good}`],
      ['bad-ticket', `Bearer ${'x'.repeat(2000)}.y`],
      ['expired-ticket', `Bearer ${server.ticket({ expiresAt: server.clock.now() })}`],
    ]
    for (const [code, authorization] of cases) {
      const response = await server.put(cid, bytes, authorization === undefined ? {} : { Authorization: authorization })
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/)
      expect(await refused(response)).toEqual([401, code])
    }
    await expectNothingOf(server.blobs, bytes)
  })

  test('bytes of another CID are refused and not kept, under either name', async () => {
    await using server = await serving()
    const [bytes, other] = [contentOf('promised', MIB - 5), contentOf('sent', MIB - 5)]
    const response = await server.put(await rootOf(bytes), other, bearer(server.ticket()))
    expect(await refused(response)).toEqual([422, 'wrong-content'])
    await expectNothingOf(server.blobs, bytes)
    await expectNothingOf(server.blobs, other)
    // The place is free again: a wrong upload costs the seat nothing.
    for (const name of ['first', 'second']) {
      const good = contentOf(name, 10)
      expect((await server.put(await rootOf(good), good, bearer(server.ticket()))).status).toBe(201)
    }
  })

  test('a wrong upload does not take away the blob whose bytes it sent', async () => {
    await using server = await serving()
    const [bytes, kept] = [contentOf('promised', 100), contentOf('kept before', 100)]
    const keptCid = await rootOf(kept)
    await server.put(keptCid, kept, bearer(server.ticket()))
    const response = await server.put(await rootOf(bytes), kept, bearer(server.ticket({ seat: 1 })))
    expect(await refused(response)).toEqual([422, 'wrong-content'])
    expect(await server.blobs.has(keptCid)).toBe(true)
  })

  test('a manifest, a file that is not cut into blocks and an encoded body are no uploads', async () => {
    await using server = await serving()
    const bytes = contentOf('file', 2 * MIB)
    const ticket = bearer(server.ticket())
    expect(await refused(await server.put(cidOf(DAG_CBOR, bytes), bytes, ticket))).toEqual([400, 'not-uploadable'])
    expect(await refused(await server.put(await rootOf(bytes), bytes, ticket))).toEqual([415, 'not-a-block'])
    const encoded = { ...ticket, 'Content-Encoding': 'gzip' }
    expect(await refused(await server.put(cidOf(RAW, bytes), bytes, encoded))).toEqual([415, 'encoded-body'])
  })

  test('a body that says it is too long is refused before any of it is read', async () => {
    await using server = await serving()
    const { sent, answer } = slowPut(server.port, cidOf(RAW, contentOf('x', 1)), {
      ...bearer(server.ticket()),
      'Content-Length': 2 * MIB + 1,
    })
    expect(await codeIn(await answer)).toEqual([413, 'too-large'])
    sent.destroy()
  })

  test('a body that turns out too long is cut off and not kept', async () => {
    await using server = await serving()
    const bytes = contentOf('endless', 3 * MIB)
    const { sent, answer } = slowPut(server.port, cidOf(RAW, bytes), bearer(server.ticket()))
    sent.end(bytes)
    expect(await codeIn(await answer)).toEqual([413, 'too-large'])
    await expectNothingOf(server.blobs, bytes)
  })

  test('who sends all of a refused body before it listens still gets the answer, not a reset', async () => {
    await using server = await serving()
    const bytes = contentOf('large and refused', 3 * MIB)
    const cid = await rootOf(bytes)
    // Paused before it is connected, so that not even its buffers read: a reset would throw away what they have not.
    const socket = connect({ port: server.port, host: '127.0.0.1' }).pause()
    let said = ''
    const closed = new Promise<void>((resolve, reject) => {
      socket.on('close', () => resolve())
      socket.on('error', reject)
    })
    closed.catch(() => undefined)
    const authorization = 'Authorization: Bearer not.one'
    socket.write(`PUT /ipfs/${cid} HTTP/1.1\r\nHost: x\r\n${authorization}\r\nContent-Length: ${bytes.length}\r\n\r\n`)
    for (let at = 0; at < bytes.length; at += 65_536) {
      // Slowly enough that a server which closed at once would have closed by now.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
      await new Promise<void>((resolve, reject) => {
        socket.write(bytes.subarray(at, at + 65_536), (cause) => (cause ? reject(cause) : resolve()))
      })
    }
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1')
    })
    socket.resume()
    await closed
    expect(said).toMatch(/^HTTP\/1.1 401 /)
    expect(said).toContain('"code":"bad-ticket"')
    await until(() => server.outcomes.length === 1)
    expect(server.outcomes).toEqual(['bad-ticket'])
  })

  test('a connection that breaks midway leaves nothing, and frees its place', async () => {
    await using server = await serving({ limits: { uploads: { total: 1, each: 1 } } })
    const bytes = contentOf('truncated', MIB)
    const cid = await rootOf(bytes)
    const headers = { ...bearer(server.ticket()), 'Content-Length': bytes.length }
    for (let turn = 1; turn <= 3; turn++) {
      const { sent } = slowPut(server.port, cid, headers)
      sent.write(bytes.subarray(0, MIB - 100))
      await until(() => server.clock.waiting() === 1)
      sent.destroy()
      await until(() => server.outcomes.length === turn)
    }
    expect(server.outcomes).toEqual(['broken-off', 'broken-off', 'broken-off'])
    await expectNothingOf(server.blobs, bytes)
    expect((await server.put(cid, bytes, bearer(server.ticket()))).status).toBe(201)
  })

  test('bytes beyond the Content-Length are no part of the blob', async () => {
    await using server = await serving()
    const bytes = contentOf('exact', 500)
    const cid = await rootOf(bytes)
    const socket = connect(server.port, '127.0.0.1')
    socket.write(
      `PUT /ipfs/${cid} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.ticket()}\r\nContent-Length: 500\r\n\r\n`,
    )
    socket.write(bytes)
    socket.write(contentOf('and more that is no HTTP', 5000))
    let said = ''
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1')
    })
    await new Promise((resolve) => socket.on('close', resolve))
    expect(said).toMatch(/^HTTP\/1.1 (201|400) /)
    // Whether or not the sender got to hear of it: what is kept is the blob and nothing else.
    await until(() => server.outcomes.length === 1)
    const kept = await server.blobs.has(cid)
    expect(server.outcomes).toEqual([kept ? 'kept' : 'broken-off'])
    if (kept) expect(equalBytes(await server.blobs.getBlock(cid, MIB), bytes)).toBe(true)
    expect((await fetch(`${server.url}/ipfs/${cid}`)).status).toBe(kept ? 200 : 404)
  })

  test('a ticket replayed with other content fills no disk: two blobs a seat, whatever ticket it shows', async () => {
    await using server = await serving()
    const upload = async (name: string, ticket: string) => {
      const bytes = contentOf(name, 1000)
      return (await server.put(await rootOf(bytes), bytes, bearer(ticket))).status
    }
    const ticket = server.ticket()
    expect(await upload('one', ticket)).toBe(201)
    expect(await upload('two', ticket)).toBe(201)
    expect(await upload('three', ticket)).toBe(403)
    expect(await upload('three', server.ticket({ expiresAt: server.clock.now() + 70_000 }))).toBe(403)
    expect(await upload('one', ticket)).toBe(200)
    expect(await upload('three', server.ticket({ seat: 1 }))).toBe(201)
    expect(await upload('four', server.ticket({ round: 2 }))).toBe(201)
    await expect(server.blobs.getBlock(await rootOf(contentOf('five', 1000)), MIB)).rejects.toThrow(BlobMissing)
  })

  test('a seat has two uploads at a time, and the house has its own limit', async () => {
    await using server = await serving({ limits: { uploads: { total: 3, each: 3 } } })
    const open = async (name: string, seat: number) => {
      const bytes = contentOf(name, 100)
      const put = slowPut(server.port, await rootOf(bytes), {
        ...bearer(server.ticket({ seat })),
        'Content-Length': 100,
      })
      put.sent.write(bytes.subarray(0, 50))
      return { ...put, rest: () => put.sent.end(bytes.subarray(50)) }
    }
    const first = await open('a', 0)
    await until(() => server.clock.waiting() === 1)
    const second = await open('b', 0)
    await until(() => server.clock.waiting() === 2)
    const third = await (await open('c', 0)).answer
    expect(third.headers['retry-after']).toBe('5')
    expect(await codeIn(third)).toEqual([429, 'busy-ticket'])
    await until(() => server.outcomes.length === 1)
    const other = await open('d', 1)
    await until(() => server.clock.waiting() === 3)
    expect(await codeIn(await (await open('e', 2)).answer)).toEqual([503, 'busy'])
    for (const put of [first, second, other]) {
      put.rest()
      expect((await put.answer).statusCode).toBe(201)
    }
  })

  test('a full store says so, and when to come back', async () => {
    await using server = await serving({ blobs: openMemoryBlobs({ quotaBytes: MIB - 1 }) })
    const bytes = contentOf('no room', MIB)
    const response = await server.put(await rootOf(bytes), bytes, bearer(server.ticket()))
    expect(response.headers.get('retry-after')).toBe('5')
    expect(await refused(response)).toEqual([507, 'storage-full'])
    await expectNothingOf(server.blobs, bytes)
  })

  test('who stops sending is let go, and nothing of it is kept', async () => {
    await using server = await serving({ limits: { uploads: { total: 1, each: 1 } } })
    const bytes = contentOf('slow loris', MIB)
    const cid = await rootOf(bytes)
    const put = slowPut(server.port, cid, { ...bearer(server.ticket()), 'Content-Length': bytes.length })
    put.sent.write(bytes.subarray(0, MIB - 1))
    await until(() => server.clock.waiting() === 1)
    await server.isHere(put)
    while (!server.hasAnswered(put)) await server.clock.advance(IDLE)
    expect(await codeIn(await put.answer)).toEqual([408, 'too-slow'])
    await until(() => server.outcomes.length === 1)
    await expectNothingOf(server.blobs, bytes)
    expect((await server.put(cid, bytes, bearer(server.ticket()))).status).toBe(201)
  })

  test('who moves some bytes, but too few, is let go as well: a place is not held a byte at a time', async () => {
    await using server = await serving({ limits: { leastBytesPerSecond: 100 } })
    const bytes = contentOf('drips', 10_000)
    const upload = { ...bearer(server.ticket()), 'Content-Length': bytes.length }
    const put = slowPut(server.port, await rootOf(bytes), upload)
    await until(() => server.clock.waiting() === 1)
    for (let at = 0; at < 200 && !server.hasAnswered(put); at += 5) {
      put.sent.write(bytes.subarray(at, at + 5))
      await server.isHere(put)
      await server.clock.advance(IDLE / 10)
    }
    expect(await codeIn(await put.answer)).toEqual([408, 'too-slow'])
  })

  test('whoever is slow makes room where others are turned away, and only there', async () => {
    const limits = { uploads: { total: 1, each: 1 }, leastBytesPerSecond: 10, pressedBytesPerSecond: 1000 }
    await using server = await serving({ limits })
    const bytes = contentOf('slow but steady', 10_000)
    const upload = { ...bearer(server.ticket()), 'Content-Length': bytes.length }
    const slow = slowPut(server.port, await rootOf(bytes), upload)
    let at = 0
    const drip = async () => {
      slow.sent.write(bytes.subarray(at, at + 10))
      await server.isHere(slow)
      at += 10
      await server.clock.advance(IDLE / 10)
    }
    await until(() => server.clock.waiting() === 1)
    while (at < 500) await drip()
    expect(server.outcomes).toEqual([])
    const other = contentOf('another', 100)
    const refused503 = await server.put(await rootOf(other), other, bearer(server.ticket({ seat: 1 })))
    expect([refused503.status, refused503.headers.get('retry-after')]).toEqual([503, '5'])
    while (at < 5000 && !server.hasAnswered(slow)) await drip()
    expect(await codeIn(await slow.answer)).toEqual([408, 'too-slow'])
    await until(() => server.outcomes.length === 2)
    expect(server.outcomes).toEqual(['busy', 'too-slow'])
    expect((await server.put(await rootOf(other), other, bearer(server.ticket({ seat: 1 })))).status).toBe(201)
  })

  test('one address has its share of the places and no more', async () => {
    await using server = await serving({ limits: { uploads: { total: 3, each: 1 } } })
    const bytes = contentOf('first', 100)
    const first = slowPut(server.port, await rootOf(bytes), { ...bearer(server.ticket()), 'Content-Length': 100 })
    await until(() => server.clock.waiting() === 1)
    const second = await server.put(await rootOf(bytes), bytes, bearer(server.ticket({ seat: 1 })))
    expect(await refused(second)).toEqual([503, 'busy'])
    first.sent.destroy()
  })

  test('who sends a byte at a time is stopped when the ticket runs out', async () => {
    await using server = await serving()
    const bytes = contentOf('drips', 1000)
    const ticket = server.ticket({ expiresAt: server.clock.now() + 5 * IDLE })
    const put = slowPut(server.port, await rootOf(bytes), { ...bearer(ticket), 'Content-Length': 1000 })
    await until(() => server.clock.waiting() === 1)
    for (let at = 0; at < 999 && !server.hasAnswered(put); at++) {
      put.sent.write(bytes.subarray(at, at + 1))
      await server.isHere(put)
      await server.clock.advance(IDLE / 10)
    }
    put.sent.end()
    expect(await codeIn(await put.answer)).toEqual([401, 'expired-ticket'])
    await expectNothingOf(server.blobs, bytes)
  })
})
