import { describe, expect, test } from '@jest/globals'
import { collect, equalBytes, once, toHex } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, DAG_PB, digestOf, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing, BlobTooLarge, StorageFull } from '#protocol/ports.ts'
import { openKuboBlobs } from '#storage/blobs/kubo.ts'
import { KuboFault, openKuboRpc } from '#storage/blobs/kubo-rpc.ts'
import { blocksOf } from '#test/conformance/blobs.ts'
import { contentOf, inPieces } from '#test/content.ts'
import { type Fault, type KuboDouble, startKuboDouble } from '#test/kubo-double.ts'
import { loopback } from '#test/loopback.ts'

const MIB = BLOCK_BYTES_MAX

function openOn(
  double: KuboDouble,
  options: { quotaBytes?: number; attemptMillis?: number; space?: string; hidden?: string } = {},
) {
  const { attemptMillis = 20_000, ...rest } = options
  const rpc = openKuboRpc({ url: double.url, attemptMillis })
  return openKuboBlobs({ rpc, space: 'blobs', quotaBytes: 2 ** 30, ...rest })
}

const rooted = async (bytes: Bytes) => (await blocksOf(bytes)).at(-1)?.cid as Cid

describe('a Kubo daemon that fails', () => {
  test.each<[string, Fault]>([
    ['is away in the middle', 'cut'],
    ['answers what is no answer', 'garbage'],
    ['sends elsewhere', 'redirect'],
    ['answers compressed', 'packed'],
    ['answers without end', 'endless'],
    ['says that it could not', { says: 'context canceled' }],
  ])('one that %s is a fault of the world, at whichever call', async (_name, fault) => {
    await using double = await startKuboDouble()
    const blobs = openOn(double)
    const bytes = contentOf('faults', 2 * MIB + 5)
    const cid = await blobs.put(once(bytes), bytes.length)
    for (const path of ['block/put', 'block/get', 'block/stat', 'pin/ls', 'repo/stat']) {
      double.fault = (asked) => (asked === path ? fault : undefined)
      // A second later, for what is measured once a second.
      const blobs = openOn(double)
      const acts = {
        'block/put': () => blobs.put(once(contentOf('others', 9)), 9),
        'block/get': () => collect(blobs.get(cid, { limitBytes: MIB * 4 }), MIB * 4),
        'block/stat': () => blobs.has(cid),
        'pin/ls': () => blobs.has(cid),
        'repo/stat': () => blobs.put(once(contentOf('others', 9)), 9),
      }
      const outcome = await acts[path as keyof typeof acts]().catch((cause: unknown) => cause)
      // An endless block is told by its length alone: it is no block.
      const isOf = path === 'block/get' && fault === 'endless' ? BlobCorrupt : Error
      expect({ path, outcome }).toEqual({ path, outcome: expect.any(isOf) })
      expect(outcome).not.toBeInstanceOf(BlobMissing)
    }
    double.fault = () => undefined
    expect(await blobs.has(cid)).toBe(true)
  })

  test('one that is silent is given up after a while', async () => {
    await using double = await startKuboDouble()
    double.fault = () => 'silent'
    await expect(openOn(double, { attemptMillis: 50 }).getBlock(cidOf(RAW, contentOf('x', 1)), MIB)).rejects.toThrow(
      'no answer within 50 ms',
    )
  })

  test('one that is away altogether is a fault, not an empty store', async () => {
    const double = await startKuboDouble()
    await double[Symbol.asyncDispose]()
    const blobs = openOn(double)
    await expect(blobs.has(cidOf(RAW, contentOf('x', 1)))).rejects.toThrow(KuboFault)
  })

  test('an endless answer is let go near its bound, and costs no memory', async () => {
    await using double = await startKuboDouble()
    const blobs = openOn(double)
    double.fault = () => 'endless'
    const before = process.memoryUsage.rss()
    for (let time = 0; time < 4; time++) await expect(blobs.sweep(0)).rejects.toThrow('a line of more than')
    await expect(blobs.getBlock(cidOf(RAW, contentOf('x', 1)), 10)).rejects.toThrow(BlobTooLarge)
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * MIB)
  })

  test('wrong bytes of a block never come out', async () => {
    await using double = await startKuboDouble()
    const blobs = openOn(double)
    const cid = await blobs.put(once(contentOf('right', 900)), 900)
    double.fault = (path) => (path === 'block/get' ? { bytes: contentOf('wrong', 900) } : undefined)
    await expect(blobs.getBlock(cid, MIB)).rejects.toThrow(BlobCorrupt)
  })

  test('a block that is kept under another name is not taken for kept', async () => {
    await using double = await startKuboDouble()
    const other = cidOf(RAW, contentOf('other', 5))
    double.fault = (path, query) =>
      path === 'block/put' && query.get('pin') !== 'true'
        ? { bytes: new TextEncoder().encode(JSON.stringify({ Key: other, Size: 5 })) }
        : undefined
    await expect(openOn(double).put(once(contentOf('this', 5)), 5)).rejects.toThrow('the daemon kept')
    double.fault = () => undefined
    expect(double.pins.size).toBe(0)
  })

  test('its full disk and our quota are a full store, and there is room again afterwards', async () => {
    await using double = await startKuboDouble()
    double.roomBytes = MIB
    const bytes = contentOf('large', 2 * MIB)
    await expect(openOn(double).put(once(bytes), bytes.length)).rejects.toThrow(StorageFull)
    expect([double.blocks.size, double.pins.size]).toEqual([0, 0])
    double.roomBytes = Number.POSITIVE_INFINITY
    await expect(openOn(double, { quotaBytes: MIB }).put(once(bytes), bytes.length)).rejects.toThrow(StorageFull)
    expect([double.blocks.size, double.pins.size]).toEqual([0, 0])
    await openOn(double).put(once(bytes), bytes.length)
  })
})

