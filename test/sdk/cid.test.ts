import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { modelManifestOf } from '#aggregation/weights.ts'
import { sha256 } from '#crypto'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { extentOf, nodeOf } from '#protocol/file-tree.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { importFile } from '#protocol/unixfs.ts'
import { decodeCbor } from '#sdk/cbor.ts'
import { checkBlock, fileCid } from '#sdk/cid.ts'
import { VerificationError } from '#sdk/errors.ts'

const hash = async (bytes: Uint8Array) => sha256(bytes)
const LEAF = 1024 * 1024

describe('the CID of a file', () => {
  test.each([
    ['nothing', 0],
    ['a byte', 1],
    ['one leaf', LEAF],
    ['one leaf and a byte', LEAF + 1],
    ['three leaves and a half', 3.5 * LEAF],
  ])('of %s is what the protocol makes of it', async (_what, length) => {
    const file = new Uint8Array(length).map((_, at) => at * 7)
    const source = async function* () {
      yield file
    }
    expect(await fileCid(file, hash)).toBe(await importFile(source(), async () => undefined))
  })

  test('of more leaves than one node holds is that of the tree over them', async () => {
    // Hashes are all that is asked for, so that a gigabyte need not be there: every leaf is the same bytes.
    const leaves = 1025
    const [full, last] = [new Uint8Array(LEAF), new Uint8Array(5)]
    const file = { length: (leaves - 1) * LEAF + 5, subarray: (at: number) => (at < (leaves - 1) * LEAF ? full : last) }
    const of = new Map([full, last].map((leaf) => [leaf, sha256(leaf)]))
    const [fullCid, lastCid] = [cidOf(RAW, full), cidOf(RAW, last)]
    const cids = Array.from({ length: leaves }, (_, at) => (at < leaves - 1 ? fullCid : lastCid))
    const under = [
      nodeOf(cids.slice(0, 1024), extentOf(1024 * LEAF)),
      nodeOf(cids.slice(1024), { height: 1, sizeBytes: 5 }),
    ]
    const root = nodeOf(
      under.map(({ cid }) => cid),
      extentOf(file.length),
    )
    const found = await fileCid(
      file as unknown as Uint8Array<ArrayBuffer>,
      async (bytes) => of.get(bytes) ?? sha256(bytes),
    )
    expect(found).toBe(root.cid)
  })
})

test('a block that is not what its CID says, or a name that is no CID, is refused', async () => {
  const block = new Uint8Array([1, 2, 3])
  const cid = cidOf(RAW, block)
  await checkBlock(cid, block, hash)
  await expect(checkBlock(cid, new Uint8Array([1, 2, 4]), hash)).rejects.toBeInstanceOf(VerificationError)
  for (const other of ['', 'b', 'zb2', cid.slice(0, -1), `${cid}a`, 'bafkqaaa'])
    await expect(checkBlock(other, block, hash)).rejects.toBeInstanceOf(VerificationError)
})

describe('a manifest', () => {
  const [architecture, weights] = [cidOf(DAG_CBOR, new Uint8Array([1])), cidOf(RAW, new Uint8Array([2]))]
  const tensors = [
    { name: 'out/kernel', shape: [4, 70_000], role: 'trainable' as const, start: { kind: 'forget' as const } },
  ]
  const block = encode(modelSchema, modelManifestOf(architecture, tensors, weights))

  test('is read as the protocol wrote it', () => {
    const told = [{ name: 'out/kernel', shape: [4, 70_000], role: 'trainable' }]
    expect(decodeCbor(block)).toEqual({ architecture, weights, tensors: told })
  })

  test('that is cut off or made up is refused, and never read for ever', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          fc.nat(block.length - 1).map((at) => block.slice(0, at)),
        ),
        (bytes) => {
          try {
            decodeCbor(bytes)
          } catch (cause) {
            expect(cause instanceof VerificationError || cause instanceof TypeError).toBe(true)
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})
