import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, test } from '@jest/globals'
import { collect } from '#protocol/bytes.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BlobMissing, BlobTooLarge } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openHttp } from '#storage/blobs/http-node.ts'
import { openRemoteBlobs, type RemoteBlobsOptions } from '#storage/blobs/remote.ts'
import { Standing } from '#storage/blobs/standing.ts'
import { blocksOf } from '#test/conformance/blobs.ts'
import { contentOf, sameBytes } from '#test/content.ts'
import { until } from '#test/loopback.ts'
import { blockServer, type Manner, RAW_TYPE } from '#test/storage/block-server.ts'

const MIB = 2 ** 20
const bytes = contentOf('from several', 5 * MIB + 9)
const blocks = await blocksOf(bytes)
const root = blocks.at(-1)?.cid as Cid

const http = openHttp()
afterAll(async () => http[Symbol.asyncDispose]())

type Opened = Awaited<ReturnType<typeof blockServer>>
const remoteOf = (
  home: Opened,
  sources: readonly { readonly url: string }[],
  options: Partial<RemoteBlobsOptions> = {},
) =>
  openRemoteBlobs({
    ...{ url: home.url, sources: () => sources, fetch: http.fetch, firstPauseMillis: 1, ticket: () => 'a ticket' },
    ...options,
  })
const whole = (remote: ReturnType<typeof openRemoteBlobs>) =>
  collect(remote.get(root, { limitBytes: bytes.length }), bytes.length)

/** Sends for ever. */
const endless: Manner = (response) => {
  response.writeHead(200, { 'Content-Type': RAW_TYPE })
  const more = () => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536)));
  }
  response.on('drain', more)
  more()
}
const typed =
  (bytes: Bytes): Manner =>
  (response) =>
    response.writeHead(200, { 'Content-Type': RAW_TYPE }).end(bytes)
const status =
  (code: number, headers: Record<string, string> = {}): Manner =>
  (response) =>
    response.writeHead(code, headers).end('no')

