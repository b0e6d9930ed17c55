import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { sha256 } from '#crypto'
import { concat } from '#protocol/bytes.ts'
import { type BlockCodec, cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, type BlobStore } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { type AnsweringOptions, openAnswering } from '#storage/blobs/bitswap/answering.ts'
import { openAsking, PeersSilent } from '#storage/blobs/bitswap/asking.ts'
import { decodeMessage, encodeMessage, type Message, NOTHING, type Want } from '#storage/blobs/bitswap/message.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { contentOf } from '#test/content.ts'
import { until } from '#test/loopback.ts'

const MIB = BLOCK_BYTES_MAX

describe('a Bitswap message', () => {
  const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
  const message: fc.Arbitrary<Message> = fc.record({
    wants: fc.array(
      fc.record({
        cid: bytes(100),
        kind: fc.constantFrom('block' as const, 'have' as const, 'cancel' as const),
        orMissing: fc.boolean(),
      }),
    ),
    full: fc.boolean(),
    blocks: fc.array(fc.record({ prefix: bytes(10), bytes: bytes(300) })),
    presences: fc.array(fc.record({ cid: bytes(100), here: fc.boolean() })),
  })

  test('comes out as it went in', () => {
    fc.assert(
      fc.property(message, (given) => {
        const read = decodeMessage(bodyOf(encodeMessage(given)))
        expect(read.ok && inHex(read.value)).toBe(inHex(given))
      }),
    )
  })

  test('that is damaged or cut is refused or read as another, and nothing else happens', () => {
    fc.assert(fc.property(bytes(200), (given) => void decodeMessage(given)))
    fc.assert(
      fc.property(message, fc.nat(), fc.nat({ max: 255 }), (given, at, byte) => {
        const body = bodyOf(encodeMessage(given)).slice()
        if (body.length > 0) body[at % body.length] = byte
        decodeMessage(body)
        decodeMessage(body.subarray(0, at % (body.length + 1)))
      }),
    )
  })

  const many = (field: Bytes) => concat(...new Array<Bytes>(20_000).fill(field))
  const wants = (...cids: readonly Bytes[]) =>
    bodyOf(encodeMessage({ ...NOTHING, wants: cids.map((cid) => ({ cid, kind: 'block', orMissing: true })) }))
  test.each<[string, Bytes]>([
    ['more wants than anybody has', many(wants(Uint8Array.of(1)))],
    ['more wants than anybody has in one list', wants(...new Array<Bytes>(20_000).fill(Uint8Array.of(1)))],
    ['empty blocks without end', many(Uint8Array.of(0x1a, 0))],
    ['presences without end', many(Uint8Array.of(0x22, 0))],
    ['a CID of any length', wants(new Uint8Array(500))],
  ])('with %s is refused', (_name, body) => {
    expect(decodeMessage(body)).toMatchObject({ ok: false, refusal: 'bad-message' })
  })
})