describe('blobs among others in a daemon', () => {
  test('the daemon is never asked for what it would have to look for on a network', async () => {
    await using double = await startKuboDouble()
    const blobs = openOn(double)
    const missing = cidOf(DAG_PB, contentOf('nowhere', 10))
    await expect(blobs.getBlock(missing, MIB)).rejects.toThrow(BlobMissing)
    expect(await blobs.has(missing)).toBe(false)
    expect(await blobs.finish(missing)).toBe(false)
    await blobs.delete(missing)
    // The double refuses to look; Kubo's `pin/add` looks whatever it is told.
    expect(double.calls.filter((call) => /^(block\/(get|stat)(?!.*offline=true)|pin\/add|cat|dag)/.test(call))).toEqual(
      [],
    )
  })

  test('a collector that runs between any two calls takes nothing of a blob that was put', async () => {
    await using double = await startKuboDouble()
    double.fault = () => {
      double.collect()
      return undefined
    }
    const blobs = openOn(double)
    const bytes = contentOf('collected', 3 * MIB + 5)
    const cid = await blobs.put(inPieces(bytes, 100_000), bytes.length)
    expect(await blobs.has(cid)).toBe(true)
    const other = contentOf('in parts', 2 * MIB + 5)
    const root = await rooted(other)
    for (const block of await blocksOf(other)) await blobs.putParts(root, [block], 10)
    expect(await blobs.finish(root)).toBe(true)
    for (const block of await blocksOf(contentOf('small', 700))) await blobs.putBlocks([block])
    double.collect()
    for (const kept of [cid, root, cidOf(RAW, contentOf('small', 700))]) expect(await blobs.has(kept)).toBe(true)
    await blobs.delete(cid)
    expect(await blobs.has(root)).toBe(true)
  })

  test('somebody else’s pins are neither needed nor touched', async () => {
    await using double = await startKuboDouble()
    const blobs = openOn(double)
    const bytes = contentOf('also theirs', 2 * MIB + 5)
    const cid = await blobs.put(once(bytes), bytes.length)
    double.pins.set(cid, 'recursive')
    await blobs.delete(cid)
    expect(await blobs.has(cid)).toBe(false)
    expect(double.pins.get(cid)).toBe('recursive')
    expect(double.blocks.size).toBe((await blocksOf(bytes)).length)
    await blobs.put(once(bytes), bytes.length)
    double.pins.delete(cid)
    double.collect()
    expect(await blobs.has(cid)).toBe(true)
  })

  test('what is only in the daemon’s cache is not here: nobody may count on it', async () => {
    await using double = await startKuboDouble()
    const bytes = contentOf('cached', 2 * MIB + 5)
    const blocks = await blocksOf(bytes)
    for (const { cid, bytes: block } of blocks) double.blocks.set(toHex(digestOf(cid)), block)
    const blobs = openOn(double)
    for (const { cid } of blocks) expect(await blobs.has(cid)).toBe(false)
  })

  test('a file’s node that somebody sends as a leaf of his own stays when that goes', async () => {
    await using double = await startKuboDouble()
    const blobs = openOn(double)
    const bytes = contentOf('the file', 2 * MIB + 5)
    const cid = await blobs.put(once(bytes), bytes.length)
    const node = await blobs.getBlock(cid, MIB)
    const leaf = { cid: cidOf(RAW, node), bytes: node }
    await blobs.putParts(cidOf(RAW, contentOf('some blob', 3)), [leaf], 10)
    expect(await blobs.sweep(10)).toBe(0)
    await blobs.putBlocks([leaf])
    await blobs.delete(leaf.cid)
    expect(await blobs.has(cid)).toBe(true)
    await blobs.putBlocks([leaf])
    await blobs.delete(cid)
    expect(await blobs.has(leaf.cid)).toBe(true)
  })

  test('so does a node of what only somebody else has pinned', async () => {
    await using double = await startKuboDouble()
    const blocks = await blocksOf(contentOf('their file', 2 * MIB + 5))
    for (const { cid, bytes } of blocks) double.blocks.set(toHex(digestOf(cid)), bytes)
    const root = blocks.at(-1) as Block
    double.pins.set(root.cid, 'recursive')
    const blobs = openOn(double)
    const leaf = { cid: cidOf(RAW, root.bytes), bytes: root.bytes }
    await blobs.putParts(cidOf(RAW, contentOf('some blob', 3)), [leaf], 10)
    expect(await blobs.sweep(10)).toBe(0)
    expect(double.blocks.has(toHex(digestOf(root.cid)))).toBe(true)
  })

  test('what a store keeps for a while is hidden from the other one as well, by whatever name it is asked for', async () => {
    await using double = await startKuboDouble()
    const vault = openOn(double, { space: 'vault' })
    const [lent, put] = ['lent', 'put'].map((name) => {
      const bytes = contentOf(name, 500)
      return { cid: cidOf(DAG_CBOR, bytes), bytes }
    }) as [Block, Block]
    await vault.putParts(lent.cid, [lent], 1000)
    await vault.putBlocks([put])
    const withheld = openOn(double, { space: 'withheld', hidden: 'vault' })
    for (const { cid, bytes } of [lent, put])
      for (const name of [cid, cidOf(RAW, bytes)])
        await expect(withheld.getBlock(name, MIB)).rejects.toThrow(BlobMissing)
    expect(equalBytes(await vault.getBlock(lent.cid, MIB), lent.bytes)).toBe(true)
  })

  test('two stores of one daemon delete nothing of each other, and one may hide its blocks from the other', async () => {
    await using double = await startKuboDouble()
    const [withheld, vault] = [
      openOn(double, { space: 'withheld', hidden: 'vault' }),
      openOn(double, { space: 'vault' }),
    ]
    const bytes = contentOf('of both', 500)
    const cid = cidOf(RAW, bytes)
    await withheld.putBlocks([{ cid, bytes }])
    expect(await vault.has(cid)).toBe(false)
    await vault.putBlocks([{ cid, bytes }])
    await withheld.delete(cid)
    expect(await vault.has(cid)).toBe(true)
    expect(await vault.getBlock(cid, MIB)).toEqual(bytes)
    await expect(withheld.getBlock(cid, MIB)).rejects.toThrow(BlobMissing)
  })

  test('several processes see each other’s blobs and parts, and what one left is swept by another', async () => {
    await using double = await startKuboDouble()
    const [one, other] = [openOn(double), openOn(double)]
    const bytes = contentOf('of several', 2 * MIB + 5)
    const blocks = await blocksOf(bytes)
    const root = await rooted(bytes)
    await one.putParts(root, blocks, 10)
    expect(await other.has(root)).toBe(true)
    expect(await other.finish(root)).toBe(true)
    expect(await one.has(root)).toBe(true)
    const left = contentOf('left', 300)
    await one.putParts(root, [{ cid: cidOf(RAW, left), bytes: left }], 10)
    expect(await openOn(double).sweep(10)).toBe(300)
  })
})

