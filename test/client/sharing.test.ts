import type { ServerResponse } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import { openSharedBlobs, type SharedBlobs } from '#client/sharing.ts'
import { collect, once, utf8 } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openGateway } from '#storage/blobs/gateway.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { systemClock } from '#storage/clock.ts'
import { contentOf, sameBytes } from '#test/content.ts'
import { temporaryFolder } from '#test/folder.ts'
import { loopback, until } from '#test/loopback.ts'
import { movedBySum } from '#test/moved.ts'
import { ROOMY } from '#test/storage/roomy.ts'
import { openDifferences } from '#threads/differences.ts'

const MIB = 2 ** 20
/** Time passes at a tenth of its pace: nobody loses patience with a neighbour because the machine is busy. */
const UNHURRIED = {
  clock: { now: () => systemClock.now() / 10, wakeAt: (at, signal) => systemClock.wakeAt(at * 10, signal) } as Clock,
  firstPauseMillis: 1,
}
const ARCHITECTURE = cidOf(RAW, utf8('architecture'))

/** A coordinator's gateway, and the bytes of the answers that it gave to each question. */
async function coordinator() {
  const [blobs, withheld] = [openMemoryBlobs(), openMemoryBlobs()]
  const differences = openDifferences()
  const gateway = openGateway({
    ...{ blobs, withheld, clock: systemClock, differ: differences.differ },
    tickets: openTickets({ key: contentOf('key', 32), clock: systemClock }),
    limits: { ...ROOMY, downloads: { total: 512, each: 512 }, cacheBytes: 64 * MIB },
  })
  const answers: { readonly url: string; readonly bytes: number }[] = []
  const server = await loopback((request, response) => {
    response.on('close', () => {
      answers.push({ url: request.url ?? '', bytes: Number(response.getHeader('content-length') ?? 0) })
    })
    void gateway(request, response)
  })
  const sentBytes = () => answers.reduce((sum, { bytes }) => sum + bytes, 0)
  return {
    ...{ blobs, withheld, answers, sentBytes, url: server.url },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await differences[Symbol.asyncDispose]()
    },
  }
}