const HOSTILE: readonly [string, Manner][] = [
  ['sends other bytes', typed(randomBytes(MIB))],
  [
    'sends half of the block',
    (response, block) => typed((block as Bytes).subarray(0, 100))(response, block, response.req),
  ],
  [
    'sends the block and one byte',
    (response, block) => typed(Buffer.concat([block as Bytes, Buffer.of(0)]))(response, block, response.req),
  ],
  ['sends nothing', typed(new Uint8Array(0))],
  ['sends without end', endless],
  [
    'promises more than any block has',
    (response) => response.writeHead(200, { 'Content-Type': RAW_TYPE, 'Content-Length': 2 ** 40 }).write('x'),
  ],
  ['sends a page', (response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>It works!</h1>')],
  [
    'sends an encoded block',
    (response, block) =>
      response
        .writeHead(200, { 'Content-Type': RAW_TYPE, 'Content-Encoding': 'gzip' })
        .end((block as Bytes).subarray(1)),
  ],
  ['leads elsewhere', status(307, { Location: 'http://127.0.0.1:1/ipfs/' })],
  [
    'has headers without end',
    (response) => response.writeHead(200, { 'Content-Type': RAW_TYPE, 'X-More': 'x'.repeat(100_000) }).end(),
  ],
  ['breaks off', (response) => response.destroy()],
  [
    'breaks off inside the block',
    (response) =>
      response.writeHead(200, { 'Content-Type': RAW_TYPE, 'Content-Length': MIB }).write('x', () => response.destroy()),
  ],
  ['has a fault', status(500)],
  ['wants to be asked later', status(429, { 'Retry-After': '60' })],
  ['wants a ticket', status(401)],
  ['answers with what is no HTTP', (response) => response.socket?.end('220 smtp ready\r\n')],
]

describe('a source that', () => {
  test.each(HOSTILE)('%s is passed over, and after a few times not asked again', async (_what, manner) => {
    await using bad = await blockServer(blocks, manner)
    await using home = await blockServer(blocks)
    // Time stands still: whoever failed would be tried again after two seconds.
    const remote = remoteOf(home, [bad], { clock: virtualClock(0) })
    expect(sameBytes(await whole(remote), bytes)).toBe(true)
    expect(home.asked).toHaveLength(blocks.length)
    // By those who asked before the first of them had found out.
    expect(bad.asked.length).toBeLessThanOrEqual(3)
  })

  test('is not there costs nothing but its first refusal', async () => {
    await using home = await blockServer(blocks)
    expect(sameBytes(await whole(remoteOf(home, [{ url: 'http://127.0.0.1:1' }])), bytes)).toBe(true)
    expect(home.asked).toHaveLength(blocks.length)
  })

  test.each<[string, Manner]>([
    ['says nothing', () => undefined],
    ['sends a byte and no more', (response) => response.writeHead(200, { 'Content-Type': RAW_TYPE }).write('x')],
  ])('%s is waited for ten seconds, and once', async (_what, manner) => {
    const clock = virtualClock(0)
    await using bad = await blockServer(blocks, manner)
    await using home = await blockServer(blocks)
    let over = false
    const reading = whole(remoteOf(home, [bad], { clock })).finally(() => {
      over = true
    })
    await until(() => bad.asked.length === 1)
    await clock.advance(9_999)
    expect(home.asked).toHaveLength(0)
    await clock.advance(1)
    await until(() => over)
    expect(sameBytes(await reading, bytes)).toBe(true)
    expect(bad.asked).toHaveLength(1)
    expect(home.asked).toHaveLength(blocks.length)
  })

  test('has it not is asked for the next block all the same', async () => {
    await using empty = await blockServer([])
    await using home = await blockServer(blocks)
    expect(sameBytes(await whole(remoteOf(home, [empty])), bytes)).toBe(true)
    expect([empty, home].map(({ asked }) => asked.length)).toEqual([blocks.length, blocks.length])
  })

  test('is as good as any spares the gateway, and is shown no ticket', async () => {
    await using good = await blockServer(blocks)
    await using home = await blockServer([])
    expect(sameBytes(await whole(remoteOf(home, [good])), bytes)).toBe(true)
    expect(home.asked).toEqual([])
    expect(good.asked.every(({ ticket }) => ticket === undefined)).toBe(true)
  })

  test('is asked for what only members may read is not asked: the gateway is, with the ticket', async () => {
    await using good = await blockServer(blocks)
    await using home = await blockServer(blocks)
    expect(sameBytes(await whole(remoteOf(home, [good], { reads: 'withheld' })), bytes)).toBe(true)
    expect(good.asked).toEqual([])
    expect(home.asked.map(({ ticket }) => ticket)).toEqual(blocks.map(() => 'Bearer a ticket'))
  })
})

describe('several sources', () => {
  test('are asked in the order that they have for the block', async () => {
    await using left = await blockServer(blocks)
    await using right = await blockServer(blocks)
    await using home = await blockServer([])
    const isLeft = new Map(blocks.map(({ cid }, index) => [cid, index % 2 === 0]))
    const remote = remoteOf(home, [], { sources: (cid) => (isLeft.get(cid) ? [left, right] : [right, left]) })
    expect(sameBytes(await whole(remote), bytes)).toBe(true)
    expect(left.asked.map(({ cid }) => isLeft.get(cid))).toEqual(left.asked.map(() => true))
    expect(right.asked.map(({ cid }) => isLeft.get(cid))).toEqual(right.asked.map(() => false))
    expect(left.asked.length + right.asked.length).toBe(blocks.length)
  })

  test('that all have it not are three at most before the gateway is asked, which has the last word', async () => {
    const empty = await Promise.all(Array.from({ length: 5 }, () => blockServer([])))
    await using home = await blockServer([])
    await expect(remoteOf(home, empty).getBlock(root, MIB)).rejects.toThrow(BlobMissing)
    expect(empty.map(({ asked }) => asked.length)).toEqual([1, 1, 1, 0, 0])
    expect(home.asked).toHaveLength(1)
    await Promise.all(empty.map((server) => server[Symbol.asyncDispose]()))
  })

  test('know nothing of what the reader has room for: a block that is larger is no lie', async () => {
    await using good = await blockServer(blocks)
    await using home = await blockServer([])
    const remote = remoteOf(home, [good])
    await expect(remote.getBlock(blocks[0]?.cid as Cid, 10)).rejects.toThrow(BlobTooLarge)
    expect((await remote.getBlock(blocks[0]?.cid as Cid, MIB)).length).toBe(MIB)
    expect(home.asked).toEqual([])
  })
})

describe('whoever failed', () => {
  test('is passed over for twice as long each time, and has a clean name after one success', () => {
    const standing = new Standing(10)
    let now = 0
    const pauses = Array.from({ length: 11 }, () => {
      standing.failed('a', now)
      const failedAt = now
      while (!standing.admits('a', now)) now += 1000
      return now - failedAt
    })
    expect(pauses).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 512].map((seconds) => seconds * 1000))
    expect(standing.admits('b', 0)).toBe(true)
    standing.kept('a')
    standing.failed('a', now)
    expect(standing.admits('a', now + 1999)).toBe(false)
    expect(standing.admits('a', now + 2000)).toBe(true)
  })

  test('failed once however many asked it at that time, and is tried by one alone', () => {
    const standing = new Standing(500)
    for (let asked = 0; asked < 8; asked++) standing.failed('a', asked)
    expect(standing.admits('a', 1999)).toBe(false)
    expect(standing.admits('a', 2000)).toBe(true)
    expect(standing.admits('a', 2001)).toBe(false)
    // Nothing was heard of how that one fared.
    expect(standing.admits('a', 2500)).toBe(true)
    standing.kept('a')
    expect(standing.admits('a', 2501)).toBe(true)
  })

  test('and said for how long it wants to be left alone is left alone for as long', () => {
    const standing = new Standing(500)
    standing.failed('a', 0, 60_000)
    expect(standing.admits('a', 59_999)).toBe(false)
    expect(standing.admits('a', 60_000)).toBe(true)
  })

  test('is forgotten when a thousand others failed since', () => {
    const standing = new Standing(500)
    for (let name = 0; name <= 1024; name++) standing.failed(String(name), 0)
    expect(standing.admits('0', 0)).toBe(true)
    expect(standing.admits('1', 0)).toBe(false)
  })
})
