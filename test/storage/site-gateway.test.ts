import { describe, expect, test } from '@jest/globals'
import { equalBytes } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BlobMissing } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openSiteGateway, type SiteGatewayLimits } from '#storage/blobs/site-gateway.ts'
import { contentOf } from '#test/content.ts'
import { loopback, until } from '#test/loopback.ts'
import { ROOMY } from '#test/storage/roomy.ts'

const block = (seed: string, size = 100): Block => {
  const bytes = contentOf(seed, size)
  return { cid: cidOf(RAW, bytes), bytes }
}
const [here, away] = [block('here'), block('away')]

/** A node's gateway that has one block and may fetch any other, when it is told that it has come. */
async function sharing(options: { ours?: boolean; limits?: Partial<SiteGatewayLimits> } = {}) {
  const clock = virtualClock(0)
  const kept = new Map<Cid, Bytes>([[here.cid, here.bytes]])
  const pulls: { cid: Cid; from: Cid | undefined; come: (bytes: Bytes) => void; fail: (cause: Error) => void }[] = []
  const gateway = openSiteGateway({
    kept: { get: async (cid) => kept.get(cid) },
    async pull(cid, from, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<Bytes>()
      signal.addEventListener('abort', () => reject(signal.reason))
      pulls.push({ cid, from, come: resolve, fail: reject })
      const bytes = await promise
      kept.set(cid, bytes)
      return bytes
    },
    pullsFor: () => options.ours ?? true,
    clock,
    limits: {
      ...{ ...ROOMY, pulls: { total: 64, each: 64 }, pullRate: { perSecond: 100, burst: 100 } },
      ...options.limits,
    },
  })
  const server = await loopback((request, response) => void gateway(request, response))
  const ask = (path: string, request: RequestInit = {}) => fetch(`${server.url}/ipfs/${path}`, request)
  return { ...server, ask, clock, kept, pulls, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer())
const raw = (cid: Cid) => `${cid}?format=raw`

describe("a node's gateway", () => {
  test('shows single blocks that it has, and takes nothing in', async () => {
    await using node = await sharing()
    expect(equalBytes(await bytesOf(await node.ask(raw(here.cid))), here.bytes)).toBe(true)
    expect((await node.ask('bafkqaaa?format=raw')).status).toBe(200)
    for (const method of ['PUT', 'POST', 'DELETE', 'PATCH']) {
      const refused = await node.ask(here.cid, { method, headers: { Authorization: 'Bearer a.b' } })
      expect(refused.status).toBe(405)
      expect(refused.headers.get('allow')).toBe('GET, HEAD')
    }
    for (const path of [here.cid, `${here.cid}?format=car`, `${away.cid}?format=car`])
      expect((await node.ask(path)).status).toBe(406)
    for (const path of ['..%2fjournal.sqlite', `${here.cid}/x?format=raw`, `${raw(away.cid)}&from=outbox`])
      expect((await node.ask(path)).status).toBeGreaterThanOrEqual(400)
    expect(node.pulls).toHaveLength(0)
  })

  test('fetches what falls to it once for all who ask, and tells the coordinator what it may be made from', async () => {
    await using node = await sharing()
    const asked = Array.from({ length: 16 }, () => node.ask(`${raw(away.cid)}&from=${here.cid}`))
    await until(() => node.pulls.length > 0)
    node.pulls[0]?.come(away.bytes)
    for (const response of await Promise.all(asked)) expect(equalBytes(await bytesOf(response), away.bytes)).toBe(true)
    expect(node.pulls.map(({ cid, from }) => ({ cid, from }))).toEqual([{ cid: away.cid, from: here.cid }])
    await node.ask(raw(away.cid))
    expect(node.pulls).toHaveLength(1)
  })

  test('fetches nothing for who only asks whether it is here, nor what does not fall to it', async () => {
    await using node = await sharing()
    expect((await node.ask(raw(away.cid), { headers: { 'Cache-Control': 'only-if-cached' } })).status).toBe(412)
    expect((await node.ask(raw(away.cid), { method: 'HEAD' })).status).toBe(404)
    expect(node.pulls).toHaveLength(0)
    await using other = await sharing({ ours: false })
    expect((await other.ask(raw(away.cid))).status).toBe(404)
    expect((await other.ask(raw(here.cid))).status).toBe(200)
    expect(other.pulls).toHaveLength(0)
  })

  test('says that it is busy where a block takes long, and has it for the next who asks', async () => {
    await using node = await sharing()
    const asked = node.ask(raw(away.cid))
    await until(() => node.pulls.length > 0)
    await node.clock.advance(8000)
    expect((await asked).status).toBe(503)
    const again = node.ask(raw(away.cid))
    node.pulls[0]?.come(away.bytes)
    expect(equalBytes(await bytesOf(await again), away.bytes)).toBe(true)
    expect(node.pulls).toHaveLength(1)
  })

  test('gives up a block that does not come, and its place with it', async () => {
    await using node = await sharing({ limits: { pulls: { total: 1, each: 1 } } })
    const asked = node.ask(raw(away.cid))
    await until(() => node.pulls.length > 0)
    await node.clock.advance(64_000)
    expect((await asked).status).toBe(503)
    const next = node.ask(raw(away.cid))
    await until(() => node.pulls.length > 1)
    node.pulls[1]?.come(away.bytes)
    expect((await next).status).toBe(200)
  })

  test('fetches so many at a time and at such a rate for others, whatever they ask for', async () => {
    await using node = await sharing({
      limits: { pulls: { total: 3, each: 3 }, pullRate: { perSecond: 1, burst: 5 } },
    })
    const blocks = Array.from({ length: 8 }, (_, index) => block(`flood ${index}`))
    let refused = 0
    const atOnce = blocks.map(async ({ cid }) => {
      const { status } = await node.ask(raw(cid))
      if (status === 503) refused++
      return status
    })
    await until(() => node.pulls.length === 3)
    await until(() => refused === 5)
    for (const { cid, come } of node.pulls) come(blocks.find((one) => one.cid === cid)?.bytes ?? away.bytes)
    expect((await Promise.all(atOnce)).filter((status) => status === 200)).toHaveLength(3)
    const later: number[] = []
    for (const { cid, bytes } of Array.from({ length: 4 }, (_, index) => block(`later ${index}`))) {
      const before = node.pulls.length
      const asked = node.ask(raw(cid)).then(({ status }) => later.push(status))
      await until(() => node.pulls.length > before || later.includes(503))
      if (node.pulls.length > before) node.pulls.at(-1)?.come(bytes)
      await asked
    }
    expect(later).toEqual([200, 200, 503, 503])
  })

  test('asks once in a while for what the coordinator does not have', async () => {
    await using node = await sharing()
    const asked = async (pulls: number) => {
      const answer = node.ask(raw(away.cid))
      await until(() => node.pulls.length === pulls)
      node.pulls.at(-1)?.fail(new BlobMissing(away.cid))
      expect((await answer).status).toBe(404)
      expect(node.pulls).toHaveLength(pulls)
    }
    await asked(1)
    await asked(1)
    await node.clock.advance(5000)
    await asked(2)
  })
})
