import * as dagPb from '@ipld/dag-pb'
import { describe, expect, test } from '@jest/globals'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { collect, equalBytes, once } from '#protocol/bytes.ts'
import { cidOf, DAG_PB, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import { nodeOf } from '#protocol/file-tree.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BlobCorrupt, BlobMissing, type PartsStore } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { OpenUploads } from '#storage/blobs/open-uploads.ts'
import { blocksOf } from '#test/conformance/blobs.ts'
import { contentOf } from '#test/content.ts'
import { temporaryFolder } from '#test/folder.ts'
import { until } from '#test/loopback.ts'
import { bearer, codeIn, IDLE, serving as open, refused, slowPut } from './serving.ts'

const MIB = 2 ** 20
const GIB = 2 ** 30
const TYPE = { 'Content-Type': 'application/vnd.ipld.raw' }
const DAY = 86_400_000

/** A gateway, and a client that sends a block under the ticket of a seat. */
async function serving(given: Parameters<typeof open>[0] = {}, sizeBytes = 8 * MIB) {
  const server = await open(given)
  const shown = (seat = 0) => ({ ...TYPE, ...bearer(server.ticket({ sizeBytes, seat })) })
  const root = ({ cid, bytes }: Block, seat = 0) => server.put(cid, bytes, shown(seat))
  const part = ({ cid, bytes }: Block, of: Cid, seat = 0) => server.put(`${cid}?of=${of}`, bytes, shown(seat))
  return Object.assign(server, { shown, root, part })
}

async function file(seed: string, sizeBytes: number) {
  const bytes = contentOf(seed, sizeBytes)
  const blocks = await blocksOf(bytes)
  return { bytes, root: blocks.at(-1) as Block, leaves: blocks.slice(0, -1) }
}

async function missingIn(response: Response): Promise<readonly Cid[]> {
  expect([response.status, response.headers.get('content-type')]).toEqual([202, 'application/json'])
  return ((await response.json()) as { missing: readonly Cid[] }).missing
}

const cidsOf = (blocks: readonly Block[]) => blocks.map(({ cid }) => cid)
const whole = async (store: PartsStore, { root, bytes }: { readonly root: Block; readonly bytes: Bytes }) =>
  equalBytes(await collect(store.get(root.cid, { limitBytes: bytes.length }), bytes.length), bytes)
const raw = (bytes: Bytes): Block => ({ cid: cidOf(RAW, bytes), bytes })

/** 1,025 leaves, so that there are inner nodes; all but the last are the same one. */
function largeFile() {
  const [full, last] = [raw(new Uint8Array(MIB)), raw(new Uint8Array(1))]
  const nodes = [
    nodeOf(Array(1024).fill(full.cid), { height: 1, sizeBytes: GIB }),
    nodeOf([last.cid], { height: 1, sizeBytes: 1 }),
  ] as const
  return { full, last, nodes, root: nodeOf(cidsOf(nodes), { height: 2, sizeBytes: GIB + 1 }) }
}

/** A node that says whatever it is told to. */
function nodeSaying(links: readonly { cid: Cid; says: number }[], type: 'file' | 'directory' = 'file'): Block {
  const data = new UnixFS({ type })
  for (const { says } of links) data.addBlockSize(BigInt(says))
  const Links = links.map(({ cid, says }) => ({ Name: '', Tsize: says, Hash: CID.parse(cid) }))
  const bytes = dagPb.encode({ Data: data.marshal(), Links })
  return { cid: cidOf(DAG_PB, bytes), bytes }
}

describe('a file of several blocks', () => {
  test('goes up block by block: its root says what is missing, and it waits whole for whoever wants it', async () => {
    await using server = await serving()
    const given = await file('vector', 2 * MIB + 5)
    const { root, leaves } = given
    expect(await missingIn(await server.root(root))).toEqual(cidsOf(leaves))
    for (const [index, leaf] of leaves.entries()) {
      expect((await server.part(leaf, root.cid)).status).toBe(201)
      expect((await server.part(leaf, root.cid)).status).toBe(200)
      if (index < leaves.length - 1)
        expect(await missingIn(await server.root(root))).toEqual(cidsOf(leaves.slice(index + 1)))
    }
    const finished = await server.root(root)
    expect([finished.status, finished.headers.get('location')]).toEqual([201, `/ipfs/${root.cid}`])
    expect((await server.root(root)).status).toBe(200)
    expect(await whole(server.blobs, given)).toBe(true)
    // What a report names is finished; what none does goes when its time is over.
    const unwanted = await file('nobody’s', MIB + 5)
    await server.root(unwanted.root)
    for (const leaf of unwanted.leaves) await server.part(leaf, unwanted.root.cid)
    expect((await server.root(unwanted.root)).status).toBe(201)
    expect(await server.blobs.finish(root.cid)).toBe(true)
    await server.blobs.sweep(Number.MAX_SAFE_INTEGER)
    expect(await whole(server.blobs, given)).toBe(true)
    expect(await server.blobs.has(unwanted.root.cid)).toBe(false)
  })

  test('of more than 1,024 blocks goes up node by node, and a gateway that has begun again asks for what it lacks', async () => {
    const blobs = openMemoryBlobs()
    const { full, last, nodes, root } = largeFile()
    {
      await using server = await serving({ blobs }, 2 * GIB)
      expect(await missingIn(await server.root(root))).toEqual(cidsOf(nodes))
      expect(await refused(await server.part(full, root.cid))).toEqual([409, 'unknown-upload'])
      expect(await missingIn(await server.part(nodes[0], root.cid))).toEqual([full.cid])
      expect((await server.part(full, root.cid)).status).toBe(201)
      expect(await missingIn(await server.part(nodes[1], root.cid))).toEqual([last.cid])
    }
    await using server = await serving({ blobs }, 2 * GIB)
    expect(await refused(await server.part(last, root.cid))).toEqual([409, 'unknown-upload'])
    // The second node is there, but not what is under it.
    expect(await missingIn(await server.root(root))).toEqual([nodes[1].cid])
    expect((await server.part(nodes[0], root.cid)).status).toBe(200)
    expect(await missingIn(await server.part(nodes[1], root.cid))).toEqual([last.cid])
    expect((await server.part(last, root.cid)).status).toBe(201)
    expect((await server.root(root)).status).toBe(201)
    expect(await blobs.has(root.cid)).toBe(true)
  })

  test('is not sent again after the gateway began again on the same folder, be it another process', async () => {
    await using folder = await temporaryFolder()
    const given = await file('in two lives', 3 * MIB)
    const { root, leaves } = given
    const [first, second, third] = leaves as [Block, Block, Block]
    const openFolder = () => openFileBlobs({ folder: folder.path, quotaBytes: GIB, shared: true })
    await using blobs = await openFolder()
    await using other = await openFolder()
    await using server = await serving({ blobs })
    await using elsewhere = await serving({ blobs: other })
    await server.root(root)
    await server.part(second, root.cid)
    expect(await refused(await elsewhere.part(first, root.cid))).toEqual([409, 'unknown-upload'])
    expect(await missingIn(await elsewhere.root(root))).toEqual(cidsOf([first, third]))
    expect((await elsewhere.part(first, root.cid)).status).toBe(201)
    expect((await server.part(third, root.cid)).status).toBe(201)
    expect((await elsewhere.root(root)).status).toBe(201)
    expect(await whole(blobs, given)).toBe(true)
  })

  test('takes blocks that others brought as its own, and needs them no less when those go', async () => {
    await using server = await serving()
    const given = await file('shared', 2 * MIB + 1)
    const { root, leaves } = given
    const [first] = leaves as [Block]
    await server.blobs.put(once(first.bytes), MIB)
    expect(await missingIn(await server.root(root))).toEqual(cidsOf(leaves.slice(1)))
    await server.blobs.delete(first.cid)
    for (const leaf of leaves.slice(1)) await server.part(leaf, root.cid)
    expect(await missingIn(await server.root(root))).toEqual([first.cid])
    await server.part(first, root.cid)
    expect((await server.root(root)).status).toBe(201)
    expect(await whole(server.blobs, given)).toBe(true)
  })

  test('whose parts are here and belong to nobody any more is swept a day after its ticket ran out, not before', async () => {
    const clock = virtualClock(1_000_000)
    await using server = await serving({ clock })
    const { root, leaves } = await file('given up', 2 * MIB)
    await server.root(root)
    await server.part(leaves[0] as Block, root.cid)
    expect(await server.blobs.sweep(clock.now() + 60_000 + DAY - 1)).toBe(0)
    expect(await server.blobs.sweep(clock.now() + 60_000 + DAY)).toBe(MIB + root.bytes.length)
    await expect(server.blobs.getBlock(root.cid, MIB)).rejects.toThrow(BlobMissing)
  })

  test('under a commit-only ticket lies apart from what is public, all the way', async () => {
    await using server = await serving()
    const given = await file('masked', MIB + 9)
    const { root, leaves } = given
    const shown = { ...TYPE, ...bearer(server.ticket({ publish: 'commit-only' })) }
    await server.put(root.cid, root.bytes, shown)
    const [leaf, rest] = leaves as [Block, Block]
    expect((await server.put(`${leaf.cid}?of=${root.cid}`, leaf.bytes, shown)).status).toBe(201)
    for (const { cid } of [root, ...leaves]) {
      expect((await fetch(`${server.url}/ipfs/${cid}?format=raw`)).status).toBe(404)
      await expect(server.blobs.getBlock(cid, MIB)).rejects.toThrow(BlobMissing)
    }
    // Nobody else is told of what is there, nor may go on with it.
    expect(await refused(await server.part(rest, root.cid))).toEqual([409, 'unknown-upload'])
    expect(await missingIn(await server.root(root, 1))).toEqual(cidsOf(leaves))
    await server.put(`${rest.cid}?of=${root.cid}`, rest.bytes, shown)
    const finished = await server.put(root.cid, root.bytes, shown)
    expect([finished.status, finished.headers.get('location')]).toEqual([201, null])
    expect(await whole(server.withheld, given)).toBe(true)
    expect(await server.blobs.has(root.cid)).toBe(false)
  })
})

describe('an upload in parts is refused', () => {
  test('where the root says more than the ticket lets it, or is no file as the profile cuts it; and nothing is kept', async () => {
    await using server = await serving()
    const [first, second] = [raw(contentOf('a', MIB)), raw(contentOf('b', MIB))]
    const [small] = [raw(contentOf('c', 100))]
    const cases: readonly [Block, number, string][] = [
      [nodeOf(Array(9).fill(first.cid), { height: 1, sizeBytes: 9 * MIB }), 413, 'too-large'],
      [nodeSaying([{ cid: first.cid, says: 2 ** 50 }]), 413, 'too-large'],
      [nodeSaying([{ cid: first.cid, says: MIB }]), 400, 'not-uploadable'],
      [nodeSaying([{ cid: small.cid, says: 100 }]), 400, 'not-uploadable'],
      [nodeSaying([small, first].map(({ cid, bytes }) => ({ cid, says: bytes.length }))), 400, 'not-uploadable'],
      [nodeSaying(Array(600).fill({ cid: small.cid, says: 1 })), 400, 'not-uploadable'],
      [nodeSaying([], 'directory'), 400, 'not-uploadable'],
      [nodeSaying([]), 400, 'not-uploadable'],
      [{ cid: cidOf(DAG_PB, contentOf('junk', 500)), bytes: contentOf('junk', 500) }, 400, 'not-uploadable'],
      [{ cid: (await file('promised', 2 * MIB)).root.cid, bytes: second.bytes }, 422, 'wrong-content'],
    ]
    for (const [root, status, code] of cases) {
      expect(await refused(await server.root(root))).toEqual([status, code])
      await expect(server.blobs.getBlock(root.cid, MIB)).rejects.toThrow(BlobMissing)
    }
    // What was refused costs the seat nothing.
    for (const seed of ['one', 'two']) await missingIn(await server.root((await file(seed, 2 * MIB)).root))
  })

  test('where nobody named the part: no upload, another one, or one of another seat', async () => {
    await using server = await serving()
    const [given, other] = [await file('named', 2 * MIB), await file('other', 2 * MIB)]
    const [leaf] = given.leaves as [Block]
    const unknown = [409, 'unknown-upload']
    expect(await refused(await server.part(leaf, given.root.cid))).toEqual(unknown)
    await server.root(given.root)
    await server.root(other.root)
    expect(await refused(await server.part(leaf, other.root.cid))).toEqual(unknown)
    expect(await refused(await server.part(raw(contentOf('never named', 50)), given.root.cid))).toEqual(unknown)
    expect(await refused(await server.part(leaf, given.root.cid, 1))).toEqual(unknown)
    expect(await refused(await server.part(leaf, 'bafy' as Cid))).toEqual([400, 'bad-cid'])
    const bare = bearer(server.ticket({ sizeBytes: 8 * MIB }))
    expect(await refused(await server.put(`${leaf.cid}?of=${given.root.cid}`, leaf.bytes, bare))).toEqual([
      415,
      'not-a-block',
    ])
    expect((await server.put(`${leaf.cid}?of=${given.root.cid}`, leaf.bytes, TYPE)).status).toBe(401)
    await expect(server.blobs.getBlock(leaf.cid, MIB)).rejects.toThrow(BlobMissing)
  })

  test('where the part is not what its parent says: other bytes, or as many as it does not say', async () => {
    await using server = await serving()
    const small = raw(contentOf('small', 100))
    // The profile's shape, over a leaf that is smaller; also where all of it is here already.
    const twice = nodeOf([small.cid, small.cid], { height: 1, sizeBytes: MIB + 100 })
    await missingIn(await server.root(twice, 1))
    expect((await server.part(small, twice.cid, 1)).status).toBe(201)
    // One block cannot be of both sizes: read, it is found out, and no blob comes of it.
    await expect(whole(server.blobs, { root: twice, bytes: new Uint8Array(MIB + 100) })).rejects.toThrow(BlobCorrupt)
    await expect(server.blobs.finish(twice.cid)).rejects.toThrow(BlobCorrupt)
    await server.blobs.delete(twice.cid)
    const lie = nodeOf([small.cid, raw(contentOf('end', 7)).cid], { height: 1, sizeBytes: MIB + 7 })
    await missingIn(await server.root(lie))
    const name = `${small.cid}?of=${lie.cid}`
    const told = slowPut(server.port, name, { ...server.shown(), 'Content-Length': 100 })
    expect(await codeIn(await told.answer)).toEqual([422, 'wrong-content'])
    told.sent.destroy()
    const untold = slowPut(server.port, name, server.shown())
    untold.sent.end(small.bytes)
    expect(await codeIn(await untold.answer)).toEqual([422, 'wrong-content'])
    const given = await file('sound', 2 * MIB)
    await server.root(given.root)
    const [leaf, next] = given.leaves as [Block, Block]
    expect(await refused(await server.part({ ...leaf, bytes: next.bytes }, given.root.cid))).toEqual([
      422,
      'wrong-content',
    ])
    const endless = slowPut(server.port, `${leaf.cid}?of=${given.root.cid}`, server.shown())
    endless.sent.write(leaf.bytes)
    endless.sent.write(next.bytes)
    expect(await codeIn(await endless.answer)).toEqual([413, 'too-large'])
    endless.sent.destroy()
    for (const { cid } of [small, leaf, next])
      await expect(server.blobs.getBlock(cid, MIB)).rejects.toThrow(BlobMissing)
  })

  test('where an inner node is not the one that its file has', async () => {
    await using server = await serving({}, 2 * GIB)
    const { full, nodes } = largeFile()
    const uneven = nodeSaying(Array(1024).fill({ cid: full.cid, says: 1 }))
    const root = nodeOf([uneven.cid, nodes[1].cid], { height: 2, sizeBytes: GIB + 1 })
    expect(await missingIn(await server.root(root))).toEqual([uneven.cid, nodes[1].cid])
    expect(await refused(await server.part(uneven, root.cid))).toEqual([422, 'wrong-content'])
    await expect(server.blobs.getBlock(uneven.cid, MIB)).rejects.toThrow(BlobMissing)
  })

  test('where the seat has two on their way or here: a flood of roots fills no disk', async () => {
    await using server = await serving()
    const files = await Promise.all(['a', 'b', 'c'].map((seed) => file(seed, 2 * MIB)))
    const [first, second, third] = files.map(({ root }) => root) as [Block, Block, Block]
    for (const root of [first, second, first]) expect((await server.root(root)).status).toBe(202)
    expect(await refused(await server.root(third))).toEqual([403, 'spent-ticket'])
    await expect(server.blobs.getBlock(third.cid, MIB)).rejects.toThrow(BlobMissing)
    expect((await server.root(third, 1)).status).toBe(202)
    const small = contentOf('a single block', 10)
    expect(await refused(await server.put(cidOf(RAW, small), small, server.shown()))).toEqual([403, 'spent-ticket'])
  })

  test('where eight of its parts are being sent; and all of them may be the same one', async () => {
    await using server = await serving()
    const { root, leaves } = await file('eight', 2 * MIB)
    await server.root(root)
    const [leaf] = leaves as [Block]
    const name = `${leaf.cid}?of=${root.cid}`
    const open = () => {
      const put = slowPut(server.port, name, { ...server.shown(), 'Content-Length': MIB })
      put.sent.write(leaf.bytes.subarray(0, 1000))
      return put
    }
    const puts = Array.from({ length: 8 }, open)
    await until(() => server.clock.waiting() === 8)
    expect(await codeIn(await open().answer)).toEqual([429, 'busy-ticket'])
    for (const { sent } of puts) sent.end(leaf.bytes.subarray(1000))
    for (const { answer } of puts) expect((await answer).statusCode).toBe(201)
    expect((await server.part(leaf, root.cid)).status).toBe(200)
  })

  test('where the ticket runs out midway; what came before it stays, and the seat goes on with a new one', async () => {
    await using server = await serving()
    const given = await file('late', 2 * MIB)
    const { root, leaves } = given
    const [first, second] = leaves as [Block, Block]
    const short = bearer(server.ticket({ expiresAt: server.clock.now() + IDLE }))
    const put = (name: string, body: Bytes) => server.put(name, body, { ...TYPE, ...short })
    await put(root.cid, root.bytes)
    expect((await put(`${first.cid}?of=${root.cid}`, first.bytes)).status).toBe(201)
    const slow = slowPut(server.port, `${second.cid}?of=${root.cid}`, { ...TYPE, ...short, 'Content-Length': MIB })
    slow.sent.write(second.bytes.subarray(0, MIB / 2))
    await until(() => server.clock.waiting() === 1)
    await server.isHere(slow)
    await server.clock.advance(IDLE)
    slow.sent.end(second.bytes.subarray(MIB / 2))
    expect(await codeIn(await slow.answer)).toEqual([401, 'expired-ticket'])
    expect(await missingIn(await server.root(root))).toEqual([second.cid])
    expect((await server.part(second, root.cid)).status).toBe(201)
    expect((await server.root(root)).status).toBe(201)
  })

  test('where it stands still or breaks off: that part alone is lost, and its place is free', async () => {
    await using server = await serving({ limits: { uploads: { total: 1, each: 1 } } })
    const { root, leaves } = await file('loris', 2 * MIB)
    const [first, second] = leaves as [Block, Block]
    await server.root(root)
    expect((await server.part(first, root.cid)).status).toBe(201)
    const name = `${second.cid}?of=${root.cid}`
    const headers = { ...server.shown(), 'Content-Length': MIB }
    const slow = slowPut(server.port, name, headers)
    slow.sent.write(second.bytes.subarray(0, MIB - 1))
    await until(() => server.clock.waiting() === 1)
    await server.isHere(slow)
    const before = server.outcomes.length
    while (!server.hasAnswered(slow)) await server.clock.advance(IDLE)
    expect(await codeIn(await slow.answer)).toEqual([408, 'too-slow'])
    await until(() => server.outcomes.length > before)
    const broken = slowPut(server.port, name, headers)
    broken.sent.write(second.bytes.subarray(0, MIB - 1))
    await until(() => server.clock.waiting() === 1)
    broken.sent.destroy()
    await until(() => server.outcomes.at(-1) === 'broken-off')
    expect(await missingIn(await server.root(root))).toEqual([second.cid])
  })

  test('where there is no room, until there is', async () => {
    await using server = await serving({ blobs: openMemoryBlobs({ quotaBytes: MIB + 1000 }) })
    const { root, leaves } = await file('no room', 2 * MIB)
    await server.root(root)
    expect((await server.part(leaves[0] as Block, root.cid)).status).toBe(201)
    expect(await refused(await server.part(leaves[1] as Block, root.cid))).toEqual([507, 'storage-full'])
  })
})

describe('the uploads that a gateway knows of', () => {
  const parts = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ ...{ cid: `${index}` as Cid, height: 0, sizeBytes: MIB } }))

  test('take so much memory and no more: those used least recently are forgotten', () => {
    const uploads = new OpenUploads(10)
    for (const name of ['a', 'b', 'c']) uploads.add(name, parts(3))
    expect(uploads.find('a')?.parts.size).toBe(3)
    uploads.add('d', parts(4))
    expect(['a', 'b', 'c', 'd'].map((name) => uploads.find(name)?.parts.size)).toEqual([3, undefined, 3, 4])
    uploads.add('large', parts(11))
    expect(['a', 'c', 'd', 'large'].map((name) => uploads.find(name) !== undefined)).toEqual([
      false,
      false,
      false,
      true,
    ])
    uploads.close('large')
    uploads.add('e', parts(10))
    expect(uploads.find('e')?.parts.size).toBe(10)
  })
})