describe('answering', () => {
  test('each want gets the block, that it is here, or, where that was asked, that it is not', async () => {
    const store = openMemoryBlobs()
    const [leaf, manifest] = [await put(store, 'a leaf', RAW), await put(store, 'a manifest', DAG_CBOR)]
    const [gone, never] = ['gone', 'never'].map((seed) => cidOf(RAW, contentOf(seed, 100))) as [Cid, Cid]
    const foreign = CID.parse('QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG')
    const peer = answered(store)
    await peer.answering.receive({
      full: false,
      wants: [
        want(gone, 'block', true),
        want(leaf, 'have'),
        want(never, 'block'),
        want(manifest, 'block'),
        { cid: foreign.bytes, kind: 'block', orMissing: true },
        // Wanted twice, said once; and who wants the block is not told that it is here.
        ...[want(leaf, 'have'), want(manifest, 'have')],
      ],
    })
    await until(() => peer.said.length === 1)
    const [message] = peer.said as [Message]
    expect(message.blocks.map(({ prefix, bytes }) => CID.decode(concat(prefix, sha256(bytes))).toString())).toEqual([
      manifest,
    ])
    expect(message.presences.map(({ cid, here }) => [CID.decode(cid).toString(), here])).toEqual([
      [gone, false],
      [leaf, true],
      [foreign.toString(), false],
    ])
  })

  test('what is cancelled, or not in a full list of wants, is not sent', async () => {
    const store = openMemoryBlobs()
    const cids = await Promise.all(['one', 'two', 'three', 'four'].map((seed) => put(store, seed, RAW)))
    const [one, two, three, four] = cids as [Cid, Cid, Cid, Cid]
    const peer = answered(store)
    void peer.answering.receive({ full: false, wants: [want(one, 'block'), want(two, 'block'), want(three, 'block')] })
    await peer.answering.receive({ full: false, wants: [want(two, 'cancel')] })
    await until(() => peer.said.length === 1)
    expect(peer.said[0]?.blocks.length).toBe(2)
    void peer.answering.receive({ full: false, wants: [want(one, 'block'), want(two, 'block')] })
    await peer.answering.receive({ full: true, wants: [want(four, 'block')] })
    await until(() => peer.said.length === 2)
    expect(peer.said[1]?.blocks.map(({ bytes }) => cidOf(RAW, bytes))).toEqual([one, four])
  })

  test('a hundred thousand wants cost one block of memory at a time, and are read no faster than they are served', async () => {
    const large = contentOf('large', MIB)
    let loads = 0
    let [read, unread]: [number, (() => void)[]] = [0, []]
    const sizes: number[] = []
    const answering = openAnswering({
      blobs: {
        has: async () => true,
        async getBlock() {
          loads++
          return large
        },
      },
      async send(message) {
        sizes.push(encodeMessage(message).length)
        await new Promise<void>((resolve) => unread.push(resolve))
      },
      report: fail,
    })
    const flood = async () => {
      for (; read < 100_000; read++)
        await answering.receive({ full: false, wants: [want(cidOf(RAW, Uint8Array.of(read, read >> 8)), 'block')] })
    }
    void flood()
    for (let served = 1; served <= 5; served++) {
      await until(() => unread.length === 1 && read >= 1023 + served)
      expect({ loads, read }).toEqual({ loads: served, read: 1023 + served + 1 })
      unread.pop()?.()
    }
    expect(Math.max(...sizes)).toBeLessThan(MIB + 100)
    answering[Symbol.dispose]()
  })

  test('a damaged block is not here; a store that cannot answer is reported, and the peer is served on', async () => {
    const store = openMemoryBlobs()
    const [bad, good] = [await put(store, 'bad', RAW), await put(store, 'good', RAW)]
    for (const fault of [new BlobCorrupt('damaged'), new Error('the disk is gone')]) {
      const reported: unknown[] = []
      const blobs: AnsweringOptions['blobs'] = {
        has: (cid) => store.has(cid),
        async getBlock(cid, limitBytes) {
          if (cid === bad) throw fault
          return store.getBlock(cid, limitBytes)
        },
      }
      const peer = answered(blobs, (cause) => reported.push(cause))
      await peer.answering.receive({ full: false, wants: [want(bad, 'block', true), want(good, 'block', true)] })
      await until(() => peer.said.length === 1)
      expect(peer.said[0]).toMatchObject({ presences: [{ here: false }], blocks: [{ prefix: expect.anything() }] })
      expect(reported).toEqual(fault instanceof BlobCorrupt ? [] : [fault])
    }
  })

  test('a peer that is gone takes its wants with it, and may come again', async () => {
    const store = openMemoryBlobs()
    const cid = await put(store, 'a block', RAW)
    let gone = true
    const said: Message[] = []
    const answering = openAnswering({
      blobs: store,
      async send(message) {
        if (gone) throw new Error('the stream is reset')
        said.push(message)
      },
      report: fail,
    })
    await answering.receive({ full: false, wants: [want(cid, 'block')] })
    await new Promise((resolve) => setImmediate(resolve))
    gone = false
    await answering.receive({ full: false, wants: [want(cid, 'block')] })
    await until(() => said.length === 1)
  })
})

