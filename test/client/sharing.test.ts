import { describe, expect, test } from '@jest/globals'
import { openSharedBlobs, type SharedBlobs } from '#client/sharing.ts'
import { collect, equalBytes, once, utf8 } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { openGateway } from '#storage/blobs/gateway.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { systemClock } from '#storage/clock.ts'
import { contentOf } from '#test/content.ts'
import { temporaryFolder } from '#test/folder.ts'
import { loopback } from '#test/loopback.ts'
import { movedBySum } from '#test/moved.ts'
import { ROOMY } from '#test/storage/roomy.ts'
import { openDifferences } from '#threads/differences.ts'

const MIB = 2 ** 20
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
    members.push(doors.use(await openSharedBlobs(config, { url: coordinatorUrl, firstPauseMillis: 1 })))
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
    const bytes = contentOf('model', 12 * MIB + 5)
    const cid = await hub.blobs.put(once(bytes), bytes.length)
    await using hospital = await site(16, hub.url)
    const all = await Promise.all(hospital.members.map((member) => read(member, cid, bytes.length)))
    expect(all.every((one) => equalBytes(one, bytes))).toBe(true)
    const copies = hub.sentBytes() / bytes.length
    process.stdout.write(`sixteen nodes of a site took ${copies.toFixed(2)} copies of ${bytes.length} bytes\n`)
    expect(copies).toBeLessThan(1.5)
  })

  test('who have the model before fetch the next one as the difference, one copy of it for all', async () => {
    await using hub = await coordinator()
    const { parent, next } = movedBySum('model', { reports: 5, spread: 2e-4, weights: 600_000 })
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
      expect(all.every((one) => equalBytes(one, expected))).toBe(true)
    }
    const copies = hub.sentBytes() / next.length
    process.stdout.write(`four nodes that had its parent took ${copies.toFixed(2)} copies of a model\n`)
    expect(copies).toBeLessThan(0.5 * 1.5)
  })
})