describe('the address of a daemon', () => {
  test('is loopback or https, and holds no password', () => {
    for (const url of ['http://10.0.0.7:5001', 'http://kubo.example:5001', 'ftp://127.0.0.1'])
      expect(() => openKuboRpc({ url })).toThrow('refusing')
    expect(() => openKuboRpc({ url: 'http://user:secret@127.0.0.1:5001' })).toThrow('holds a password')
    for (const url of [
      'https://kubo.example:5001',
      'http://127.0.0.1:5001/',
      'http://[::1]:5001',
      'http://localhost:5001',
    ])
      expect(() => openKuboRpc({ url })).not.toThrow()
  })

  test('its key goes with every call, and nothing goes on without it', async () => {
    await using double = await startKuboDouble()
    double.authorization = 'Bearer sesame'
    const cid = cidOf(RAW, contentOf('x', 1))
    await expect(openOn(double).has(cid)).rejects.toThrow(KuboFault)
    const rpc = openKuboRpc({ url: double.url, authorization: 'Bearer sesame' })
    const blobs = openKuboBlobs({ rpc, space: 'blobs', quotaBytes: 2 ** 30 })
    expect(await blobs.put(once(contentOf('x', 1)), 1)).toBe(cid)
  })

  test('a key is not sent on where an answer points', async () => {
    const seen: string[] = []
    await using elsewhere = await loopback((request, response) => {
      seen.push(request.url ?? '')
      response.end('{}')
    })
    await using server = await loopback((_request, response) => {
      response.writeHead(307, { Location: `${elsewhere.url}/api/v0/block/stat` }).end()
    })
    const rpc = openKuboRpc({ url: server.url, authorization: 'Bearer sesame' })
    await expect(rpc.sizeOf(cidOf(RAW, contentOf('x', 1)))).rejects.toThrow('redirect')
    expect(seen).toEqual([])
  })
})