describe('asking', () => {
  const block = contentOf('a block', 100)
  const cid = cidOf(RAW, block)
  const sent = { blocks: [{ prefix: Uint8Array.of(1, RAW, 0x12, 32), bytes: block }], presences: [] }
  const missing = { blocks: [], presences: [{ cid: CID.parse(cid).bytes, here: false }] }

  test('one peer after another is asked, each once, until somebody has it', async () => {
    const { asking, asked } = threePeers()
    const wanted = asking.want(cid)
    await until(() => asked.length === 1)
    asking.receive('1', missing)
    await until(() => asked.length === 2)
    asking.receive('2', sent)
    expect(await wanted).toEqual(block)
    expect(asked).toEqual(['1 block', '2 block'])
  })

  test('what all of them have not got is missing at once; when one of them is silent it is not said to be missing', async () => {
    const { asking, asked, clock } = threePeers()
    const wanted = asking.want(cid)
    for (const peer of ['1', '2', '3']) {
      await until(() => asked.at(-1)?.startsWith(peer) === true)
      asking.receive(peer, missing)
    }
    expect(await wanted).toBeUndefined()
    const again = asking.want(cid)
    again.catch(() => undefined)
    await until(() => asked.length === 4)
    asking.receive('2', missing)
    await until(() => asked.length === 5)
    await clock.advance(999)
    expect(asked.length).toBe(5)
    await clock.advance(1)
    await until(() => asked.length === 7)
    expect(asked.slice(3)).toEqual(['2 block', '3 block', '3 cancel', '1 block'])
    asking.left('1')
    await expect(again).rejects.toThrow(PeersSilent)
    expect(clock.waiting()).toBe(0)
  })

  test('other bytes than those asked for are dropped, and what nobody asked for is not even looked at', async () => {
    const { asking, asked } = threePeers()
    asking.receive('1', sent)
    const wanted = asking.want(cid)
    await until(() => asked.length === 1)
    const wrong = { prefix: Uint8Array.of(1, RAW, 0x12, 32), bytes: contentOf('another block', 100) }
    asking.receive('1', { blocks: [wrong, { ...wrong, prefix: Uint8Array.of(1, RAW, 0x16, 32) }], presences: [] })
    asking.receive('2', missing)
    asking.receive('1', sent)
    expect(await wanted).toEqual(block)
    expect(asked).toEqual(['1 block'])
  })

  test('what has come is wanted no more, which the peer hears with the next want: it may be asked for again', async () => {
    const { asking, asked } = threePeers(['1'])
    // In a message before it: Kubo would take the two together for a cancel.
    for (const heard of [['1 block'], ['1 cancel', '1 block'], ['1 cancel', '1 block']]) {
      const wanted = asking.want(cid)
      await until(() => asked.length === heard.length)
      expect(asked.splice(0)).toEqual(heard)
      asking.receive('1', sent)
      expect(await wanted).toEqual(block)
    }
  })

  test('whoever gives up withdraws the question, but for others here that still wait', async () => {
    const { asking, asked } = threePeers(['1'])
    const [first, second] = [new AbortController(), new AbortController()]
    const [one, other] = [asking.want(cid, first.signal), asking.want(cid, second.signal)]
    await until(() => asked.length === 2)
    first.abort(new Error('enough'))
    await expect(one).rejects.toThrow('enough')
    second.abort(new Error('enough, too'))
    await expect(other).rejects.toThrow('enough, too')
    await until(() => asked.length === 3)
    expect(asked).toEqual(['1 block', '1 block', '1 cancel'])
    await expect(asking.want(cid, first.signal)).rejects.toThrow('enough')
  })

  function threePeers(ids: readonly string[] = ['1', '2', '3']) {
    const clock = virtualClock(0)
    const asking = openAsking({ clock, answerMillis: 1000 })
    const asked: string[] = []
    for (const id of ids)
      asking.joined(id, async ({ wants }) => void asked.push(...wants.map(({ kind }) => `${id} ${kind}`)))
    return { asking, asked, clock }
  }
})

function answered(blobs: AnsweringOptions['blobs'], report: AnsweringOptions['report'] = fail) {
  const said: Message[] = []
  return { said, answering: openAnswering({ blobs, report, send: async (message) => void said.push(message) }) }
}

function want(cid: Cid, kind: Want['kind'], orMissing = false): Want {
  return { cid: CID.parse(cid).bytes, kind, orMissing }
}

async function put(store: BlobStore, seed: string, codec: BlockCodec): Promise<Cid> {
  const bytes = contentOf(seed, 100)
  const cid = cidOf(codec, bytes)
  await store.putBlocks([{ cid, bytes }])
  return cid
}

function fail(cause: unknown): void {
  throw cause
}

/** Without the length before it. */
function bodyOf(framed: Bytes): Bytes {
  return framed.subarray(framed.findIndex((byte) => byte < 0x80) + 1)
}

/** Typed arrays of any realm as what they hold. */
function inHex(value: unknown): string {
  return JSON.stringify(value, (_key, part) =>
    ArrayBuffer.isView(part) ? Buffer.from(part as Bytes).toString('hex') : part,
  )
}
