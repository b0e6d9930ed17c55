import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { bundleOf } from '#protocol/bundle.ts'
import { concat } from '#protocol/bytes.ts'
import { carHeader, carSection } from '#protocol/car.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { importFile } from '#protocol/unixfs.ts'
import { times } from '#test/effort.ts'
import { type BundleFile, fileOf, readBundle } from '#verify/bundle.ts'
import { verifyAny, verifyFile } from '#verify/verify.ts'
import { recordRun, type Shape } from './fixture.ts'
import { fileUnder } from './store.ts'

const ALLOWED = { allowExpired: true }
const EXABYTE = 1e18
/** Of a file that is longer than what may be read ahead of it. */
const LEAVES = times(12, 40)

/** So much of nothing, which remembers how much was asked for at once and in all. */
function hole(start: Bytes): BundleFile & { readonly asked: { most: number; total: number } } {
  const asked = { most: 0, total: 0 }
  return {
    ...{ sizeBytes: EXABYTE, asked },
    async read(offset, length) {
      asked.most = Math.max(asked.most, length)
      asked.total += length
      const bytes = new Uint8Array(length)
      bytes.set(start.subarray(offset, offset + length))
      return bytes
    },
  }
}

describe('a bundle in either form, of a run or of a round', () => {
  const shapes = fc.record({
    planned: fc.integer({ min: 1, max: 2 }),
    nodes: fc.integer({ min: 3, max: 4 }),
    secure: fc
      .constantFrom(null, 'full', 'commit-only')
      .map((publish) => publish && ({ suite: 1, corrupt: 1, publish } as const)),
    aborted: fc.constantFrom<Shape['aborted']>({}, { 1: 'reporting' }, { 2: 'selection' }),
  })

  test('of any run is read again as what it is, and in it no bit can be another', async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.nat(10),
        fc.boolean(),
        fc.infiniteStream(fc.nat(2 ** 31 - 1)),
        async (shape, pick, vectors, chance) => {
          const { secure, aborted, ...rest } = shape
          const run = await recordRun({ ...rest, ...(secure ? { secure } : { aborted: aborted ?? {} }) })
          const rounds = run.manifest.rounds.flatMap(({ manifest, aborted }) => manifest ?? aborted ?? [])
          const root = [run.root, ...rounds][pick % (rounds.length + 1)] as Cid
          const file = await fileUnder(root, run.blocks, { vectors })
          expect(await readBundle(fileOf(file))).toMatchObject({ ok: true, value: { root } })
          expect(await verifyFile(fileOf(file), ALLOWED, verifyAny)).toMatchObject({ ok: true, root })
          for (let flips = 0; flips < 8; flips++) {
            const at = (chance.next().value as number) % file.length
            const changed = file.with(at, (file[at] as number) ^ (1 << ((chance.next().value as number) % 8)))
            expect(await readBundle(fileOf(changed))).toMatchObject({ ok: false })
          }
          const short = file.subarray(0, (chance.next().value as number) % file.length)
          expect(await readBundle(fileOf(short))).toMatchObject({ ok: false, refusal: 'container' })
        },
      ),
      { numRuns: times(4, 12) },
    )
  })
})

describe('a file that means harm', () => {
  test('of an exabyte of zeros, after a header or none, is refused after a few bytes', async () => {
    const root = cidOf(RAW, new Uint8Array(0))
    for (const start of [new Uint8Array(0), carHeader(root)]) {
      const file = hole(start)
      expect(await readBundle(file)).toMatchObject({ ok: false, refusal: 'container' })
      expect(file.asked.total).toBeLessThan(300)
    }
    const file = hole(concat(carHeader(root), carSection({ cid: root, bytes: new Uint8Array(0) })))
    expect(await readBundle(file)).toMatchObject({
      ok: false,
      refusal: 'container',
      detail: expect.stringContaining('after the last'),
    })
    expect(file.asked.most).toBeLessThan(100)
  })
})

describe('the bytes of a bundle', () => {
  test('are made one block at a time, however long it is: nothing is read before what is before it was taken', async () => {
    const blocks = new Map<Cid, () => Bytes>()
    const leaf = (index: number) => new Uint8Array(BLOCK_BYTES_MAX).fill(index)
    const parts = Array.from({ length: LEAVES }, (_, index) => leaf(index))
    const file = await importFile(
      (async function* () {
        for (const index of parts.keys()) yield leaf(index)
      })(),
      async ({ cid, bytes }) => {
        const index = bytes.length === BLOCK_BYTES_MAX ? (bytes[0] as number) : undefined
        const kept = Uint8Array.from(bytes)
        blocks.set(cid, index === undefined ? () => kept : () => leaf(index))
      },
    )
    const node = dagCbor.encode([CID.parse(file)])
    const root = cidOf(DAG_CBOR, node)
    blocks.set(root, () => node)
    let [read, taken] = [0, 0]
    const block = async (cid: Cid) => {
      expect(read++).toBe(taken)
      return blocks.get(cid)?.() as Bytes
    }
    let header = true
    for await (const _ of bundleOf(root, block, { vectors: true })) {
      if (!header) taken++
      header = false
    }
    expect(taken).toBe(LEAVES + 2)
  })
})
