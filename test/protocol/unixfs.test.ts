import * as dagPb from '@ipld/dag-pb'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { importByteStream } from 'ipfs-unixfs-importer'
import { CID } from 'multiformats/cid'
import { collect, once, toHex } from '#protocol/bytes.ts'
import { cidOf, codecOf, DAG_CBOR, DAG_PB, RAW } from '#protocol/cid.ts'
import { type Part, partsOf } from '#protocol/file-node.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, UNIXFS_DEPTH_MAX, UNIXFS_WIDTH } from '#protocol/limits.ts'
import { fileSizeOf, importFile, NotAFile, readFile } from '#protocol/unixfs.ts'
import { sameBytes } from '#test/content.ts'

/** Blocks by CID, and how often each was read. */
function store() {
  const blocks = new Map<Cid, Bytes>()
  const reads: Cid[] = []
  return {
    blocks,
    reads,
    add: (bytes: Bytes): Promise<Cid> =>
      importFile(once(bytes), async (block) => void blocks.set(block.cid, block.bytes)),
    raw: (bytes: Bytes): Part => ({ cid: keep(RAW, bytes), sizeBytes: bytes.length }),
    tree: (
      parts: readonly Part[],
      more: Partial<{ type: 'file' | 'directory' | 'raw'; data: Bytes; sizes: readonly bigint[] }> = {},
    ): Part => {
      const file = new UnixFS({ type: more.type ?? 'file', ...(more.data ? { data: more.data } : {}) })
      for (const size of more.sizes ?? parts.map(({ sizeBytes }) => BigInt(sizeBytes))) file.addBlockSize(size)
      const links = parts.map(({ cid, sizeBytes }) => ({ Name: '', Tsize: sizeBytes, Hash: CID.parse(cid) }))
      const bytes = dagPb.encode({ Data: file.marshal(), Links: links })
      return { cid: keep(DAG_PB, bytes), sizeBytes: parts.reduce((sum, part) => sum + part.sizeBytes, 0) }
    },
    get: async (cid: Cid): Promise<Bytes> => {
      reads.push(cid)
      const bytes = blocks.get(cid)
      if (!bytes) throw new Error(`${cid} is not here`)
      return bytes
    },
  }
  function keep(codec: typeof RAW | typeof DAG_PB | typeof DAG_CBOR, bytes: Bytes): Cid {
    const cid = cidOf(codec, bytes)
    blocks.set(cid, bytes)
    return cid
  }
}

const read = (s: ReturnType<typeof store>, cid: Cid, offset = 0, length = Number.MAX_SAFE_INTEGER): Promise<Bytes> =>
  collect(readFile(cid, offset, length, s.get), 2 ** 26)

/** Numbered bytes, so that a piece out of place shows. */
function numbered(length: number): Bytes {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at++) bytes[at] = at * 31 + (at >> 8) * 7 + (at >> 16)
  return bytes
}

