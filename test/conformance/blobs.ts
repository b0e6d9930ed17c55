import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { collect, once } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, DAG_PB, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing, type BlobStore, BlobTooLarge } from '#protocol/ports.ts'
import { importFile } from '#protocol/unixfs.ts'
import { contentOf, inPieces, sameBytes } from '#test/content.ts'
import { times } from '#test/effort.ts'

const MIB = BLOCK_BYTES_MAX

export type BlobConformance = {
  /** False where the adapter offers no `putBlocks` of manifests and inner nodes (a gateway's client). */
  readonly blocks?: boolean
  /** False where nothing can be deleted. */
  readonly deletes?: boolean
  /** Puts other bytes where the block is kept, behind the adapter's back. */
  readonly damage?: (cid: Cid, bytes: Bytes) => Promise<void>
}

/**
 * What every BlobStore promises.
 *
 * @param open a store that nobody else uses; closed after the suite if it can be
 */
export function blobStoreConformance(
  name: string,
  open: () => Promise<BlobStore & Partial<AsyncDisposable>> | (BlobStore & Partial<AsyncDisposable>),
  { blocks = true, deletes = true, damage }: BlobConformance = {},
): void {
  describe(`blobs: ${name}`, () => {
    let store: BlobStore & Partial<AsyncDisposable>
    beforeAll(async () => {
      store = await open()
    })
    afterAll(async () => {
      await store[Symbol.asyncDispose]?.()
    })

    const whole = (cid: Cid, limitBytes = 64 * MIB) => collect(store.get(cid, { limitBytes }), limitBytes)
    const expectSame = (left: Bytes, right: Bytes) => expect(sameBytes(left, right)).toBe(true)
    const expectNothingOf = async (bytes: Bytes) => {
      for (const { cid } of await blocksOf(bytes)) {
        expect(await store.has(cid)).toBe(false)
        await expect(store.getBlock(cid, MIB)).rejects.toThrow(BlobMissing)
      }
    }

    test.each([0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7])('%i bytes come out as they went in', async (size) => {
      const bytes = contentOf(`whole ${size}`, size)
      const cid = await store.put(inPieces(bytes, 65_536), size)
      expect(cid).toBe((await blocksOf(bytes)).at(-1)?.cid)
      expect(await store.has(cid)).toBe(true)
      expectSame(await whole(cid, size), bytes)
    })

    test('a blob has one name however its bytes come in', async () => {
      const bytes = contentOf('pieces', MIB + 100)
      const name = (await blocksOf(bytes)).at(-1)?.cid
      const sizes = fc.array(fc.integer({ min: 0, max: MIB + MIB / 2 }), { minLength: 1, maxLength: 5 })
      await fc.assert(
        fc.asyncProperty(sizes, async (pieces) => {
          expect(await store.put(inPieces(bytes, ...pieces, 70_000), bytes.length)).toBe(name)
        }),
        { numRuns: times(3, 6) },
      )
    })

    test('any range is the same slice of the whole', async () => {
      const bytes = contentOf('ranges', 2 * MIB + MIB / 2)
      const cid = await store.put(once(bytes), bytes.length)
      const near = (at: number) => fc.integer({ min: at - 2, max: at + 2 })
      const place = fc.oneof(
        fc.integer({ min: 0, max: bytes.length + 10 }),
        near(MIB),
        near(2 * MIB),
        near(bytes.length),
      )
      await fc.assert(
        fc.asyncProperty(place, fc.oneof(place, fc.integer({ min: 0, max: 3 })), async (offset, length) => {
          const range = { offset, length, limitBytes: bytes.length }
          expectSame(await collect(store.get(cid, range), bytes.length), bytes.slice(offset, offset + length))
        }),
        {
          numRuns: times(10, 24),
          examples: [
            [0, 0],
            [bytes.length, 1],
            [0, Number.MAX_SAFE_INTEGER],
          ],
        },
      )
    })

    test('more than the limit is not kept, nor any block of it', async () => {
      const bytes = contentOf('too large', 2 * MIB + 5)
      await expect(store.put(inPieces(bytes, 65_536), bytes.length - 1)).rejects.toThrow(BlobTooLarge)
      await expectNothingOf(bytes)
    })

    test('a blob larger than the reader allows is refused before a byte of it comes out', async () => {
      const bytes = contentOf('large for the reader', MIB + 1)
      const cid = await store.put(once(bytes), bytes.length)
      const some = store.get(cid, { length: 1, limitBytes: MIB })[Symbol.asyncIterator]()
      await expect(some.next()).rejects.toThrow(BlobTooLarge)
      await expect(store.getBlock(cid, 10)).rejects.toThrow(BlobTooLarge)
    })

    test('bytes that are not the expected blob are not kept', async () => {
      const bytes = contentOf('unexpected', MIB + 9)
      const other = cidOf(RAW, contentOf('what was promised', 50))
      await expect(store.put(once(bytes), bytes.length, undefined, other)).rejects.toThrow(BlobCorrupt)
      await expectNothingOf(bytes)
    })

    test('a failed put takes nothing away from the same blob put before', async () => {
      const bytes = contentOf('put twice', MIB + 9)
      const cid = await store.put(once(bytes), bytes.length)
      const other = cidOf(RAW, contentOf('what was promised', 50))
      await expect(store.put(once(bytes), bytes.length, undefined, other)).rejects.toThrow(BlobCorrupt)
      await expect(store.put(inPieces(bytes, 1000), MIB)).rejects.toThrow(BlobTooLarge)
      expectSame(await whole(cid), bytes)
    })

    test('a source that fails midway leaves nothing, and its error comes out', async () => {
      const bytes = contentOf('breaks off', 3 * MIB)
      const source = async function* () {
        yield bytes.subarray(0, 2 * MIB)
        throw new Error('the line is dead')
      }
      await expect(store.put(source(), bytes.length)).rejects.toThrow('the line is dead')
      for (const { cid } of (await blocksOf(bytes)).slice(0, 2))
        await expect(store.getBlock(cid, MIB)).rejects.toThrow(BlobMissing)
    })

    test('an abort ends a put whose source has fallen silent, and nothing is kept', async () => {
      const bytes = contentOf('falls silent', 2 * MIB)
      const stop = new AbortController()
      const source = async function* () {
        yield bytes
        stop.abort(new Error('enough'))
        await new Promise(() => undefined)
      }
      await expect(store.put(source(), 4 * MIB, stop.signal)).rejects.toThrow('enough')
      await expectNothingOf(bytes)
    })

    test('what is not here is missing', async () => {
      const cid = cidOf(RAW, contentOf('never put', 10))
      expect(await store.has(cid)).toBe(false)
      await expect(whole(cid)).rejects.toThrow(BlobMissing)
      await expect(store.getBlock(cid, MIB)).rejects.toThrow(BlobMissing)
    })

    test('a reader that stops early, or is told to, is let go', async () => {
      const bytes = contentOf('half read', 3 * MIB)
      const cid = await store.put(once(bytes), bytes.length)
      for await (const piece of store.get(cid, { limitBytes: bytes.length })) {
        expectSame(piece, bytes.subarray(0, piece.length))
        break
      }
      const stop = AbortSignal.abort(new Error('no more'))
      await expect(collect(store.get(cid, { limitBytes: bytes.length }, stop), MIB)).rejects.toThrow('no more')
    })

    test('the same blob put by many at once is one blob', async () => {
      const bytes = contentOf('at once', MIB + 3)
      const cids = await Promise.all(Array.from({ length: 6 }, () => store.put(inPieces(bytes, 99_999), bytes.length)))
      expect(new Set(cids).size).toBe(1)
      expectSame(await whole(cids[0] as Cid), bytes)
    })

    test('nobody can change what is kept through the arrays that went in or came out', async () => {
      const bytes = contentOf('mutable', 1000)
      const given = Buffer.from(bytes)
      const cid = await store.put(once(given), 1000)
      given.fill(0)
      const block = await store.getBlock(cid, MIB)
      block.fill(1)
      expectSame(await whole(cid), bytes)
    })

    if (damage)
      test('wrong bytes never come out, and putting the blob again mends it', async () => {
        const bytes = contentOf('damaged', MIB + 77)
        const cid = await store.put(once(bytes), bytes.length)
        const kept = await blocksOf(bytes)
        const bits = fc.record({ block: fc.nat({ max: kept.length - 1 }), at: fc.nat(), cut: fc.boolean() })
        await fc.assert(
          fc.asyncProperty(bits, async ({ block, at, cut }) => {
            const { cid: part, bytes: sound } = kept[block] as Block
            const broken = cut ? sound.slice(0, at % sound.length) : sound.slice()
            if (!cut) broken[at % sound.length] = (sound[at % sound.length] as number) ^ 1
            await damage(part, broken)
            const pieces: Bytes[] = []
            const read = async () => {
              for await (const piece of store.get(cid, { limitBytes: bytes.length })) pieces.push(piece)
            }
            await expect(read()).rejects.toThrow(BlobCorrupt)
            let seen = 0
            for (const piece of pieces) {
              expectSame(piece, bytes.subarray(seen, seen + piece.length))
              seen += piece.length
            }
            expect(await store.put(once(bytes), bytes.length)).toBe(cid)
            expectSame(await whole(cid), bytes)
          }),
          { numRuns: times(3, 8) },
        )
      })

    if (blocks) blockTests()
    if (deletes) deleteTests()

    function blockTests() {
      test('a manifest is one block, read back as it is', async () => {
        const block = dagCbor.encode({ name: 'a manifest', next: CID.parse(cidOf(RAW, contentOf('elsewhere', 3))) })
        const cid = cidOf(DAG_CBOR, block)
        await store.putBlocks([{ cid, bytes: block }])
        expect(await store.has(cid)).toBe(true)
        expectSame(await store.getBlock(cid, block.length), block)
        expectSame(await whole(cid), block)
        expectSame(await collect(store.get(cid, { offset: 3, length: 4, limitBytes: MIB }), 4), block.subarray(3, 7))
      })

      test('a block under another name, or larger than a block may be, is refused', async () => {
        const block = contentOf('a block', 100)
        const cid = cidOf(RAW, contentOf('another block', 100))
        await expect(store.putBlocks([{ cid, bytes: block }])).rejects.toThrow(BlobCorrupt)
        expect(await store.has(cid)).toBe(false)
        const large = contentOf('a large block', MIB + 1)
        await expect(store.putBlocks([{ cid: cidOf(RAW, large), bytes: large }])).rejects.toThrow(BlobTooLarge)
      })

      test('blocks put together are kept together, or none of them', async () => {
        const blocks = [10, 70_000, 20, 300].map((size, index) => {
          const bytes = contentOf(`together ${index}`, size)
          return { cid: cidOf(RAW, bytes), bytes }
        })
        const wrong = { cid: cidOf(RAW, contentOf('promised', 20)), bytes: contentOf('given', 20) }
        await expect(store.putBlocks([...blocks, wrong])).rejects.toThrow(BlobCorrupt)
        for (const { cid } of blocks) expect(await store.has(cid)).toBe(false)
        await store.putBlocks([...blocks, ...blocks])
        for (const { cid, bytes } of blocks) expectSame(await store.getBlock(cid, MIB), bytes)
        await store.putBlocks([])
      })

      test('a file without one of its parts is not here, and reading it says so', async () => {
        const bytes = contentOf('parts', 2 * MIB + 1)
        const [first, second, third, root] = (await blocksOf(bytes)) as [Block, Block, Block, Block]
        await store.putBlocks([root, first, third])
        expect(await store.has(root.cid)).toBe(false)
        await expect(whole(root.cid)).rejects.toThrow(BlobMissing)
        await store.putBlocks([second])
        expect(await store.has(root.cid)).toBe(true)
        expectSame(await whole(root.cid), bytes)
      })

      test('a tree that is no file, lies about its sizes or is deeper than any file is not read as one', async () => {
        const leaf = { cid: cidOf(RAW, contentOf('leaf', 100)), bytes: contentOf('leaf', 100) }
        await store.putBlocks([leaf])
        const lie = nodeOf([{ cid: leaf.cid, sizeBytes: 200 }])
        const folder = blockOf({ Data: new UnixFS({ type: 'directory' }).marshal(), Links: [] })
        let deep = leaf
        for (let level = 0; level < 10; level++) {
          deep = nodeOf([{ cid: deep.cid, sizeBytes: 100 }])
          await store.putBlocks([deep])
        }
        for (const { cid, bytes } of [lie, folder, deep]) {
          await store.putBlocks([{ cid, bytes }])
          await expect(whole(cid)).rejects.toThrow(BlobCorrupt)
          expectSame(await store.getBlock(cid, MIB), bytes)
        }
      })
    }

    function deleteTests() {
      test('a deleted blob is gone, and deleting it again is no error', async () => {
        const bytes = contentOf('deleted', 2 * MIB + 1)
        const cid = await store.put(once(bytes), bytes.length)
        await store.delete(cid)
        await expectNothingOf(bytes)
        await store.delete(cid)
        expect(await store.put(once(bytes), bytes.length)).toBe(cid)
        expectSame(await whole(cid), bytes)
      })

      test('each of the blocks that were put together is a blob of its own', async () => {
        const [kept, gone] = ['kept', 'gone'].map((seed) => ({
          cid: cidOf(RAW, contentOf(seed, 50)),
          bytes: contentOf(seed, 50),
        })) as [Block, Block]
        if (blocks) await store.putBlocks([kept, gone])
        else for (const { bytes } of [kept, gone]) await store.put(once(bytes), 50)
        await store.delete(gone.cid)
        expect(await store.has(gone.cid)).toBe(false)
        expectSame(await store.getBlock(kept.cid, MIB), kept.bytes)
      })

      test('deleting takes only what no other blob needs, whatever is put and deleted', async () => {
        // Files that share leaves: each is a choice of the same four. A single leaf is a blob of its own.
        const leaves = [0, 1, 2, 3].map((index) => contentOf(`shared ${index}`, MIB))
        const files = [[0], [1], [0, 1], [1, 0, 1], [2, 3], [3], [0, 1, 2, 3]].map((choice) =>
          Buffer.concat(choice.map((index) => leaves[index] as Bytes)),
        )
        const cids = await Promise.all(files.map(async (bytes) => (await blocksOf(bytes)).at(-1)?.cid as Cid))
        const reached = await Promise.all(files.map(async (bytes) => (await blocksOf(bytes)).map(({ cid }) => cid)))
        const every = [...new Set(reached.flat())]
        const act = fc.record({ file: fc.nat({ max: files.length - 1 }), drop: fc.boolean() })
        await fc.assert(
          fc.asyncProperty(fc.array(fc.array(act, { maxLength: 3 }), { maxLength: 6 }), async (steps) => {
            const kept = new Set<number>()
            for (const step of steps) {
              // What happens at once concerns different files, so that the outcome is one.
              const acts = step.filter(({ file }, index) => step.findIndex((other) => other.file === file) === index)
              await Promise.all(
                acts.map(async ({ file, drop }) => {
                  if (drop) await store.delete(cids[file] as Cid)
                  else await store.put(once(files[file] as Bytes), 8 * MIB)
                }),
              )
              for (const { file, drop } of acts) drop ? kept.delete(file) : kept.add(file)
              const needed = new Set([...kept].flatMap((file) => reached[file] as Cid[]))
              for (const cid of every) {
                const here = await store.getBlock(cid, MIB).then(
                  () => true,
                  () => false,
                )
                expect({ cid, here }).toEqual({ cid, here: needed.has(cid) })
              }
            }
            for (const cid of cids) await store.delete(cid)
          }),
          { numRuns: times(3, 6) },
        )
      })
    }
  })
}

/** The blocks of a file, the root last, by the protocol's own importer. */
export async function blocksOf(bytes: Bytes): Promise<readonly Block[]> {
  const blocks: Block[] = []
  await importFile(once(bytes), async (block) => void blocks.push(block))
  return blocks
}

/** A node that says so of its parts. */
export function nodeOf(parts: readonly { readonly cid: Cid; readonly sizeBytes: number }[]): Block {
  const file = new UnixFS({ type: 'file' })
  for (const { sizeBytes } of parts) file.addBlockSize(BigInt(sizeBytes))
  const Links = parts.map(({ cid, sizeBytes }) => ({ Name: '', Tsize: sizeBytes, Hash: CID.parse(cid) }))
  return blockOf({ Data: file.marshal(), Links })
}

function blockOf(node: dagPb.PBNode): Block {
  const bytes = dagPb.encode(node)
  return { cid: cidOf(DAG_PB, bytes), bytes }
}