/** So many nodes of one site, each with a folder of its own; those who share know one another. */
async function site(nodes: number, coordinatorUrl: string, others: readonly string[] = [], sharedBytes = 64 * MIB) {
  await using doors = new AsyncDisposableStack()
  const folder = doors.use(await temporaryFolder())
  const siteNodes: string[] = [...others]
  const members: SharedBlobs[] = []
  for (let index = 0; index < nodes; index++) {
    const share = { host: '127.0.0.1', port: 0, tls: undefined }
    const config = { folder: `${folder.path}/${index}`, sharedBytes, share, siteNodes }
    members.push(doors.use(await openSharedBlobs(config, { url: coordinatorUrl, ...UNHURRIED })))
  }
  siteNodes.push(...members.flatMap(({ url }) => url ?? []))
  const opened = doors.move()
  return { members, siteNodes, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

async function read(member: SharedBlobs, cid: Cid, limitBytes: number): Promise<Bytes> {
  return collect(member.blobs.get(cid, { limitBytes }), limitBytes)
}

describe('nodes of one site', () => {
  test('sixteen who read a model at once take about one copy of it from the coordinator', async () => {
    await using hub = await coordinator()
    const bytes = contentOf('model', 3 * MIB + 5)
    const cid = await hub.blobs.put(once(bytes), bytes.length)
    await using hospital = await site(16, hub.url)
    const all = await Promise.all(hospital.members.map((member) => read(member, cid, bytes.length)))
    expect(all.every((one) => sameBytes(one, bytes))).toBe(true)
    const copies = hub.sentBytes() / bytes.length
    process.stdout.write(`sixteen nodes of a site took ${copies.toFixed(2)} copies of ${bytes.length} bytes\n`)
    expect(copies).toBeLessThan(1.5)
  })

  test('who have the model before fetch the next one as the difference, one copy of it for all', async () => {
    await using hub = await coordinator()
    const { parent, next } = movedBySum('model', { reports: 5, spread: 2e-4, weights: 300_000 })
    const [before, after] = [await hub.blobs.put(once(parent), 2 ** 24), await hub.blobs.put(once(next), 2 ** 24)]
    await using hospital = await site(4, hub.url)
    for (const [weights, expected] of [
      [before, parent],
      [after, next],
    ] as const) {
      hub.answers.length = 0
      const all = await Promise.all(
        hospital.members.map((member) => {
          member.expect({ weights, architecture: ARCHITECTURE })
          return read(member, weights, 2 ** 24)
        }),
      )
      expect(all.every((one) => sameBytes(one, expected))).toBe(true)
    }
    const copies = hub.sentBytes() / next.length
    process.stdout.write(`four nodes that had its parent took ${copies.toFixed(2)} copies of a model\n`)
    expect(copies).toBeLessThan(0.5 * 1.5)
  })

  test('show one another nothing that is withheld, nothing that they made, and no ticket', async () => {
    await using hub = await coordinator()
    const secret = contentOf('masked vector', 3 * MIB)
    const cid = await hub.withheld.put(once(secret), secret.length)
    await using hospital = await site(2, hub.url)
    for (const { url } of hospital.members)
      for (const path of [`${cid}?format=raw`, cid]) {
        const answer = await fetch(`${url}/ipfs/${path}`, { headers: { Authorization: 'Bearer any.ticket' } })
        expect([404, 406]).toContain(answer.status)
      }
    const asked = hub.answers.filter(({ url }) => url.includes(cid))
    expect(asked.length).toBeGreaterThan(0)
  })

  test('who share nothing read what the others have', async () => {
    await using hub = await coordinator()
    await using folder = await temporaryFolder()
    const bytes = contentOf('read', 3 * MIB)
    const cid = await hub.blobs.put(once(bytes), bytes.length)
    await using hospital = await site(3, hub.url)
    await Promise.all(hospital.members.map((member) => read(member, cid, bytes.length)))
    hub.answers.length = 0
    const config = { folder: folder.path, sharedBytes: 64 * MIB, share: undefined, siteNodes: hospital.siteNodes }
    await using guest = await openSharedBlobs(config, { url: hub.url, ...UNHURRIED })
    expect(guest.url).toBeUndefined()
    expect(sameBytes(await read(guest, cid, bytes.length), bytes)).toBe(true)
    expect(hub.answers).toEqual([])
  })

  test('off loopback nothing is shown without TLS', async () => {
    await using folder = await temporaryFolder()
    const share = { host: '0.0.0.0', port: 0, tls: undefined }
    const config = { folder: folder.path, sharedBytes: 64 * MIB, share, siteNodes: [] }
    await expect(openSharedBlobs(config, { url: 'http://127.0.0.1:9' })).rejects.toThrow('without TLS')
  })

  const wrong = (response: ServerResponse) =>
    response.writeHead(200, { 'Content-Type': RAW_TYPE }).end(contentOf('wrong', MIB))
  test.each<[string, (response: ServerResponse) => void, boolean]>([
    ['sends wrong bytes', wrong, true],
    ['sends without an end', endless, true],
    ['sends elsewhere', (response) => response.writeHead(302, { Location: 'http://127.0.0.1:9/' }).end(), true],
    ['breaks off', (response) => void response.destroy(), true],
    ['has nothing, ever', (response) => response.writeHead(404).end(), false],
    ['is always busy', (response) => response.writeHead(503, { 'Retry-After': '5' }).end(), true],
  ])('a neighbour that %s costs a few questions and nothing else', async (_, answer, isPassedOver) => {
    await using hub = await coordinator()
    const bytes = contentOf('file', 3 * MIB)
    const cid = await hub.blobs.put(once(bytes), bytes.length)
    const asked: (string | undefined)[] = []
    await using neighbour = await loopback((request, response) => {
      asked.push(request.headers.authorization)
      answer(response)
    })
    await using folder = await temporaryFolder()
    const config = { folder: folder.path, sharedBytes: 64 * MIB, share: undefined, siteNodes: [neighbour.url] }
    await using node = await openSharedBlobs(config, { url: hub.url, ticket: () => 'my.ticket', ...UNHURRIED })
    expect(sameBytes(await read(node, cid, bytes.length), bytes)).toBe(true)
    expect(asked.length).toBeGreaterThan(0)
    // Four blocks, of which it is asked for each that may be in flight before it has failed once.
    expect(asked.length).toBeLessThanOrEqual(isPassedOver ? 1 : 4)
    expect(asked.every((ticket) => ticket === undefined)).toBe(true)
    expect(hub.sentBytes()).toBeLessThan(1.1 * bytes.length)
  })

  test('a neighbour that says nothing costs ten seconds once, and is passed over then', async () => {
    await using hub = await coordinator()
    const bytes = contentOf('file', 3 * MIB)
    const cid = await hub.blobs.put(once(bytes), bytes.length)
    let asked = 0
    await using neighbour = await loopback(() => void asked++)
    await using folder = await temporaryFolder()
    const clock = virtualClock(0)
    const config = { folder: folder.path, sharedBytes: 64 * MIB, share: undefined, siteNodes: [neighbour.url] }
    await using node = await openSharedBlobs(config, { url: hub.url, clock })
    const reading = read(node, cid, bytes.length)
    await until(() => asked > 0)
    await clock.advance(10_000)
    expect(sameBytes(await reading, bytes)).toBe(true)
    expect(asked).toBe(1)
  })
})

const RAW_TYPE = 'application/vnd.ipld.raw'

function endless(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': RAW_TYPE })
  const more = () => {
    while (!response.destroyed && response.write(contentOf('more', 65_536)));
  }
  response.on('drain', more)
  more()
}