describe('a file', () => {
  test('has the CID that other IPFS implementations give it', async () => {
    const s = store()
    expect(await s.add(new Uint8Array(0))).toBe('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')
    expect(await s.add(new TextEncoder().encode('hello world'))).toBe(
      'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e',
    )
  })

  test.each([0, 1, BLOCK_BYTES_MAX - 1, BLOCK_BYTES_MAX])('of %d bytes is one raw block', async (length) => {
    const s = store()
    const cid = await s.add(numbered(length))
    expect(codecOf(cid)).toBe(RAW)
    expect(s.blocks.size).toBe(1)
    expect(sameBytes(await read(s, cid), numbered(length))).toBe(true)
  })

  test.each([BLOCK_BYTES_MAX + 1, 2 * BLOCK_BYTES_MAX, 3 * BLOCK_BYTES_MAX - 1])(
    'of %d bytes is a tree over raw leaves',
    async (length) => {
      const s = store()
      const cid = await s.add(numbered(length))
      expect(codecOf(cid)).toBe(DAG_PB)
      const bytes = await s.get(cid)
      expect(fileSizeOf({ cid, bytes })).toEqual({ ok: true, value: length })
      const parts = partsOf({ cid, bytes })
      expect(parts.ok && parts.value.map(({ cid }) => codecOf(cid))).toEqual(
        Array(Math.ceil(length / BLOCK_BYTES_MAX)).fill(RAW),
      )
      expect(sameBytes(await read(s, cid), numbered(length))).toBe(true)
    },
  )

  test('has one CID however its bytes arrive', async () => {
    const bytes = numbered(BLOCK_BYTES_MAX + 70_000)
    const whole = await store().add(bytes)
    const cuts = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(cuts, async (lengths) => {
        async function* pieces(): AsyncIterable<Bytes> {
          for (let at = 0, n = 0; at < bytes.length; n += 1) {
            const length = lengths[n % lengths.length] as number
            yield bytes.subarray(at, at + length)
            at += length
          }
        }
        expect(await importFile(pieces(), async () => {})).toBe(whole)
      }),
      { numRuns: 8 },
    )
  })

  test('becomes the blocks that another implementation makes of it', async () => {
    const theirs = new Map<string, string>()
    for (const length of [0, 1, BLOCK_BYTES_MAX, BLOCK_BYTES_MAX + 1, 3 * BLOCK_BYTES_MAX, 5 * BLOCK_BYTES_MAX + 77]) {
      const s = store()
      const cid = await s.add(numbered(length))
      theirs.clear()
      const put = async (name: CID, bytes: unknown) => {
        theirs.set(name.toString(), toHex(Uint8Array.from(bytes as Bytes).slice(0, 512)))
        return name
      }
      const root = await importByteStream(once(numbered(length)), { put }, { profile: 'unixfs-v1-2025' })
      expect(cid).toBe(root.cid.toString())
      expect(new Map([...s.blocks].map(([name, bytes]) => [name, toHex(bytes.slice(0, 512))]))).toEqual(theirs)
    }
  })

  test('is read from its blocks as another implementation reads them, whatever byte of them differs', async () => {
    const s = store()
    const root = s.tree([s.raw(numbered(200)), s.tree([s.raw(numbered(300))]), s.raw(numbered(9))])
    const honest = await s.get(root.cid)
    const change = fc.record({ at: fc.nat(honest.length - 1), to: fc.nat(255), cut: fc.nat(honest.length) })
    fc.assert(
      fc.property(change, fc.boolean(), ({ at, to, cut }, isCut) => {
        const bytes = honest.slice(0, isCut ? cut : honest.length)
        if (at < bytes.length) bytes[at] = to
        const parts = partsOf({ cid: cidOf(DAG_PB, bytes), bytes })
        if (!parts.ok) return
        const node = dagPb.decode(bytes)
        const file = UnixFS.unmarshal(node.Data as Bytes)
        expect(file.type).toBe('file')
        expect(parts.value.map(({ cid }) => cid)).toEqual(node.Links.map(({ Hash }) => Hash.toString()))
        expect(parts.value.map(({ sizeBytes }) => BigInt(sizeBytes))).toEqual(file.blockSizes)
      }),
      { numRuns: 2000 },
    )
    expect(partsOf({ cid: root.cid, bytes: honest })).toMatchObject({ ok: true, value: { length: 3 } })
  })

  test('is refused where a block of it cannot be kept, however early that fails', async () => {
    const failure = new Error('the disk is full')
    async function* pieces() {
      yield numbered(BLOCK_BYTES_MAX + 1)
      await new Promise(setImmediate)
      yield numbered(1)
    }
    await expect(importFile(pieces(), async () => Promise.reject(failure))).rejects.toBe(failure)
  })

  test('gives any range of it, and asks only for the blocks on the way', async () => {
    const s = store()
    const bytes = numbered(50)
    const ends = [7, 20, 21, 41, 50]
    const leaves = ends.map((end, index) => s.raw(bytes.subarray(ends[index - 1] ?? 0, end)))
    const root = s.tree([s.tree(leaves.slice(0, 2)), s.tree(leaves.slice(2))])
    await fc.assert(
      fc.asyncProperty(fc.nat(55), fc.nat(55), async (offset, length) => {
        s.reads.length = 0
        expect(toHex(await read(s, root.cid, offset, length))).toBe(toHex(bytes.subarray(offset, offset + length)))
        expect(new Set(s.reads).size).toBe(s.reads.length)
      }),
    )
    s.reads.length = 0
    await read(s, root.cid, 20, 2)
    expect(s.reads).toHaveLength(4)
  })

  test('that is a manifest gives the bytes of its block, from any offset', async () => {
    const s = store()
    const bytes = Uint8Array.of(0xa1, 0x61, 0x61, 0x01)
    s.blocks.set(cidOf(DAG_CBOR, bytes), bytes)
    expect(toHex(await read(s, cidOf(DAG_CBOR, bytes), 2, 5))).toBe('6101')
  })
})

