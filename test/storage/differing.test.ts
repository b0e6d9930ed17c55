import { describe, expect, test } from '@jest/globals'
import { equalBytes, once } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { applyDeflated } from '#protocol/difference.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BlobMissing } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openDiffering } from '#storage/blobs/differing.ts'
import { openGateway } from '#storage/blobs/gateway.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { systemClock } from '#storage/clock.ts'
import { contentOf } from '#test/content.ts'
import { loopback } from '#test/loopback.ts'
import { movedBySum } from '#test/moved.ts'
import { ROOMY } from '#test/storage/roomy.ts'
import { openDifferences } from '#threads/differences.ts'

const DIFFERENCE = 'application/vnd.consilium.difference'
const moved = movedBySum('leaf', { reports: 5, spread: 2e-4, weights: 5000 })
const cidOfLeaf = (bytes: Bytes) => cidOf(RAW, bytes)
const leaves = { parent: cidOfLeaf(moved.parent), next: cidOfLeaf(moved.next) }

/** A store with leaves, and how often a difference is made of them. */
async function differing(others: readonly Bytes[] = []) {
  const blobs = openMemoryBlobs()
  for (const bytes of [moved.parent, moved.next, ...others]) await blobs.put(once(bytes), bytes.length)
  const pairs: (readonly [Bytes, Bytes])[] = []
  const made = { bytes: contentOf('made', 100) }
  const differ = async (parent: Bytes, next: Bytes) => {
    pairs.push([parent, next])
    return made.bytes
  }
  return { blobs, differ, pairs, made }
}

describe('a gateway that makes differences', () => {
  test('makes one for sixteen who ask, from which each makes the leaf; others get the leaf whole', async () => {
    await using differences = openDifferences()
    const { blobs } = await differing()
    let made = 0
    const gateway = openGateway({
      ...{ blobs, withheld: openMemoryBlobs(), clock: systemClock, limits: { ...ROOMY, cacheBytes: 2 ** 24 } },
      tickets: openTickets({ key: contentOf('key', 32), clock: systemClock }),
      differ(parent, next) {
        made++
        return differences.differ(parent, next)
      },
    })
    await using server = await loopback((request, response) => void gateway(request, response))
    const ask = async (query: string) => {
      const response = await fetch(`${server.url}/ipfs/${leaves.next}?format=raw${query}`)
      const bytes = new Uint8Array(await response.arrayBuffer())
      return { status: response.status, type: response.headers.get('content-type'), bytes }
    }
    const answers = await Promise.all(Array.from({ length: 16 }, () => ask(`&from=${leaves.parent}`)))
    for (const { type, bytes } of answers) {
      expect(type).toBe(DIFFERENCE)
      expect(bytes.length).toBeLessThan(moved.next.length / 2)
      const back = await applyDeflated(moved.parent, bytes)
      expect(back.ok && equalBytes(back.value, moved.next)).toBe(true)
    }
    expect(made).toBe(1)
    for (const query of ['', `&from=${leaves.next}`, `&from=${cidOfLeaf(contentOf('not here', 20_000))}`]) {
      const { type, bytes } = await ask(query)
      expect(type).toBe('application/vnd.ipld.raw')
      expect(equalBytes(bytes, moved.next)).toBe(true)
    }
    expect((await ask('&from=../etc')).status).toBe(400)
    const absent = await fetch(
      `${server.url}/ipfs/${cidOfLeaf(contentOf('absent', 20_000))}?format=raw&from=${leaves.parent}`,
    )
    expect(absent.status).toBe(404)
  })

  test('makes none of leaves of other lengths, of what is no leaf, of what is not here', async () => {
    const [short, large] = [contentOf('short', 400), contentOf('large', 2 ** 20 + 1)]
    const { blobs, differ, pairs } = await differing([short, large])
    const between = openDiffering({ blobs, differ, clock: virtualClock(0) })
    const root = await blobs.put(once(large), large.length)
    for (const from of [cidOfLeaf(short), root, cidOfLeaf(contentOf('absent', 20_000))])
      expect(await between(from, leaves.next)).toBeUndefined()
    expect(await between(leaves.parent, root)).toBeUndefined()
    expect(pairs).toHaveLength(0)
    expect(await between(leaves.parent, leaves.next)).toBeDefined()
  })

  test('tries once what is not worth it, and sends that whole from then on', async () => {
    const { blobs, differ, pairs, made } = await differing()
    made.bytes = contentOf('long', moved.next.length)
    const between = openDiffering({ blobs, differ, clock: virtualClock(0) })
    for (let turn = 0; turn < 3; turn++) expect(await between(leaves.parent, leaves.next)).toBeUndefined()
    expect(pairs).toHaveLength(1)
  })

  test('makes no more than its rate for whoever asks for ever new pairs, and none behind a long queue', async () => {
    const many = Array.from({ length: 12 }, (_, index) => contentOf(`leaf ${index}`, 400))
    const { blobs, differ, pairs } = await differing(many)
    const clock = virtualClock(0)
    const bounds = { rate: { perSecond: 1, burst: 5 }, waitingMax: 3, cacheBytes: 2 ** 20 }
    const between = openDiffering({ blobs, differ, clock }, bounds)
    const [first, ...others] = many.map(cidOfLeaf) as [Cid, ...Cid[]]
    const atOnce = await Promise.all(others.map((cid) => between(first, cid)))
    expect(atOnce.filter((one) => one !== undefined)).toHaveLength(3)
    for (const cid of others) await between(first, cid)
    expect(pairs).toHaveLength(5)
    await clock.advance(2000)
    for (const cid of others.toReversed()) await between(first, cid)
    expect(pairs).toHaveLength(7)
  })

  test('sends the leaf whole where its thread has died, and tries again for the next', async () => {
    const { blobs, differ } = await differing()
    const told: unknown[] = []
    let dies = true
    const mortal = async (parent: Bytes, next: Bytes) => {
      if (dies) throw new Error('died')
      return differ(parent, next)
    }
    const report = (cause: unknown) => void told.push(cause)
    const between = openDiffering({ blobs, differ: mortal, clock: virtualClock(0), report })
    expect(await between(leaves.parent, leaves.next)).toBeUndefined()
    expect(told).toHaveLength(1)
    dies = false
    expect(await between(leaves.parent, leaves.next)).toBeDefined()
  })

  test('hears of a damaged leaf as of any other fault of the store', async () => {
    const { differ } = await differing()
    const failing = { getBlock: () => Promise.reject(new Error('disk')) }
    await expect(
      openDiffering({ blobs: failing, differ, clock: virtualClock(0) })(leaves.parent, leaves.next),
    ).rejects.toThrow('disk')
    const missing = { getBlock: () => Promise.reject(new BlobMissing('gone')) }
    expect(
      await openDiffering({ blobs: missing, differ, clock: virtualClock(0) })(leaves.parent, leaves.next),
    ).toBeUndefined()
  })
})
