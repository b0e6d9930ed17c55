import { describe, expect, test } from '@jest/globals'
import { CID } from 'multiformats/cid'
import { collect, concat, equalBytes, once } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { PeersSilent } from '#storage/blobs/bitswap/asking.ts'
import { encodeMessage, NOTHING } from '#storage/blobs/bitswap/message.ts'
import { withPeers } from '#storage/blobs/libp2p.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { blobStoreConformance } from '#test/conformance/blobs.ts'
import { contentOf, inPieces } from '#test/content.ts'
import { comesTrue } from '#test/eventually.ts'
import { addressOf, loopbackPeer, type Stranger, strangerTo } from '#test/libp2p.ts'
import { freePort } from '#test/loopback.ts'

const MIB = BLOCK_BYTES_MAX

blobStoreConformance('a store with libp2p peers', async () => {
  const scope = new AsyncDisposableStack()
  const other = scope.use(await loopbackPeer())
  const peer = scope.use(await loopbackPeer({ peers: [addressOf(other)] }))
  return { ...withPeers(openMemoryBlobs(), peer), [Symbol.asyncDispose]: () => scope.disposeAsync() }
})

describe('a libp2p peer', () => {
  test('reads what it has not got, or has damaged, from the peers that it was told of, and only from them', async () => {
    const [store, bytes] = [openMemoryBlobs(), contentOf('a file', 3 * MIB + 7)]
    const cid = await store.put(inPieces(bytes, 65_536), bytes.length)
    await using serving = await loopbackPeer({ blobs: store })
    await using empty = await loopbackPeer()
    await using reader = await loopbackPeer({ peers: [addressOf(empty), addressOf(serving)] })
    const kept = new Map<Cid, Bytes>()
    const own = openMemoryBlobs({ blocks: kept })
    const read = withPeers(own, reader)
    const whole = async () => collect(read.get(cid, { limitBytes: bytes.length }), bytes.length)
    expect(equalBytes(await whole(), bytes)).toBe(true)
    expect(await own.has(cid)).toBe(false)
    await own.put(once(bytes), bytes.length)
    for (const part of kept.keys()) kept.set(part, contentOf('damage', 9))
    await expect(own.getBlock(cid, MIB)).rejects.toThrow(BlobCorrupt)
    expect(equalBytes(await whole(), bytes)).toBe(true)
    expect(await empty.want(cid)).toBeUndefined()
    await expect(read.getBlock(cidOf(RAW, contentOf('nowhere', 9)), MIB)).rejects.toThrow(BlobMissing)
  })

  test('dials a peer that is away again and again, and does not take its blocks for missing meanwhile', async () => {
    const store = openMemoryBlobs()
    const cid = await store.put(once(contentOf('a block', 100)), 100)
    const secret = contentOf('who it is', 32)
    // Its own, also while it is away.
    const listen = [`/ip4/127.0.0.1/tcp/${await freePort()}`]
    const first = await loopbackPeer({ blobs: store, secret, listen })
    const address = addressOf(first)
    const clock = virtualClock(0)
    const faults: unknown[] = []
    await using reader = await loopbackPeer({ peers: [address], clock, report: (cause) => faults.push(cause) })
    await first[Symbol.asyncDispose]()
    await comesTrue(async () => reader.away().length === 1)
    for (const pause of [1000, 1000, 2000, 4000]) {
      await comesTrue(async () => clock.waiting() === 1)
      await clock.advance(pause)
      await expect(reader.want(cid)).rejects.toThrow(PeersSilent)
    }
    await comesTrue(async () => clock.waiting() === 1)
    expect(faults.map(String)).toEqual([`Error: ${address} cannot be reached`])
    await using _second = await loopbackPeer({ blobs: store, secret, listen })
    await clock.advance(60_000)
    await comesTrue(async () => reader.away().length === 0)
    expect((await reader.want(cid))?.length).toBe(100)
  })

  test('tells a stranger what is here and what is not, and takes no block from it', async () => {
    const store = openMemoryBlobs()
    const bytes = contentOf('public', 100)
    const [here, gone] = [await store.put(once(bytes), 100), cidOf(RAW, contentOf('withheld', 100))]
    await using peer = await loopbackPeer({ blobs: store })
    await using stranger = await strangerTo(addressOf(peer))
    const want = (cid: Cid) => ({ cid: CID.parse(cid).bytes, kind: 'block', orMissing: true }) as const
    const given = { prefix: Uint8Array.of(1, RAW, 0x12, 32), bytes: contentOf('withheld', 100) }
    await stranger.say(encodeMessage({ ...NOTHING, wants: [want(here), want(gone)], blocks: [given] }))
    await comesTrue(async () => stranger.heard.length === 1)
    expect(stranger.heard[0]?.blocks.map((block) => equalBytes(block.bytes, bytes))).toEqual([true])
    expect(stranger.heard[0]?.presences.map(({ cid, here }) => [CID.decode(cid).toString(), here])).toEqual([
      [gone, false],
    ])
    expect(await store.has(gone)).toBe(false)
  })

  test('reads no more for a peer that has stopped reading than its connection holds, and serves others meanwhile', async () => {
    let loads = 0
    const store = openMemoryBlobs()
    const large = contentOf('large', MIB)
    const small = await Promise.all(
      [...Array(200).keys()].map((index) => store.put(once(contentOf(`small ${index}`, 9)), 9)),
    )
    const blobs = {
      has: store.has,
      async getBlock(cid: Cid, limitBytes: number) {
        if (small.includes(cid)) return store.getBlock(cid, limitBytes)
        loads++
        return large
      },
    }
    await using peer = await loopbackPeer({ blobs })
    await using stranger = await strangerTo(addressOf(peer), MIB / 2)
    const wants = [...Array(500).keys()].map((index) => cidOf(RAW, Uint8Array.of(index, index >> 8)))
    await stranger.say(
      encodeMessage({
        ...NOTHING,
        wants: wants.map((cid) => ({ cid: CID.parse(cid).bytes, kind: 'block', orMissing: true })),
      }),
    )
    await comesTrue(async () => loads > 0)
    await using other = await loopbackPeer({ peers: [addressOf(peer)] })
    for (const cid of small) expect((await other.want(cid))?.length).toBe(9)
    // What the system and the multiplexer buffer of a connection is a few blocks.
    expect(loads).toBeLessThan(20)
  })

  test('speaks Bitswap, and says who it is: it neither routes nor relays, nor looks for peers or for its own address', async () => {
    await using peer = await loopbackPeer()
    await using stranger = await strangerTo(addressOf(peer))
    await comesTrue(async () => (await stranger.protocols()).length > 0)
    expect((await stranger.protocols()).toSorted()).toEqual(['/ipfs/bitswap/1.2.0', '/ipfs/id/1.0.0'])
  })

  test.each<[string, Bytes]>([
    ['no message', Uint8Array.of(3, 255, 255, 255)],
    ['a message longer than a stranger has use for', Uint8Array.of(0x81, 0x80, 0x40)],
    ['a message that never ends', concat(Uint8Array.of(0xff, 0xff, 0x3f), new Uint8Array(MIB))],
    ['a length without end', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff)],
  ])('%s costs a stranger its stream, and nobody else anything', async (_name, frame) => {
    const store = openMemoryBlobs()
    const cid = await store.put(once(contentOf('public', 100)), 100)
    await using peer = await loopbackPeer({ blobs: store })
    await using stranger = await strangerTo(addressOf(peer))
    const stream = await stranger.say(frame)
    if (frame.length > 3) await stream.close().catch(() => undefined)
    await comesTrue(async () => stream.status !== 'open')
    await using other = await loopbackPeer({ peers: [addressOf(peer)] })
    expect((await other.want(cid))?.length).toBe(100)
  })

  test('one address has a share of the connections, and gets it back', async () => {
    await using peer = await loopbackPeer()
    await using strangers = new AsyncDisposableStack()
    for (let count = 0; count < 16; count++) strangers.use(await strangerTo(addressOf(peer)))
    await expect(strangerTo(addressOf(peer))).rejects.toThrow()
    await strangers.disposeAsync()
    let again: Stranger | undefined
    await comesTrue(async () => {
      again = await strangerTo(addressOf(peer)).catch(() => undefined)
      return again !== undefined
    })
    await again?.[Symbol.asyncDispose]()
  })
})