describe('a tree that is not a file is refused', () => {
  const refused = async (s: ReturnType<typeof store>, { cid }: Part): Promise<void> => {
    await expect(read(s, cid)).rejects.toBeInstanceOf(NotAFile)
  }

  test('where a leaf is shorter than its parent says', async () => {
    const s = store()
    await refused(s, s.tree([s.raw(numbered(5)), s.raw(numbered(6))], { sizes: [5n, 7n] }))
  })

  test('where a leaf is longer than its parent says: nothing hides behind the end of a part', async () => {
    const s = store()
    await refused(s, s.tree([s.raw(numbered(5)), s.raw(numbered(6))], { sizes: [5n, 4n] }))
  })

  test('where an inner node says another size than its parent', async () => {
    const s = store()
    const inner = s.tree([s.raw(numbered(5))])
    await refused(s, s.tree([inner, s.raw(numbered(1))], { sizes: [6n, 1n] }))
  })

  test.each([
    ['sizes and links differ in number', { sizes: [5n] }],
    ['a size is above 2^53', { sizes: [2n ** 60n, 1n] }],
    ['an inner node carries bytes of its own', { data: Uint8Array.of(1) }],
    ['it is a directory', { type: 'directory' as const }],
    ['it is a bare raw node', { type: 'raw' as const }],
  ])('where %s', async (_name, more) => {
    const s = store()
    const root = s.tree([s.raw(numbered(5)), s.raw(numbered(6))], more)
    expect(partsOf({ cid: root.cid, bytes: await s.get(root.cid) })).toMatchObject({ ok: false, refusal: 'not-a-file' })
    await refused(s, root)
  })

  test('where a part is a manifest', async () => {
    const s = store()
    const manifest = Uint8Array.of(0xa0)
    await refused(s, s.tree([{ cid: cidOf(DAG_CBOR, manifest), sizeBytes: 1 }]))
  })

  test('where a node has no part, or more than the profile allows', async () => {
    const s = store()
    await refused(s, s.tree([]))
    const leaf = s.raw(numbered(1))
    await refused(s, s.tree(Array(UNIXFS_WIDTH + 1).fill(leaf)))
    expect(await read(s, s.tree(Array(UNIXFS_WIDTH).fill(leaf)).cid)).toHaveLength(UNIXFS_WIDTH)
  })

  test('where it is deeper than any file needs', async () => {
    const s = store()
    const chain = (levels: number): Part => (levels === 0 ? s.raw(numbered(3)) : s.tree([chain(levels - 1)]))
    expect(await read(s, chain(UNIXFS_DEPTH_MAX).cid)).toHaveLength(3)
    await refused(s, chain(UNIXFS_DEPTH_MAX + 1))
  })

  test('and any bytes under a dag-pb CID have parts or a refusal, never a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const parts = partsOf({ cid: cidOf(DAG_PB, bytes), bytes })
        if (!parts.ok) expect(parts.refusal).toBe('not-a-file')
      }),
      { numRuns: 500 },
    )
  })
})
