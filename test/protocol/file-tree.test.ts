import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { importByteStream } from 'ipfs-unixfs-importer'
import type { CID } from 'multiformats/cid'
import { collect, equalBytes, once } from '#protocol/bytes.ts'
import { cidOf, codecOf, DAG_PB, RAW, textOf } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import { type Extent, extentOf, filePartsOf, nodeOf } from '#protocol/file-tree.ts'
import { holdFile } from '#protocol/held-file.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BlobMissing } from '#protocol/ports.ts'
import { importFile, readFile } from '#protocol/unixfs.ts'
import { contentOf } from '#test/content.ts'

const MIB = 2 ** 20
const GIB = 2 ** 30

async function* zeros(sizeBytes: number): AsyncIterable<Bytes> {
  const leaf = new Uint8Array(MIB)
  for (let left = sizeBytes; left > 0; left -= MIB) yield leaf.subarray(0, left)
}

/** The nodes that another implementation makes of a file, the root last. Its leaves are nothing but zeros, so that a large one costs little. */
async function nodesOfZeros(sizeBytes: number): Promise<readonly Block[]> {
  const nodes: Block[] = []
  const keep = async (cid: CID, bytes: unknown) => {
    if (cid.code === DAG_PB) nodes.push({ cid: textOf(cid), bytes: Uint8Array.from(bytes as Bytes) })
    return cid
  }
  await importByteStream(zeros(sizeBytes), { put: keep }, { profile: 'unixfs-v1-2025' })
  return nodes
}

describe('the shape of a file', () => {
  test('is what the importer makes of it, also above 1,024 leaves', async () => {
    for (const sizeBytes of [MIB + 1, 2 * MIB, GIB + 1]) {
      const nodes = await nodesOfZeros(sizeBytes)
      const ours: Cid[] = []
      await importFile(zeros(sizeBytes), async ({ cid }) => void (codecOf(cid) === DAG_PB && ours.push(cid)))
      expect(ours).toEqual(nodes.map(({ cid }) => cid))
      let seen = 0
      const follow = (cid: Cid, extent: Extent) => {
        const block = nodes.find((node) => node.cid === cid) as Block
        const parts = filePartsOf(block, extent)
        if (!parts.ok) throw new Error(parts.detail)
        expect(parts.value.reduce((sum, part) => sum + part.sizeBytes, 0)).toBe(extent.sizeBytes)
        const cids = parts.value.map((part) => part.cid)
        expect(equalBytes(nodeOf(cids, extent).bytes, block.bytes)).toBe(true)
        seen++
        for (const part of parts.value) if (part.height > 0) follow(part.cid, part)
      }
      follow(nodes.at(-1)?.cid as Cid, extentOf(sizeBytes))
      expect(seen).toBe(nodes.length)
    }
  })

  test('of a node that is any other is refused, whatever bit of it differs', async () => {
    const extent = extentOf(3 * MIB + 5)
    const [root] = (await nodesOfZeros(3 * MIB + 5)) as [Block]
    const differs = fc.record({ at: fc.nat({ max: root.bytes.length - 1 }), bit: fc.nat({ max: 7 }) })
    fc.assert(
      fc.property(differs, ({ at, bit }) => {
        const bytes = root.bytes.slice()
        bytes[at] = (bytes[at] as number) ^ (1 << bit)
        const parts = filePartsOf({ cid: cidOf(DAG_PB, bytes), bytes }, extent)
        // What remains is a node over other leaves: its shape is the same.
        if (parts.ok) {
          const cids = parts.value.map(({ cid }) => cid)
          expect(equalBytes(nodeOf(cids, extent).bytes, bytes)).toBe(true)
        }
      }),
      { numRuns: 300 },
    )
    for (const other of [
      { ...extent, sizeBytes: extent.sizeBytes + 1 },
      { ...extent, sizeBytes: extent.sizeBytes - MIB },
      { height: 2, sizeBytes: extent.sizeBytes },
      { height: 0, sizeBytes: root.bytes.length },
    ])
      expect(filePartsOf(root, other).ok).toBe(false)
  })

  test('of a leaf is its size', () => {
    const leaf = { cid: cidOf(RAW, contentOf('leaf', 100)), bytes: contentOf('leaf', 100) }
    expect(filePartsOf(leaf, { height: 0, sizeBytes: 100 })).toEqual({ ok: true, value: [] })
    expect(filePartsOf(leaf, { height: 0, sizeBytes: 101 }).ok).toBe(false)
    expect(filePartsOf(leaf, { height: 1, sizeBytes: 100 }).ok).toBe(false)
  })
})

describe('a file that is held', () => {
  test.each([0, 1, MIB, MIB + 1, 3 * MIB + 9])('of %i bytes has the name and the blocks of any other', async (size) => {
    const bytes = contentOf('held', size)
    const held = holdFile(bytes)
    const blocks: Block[] = []
    expect(held.cid).toBe(await importFile(once(bytes), async (block) => void blocks.push(block)))
    for (const { cid, bytes: block } of blocks) expect(equalBytes(await held.getBlock(cid, MIB), block)).toBe(true)
    const whole = await collect(readFile(held.cid, 0, size, held.getBlock), size)
    expect(equalBytes(whole, bytes)).toBe(true)
    await expect(held.getBlock(cidOf(RAW, contentOf('other', 5)), MIB)).rejects.toThrow(BlobMissing)
  })

  test('has its bytes but once', async () => {
    const bytes: Bytes = contentOf('once', 2 * MIB + 1)
    const held = holdFile(bytes)
    const leaf = await held.getBlock(cidOf(RAW, bytes.subarray(MIB, 2 * MIB)), MIB)
    expect(leaf.buffer).toBe(bytes.buffer)
  })
})
