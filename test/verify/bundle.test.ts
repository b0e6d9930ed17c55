import { CarReader } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { concat, equalBytes } from '#protocol/bytes.ts'
import { carHeader, carSection, walk } from '#protocol/car.ts'
import { cidOf, DAG_CBOR, DAG_PB, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { times } from '#test/effort.ts'
import { fileOf, readBundle } from '#verify/bundle.ts'
import { verifyBundle } from '#verify/verify.ts'
import { type RecordedRun, recordRun } from './fixture.ts'
import { fileUnder } from './store.ts'

const run: RecordedRun = await recordRun({ planned: 1, nodes: 2 })
const file = await run.file()
const blocks: Block[] = []
for await (const block of walk(run.root, async (cid) => run.blocks.get(cid) ?? new Uint8Array(0))) blocks.push(block)
const header = carHeader(run.root)
const sections = blocks.map(carSection)
const of = (...parts: readonly Bytes[]) => verifyBundle(fileOf(concat(...parts)))
const refused = (step: 'container' | 'block', word: string) => ({
  ok: false,
  step,
  detail: expect.stringContaining(word),
})

describe('a bundle', () => {
  test('is a CAR that other readers read, block by block', async () => {
    const reader = await CarReader.fromBytes(file)
    expect((await reader.getRoots()).map(String)).toEqual([run.root])
    const read: Cid[] = []
    for await (const { cid, bytes } of reader.blocks()) {
      expect(equalBytes(bytes, run.blocks.get(String(cid) as Cid) ?? new Uint8Array(0))).toBe(true)
      read.push(String(cid) as Cid)
    }
    expect(read).toEqual(blocks.map(({ cid }) => cid))
    expect(await of(header, ...sections)).toMatchObject({ ok: true, checked: { blocks: blocks.length } })
  })

  test('in which any bit is another is refused, and says whether at the container or at a block', async () => {
    // A wrong length may cut the right block short, so it may be found as either.
    const steps: string[] = Array.from({ length: header.length }, () => 'container')
    for (const [index, section] of sections.entries()) {
      const block = blocks[index]?.bytes.length ?? 0
      const parts = { either: section.length - block - 36, container: 36, block }
      for (const [step, length] of Object.entries(parts)) steps.push(...Array.from({ length }, () => step))
    }
    expect(steps).toHaveLength(file.length)
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), fc.nat(7), async (at, bit) => {
        const verdict = await verifyBundle(fileOf(file.with(at, (file[at] as number) ^ (1 << bit))))
        const step = steps[at] === 'either' ? expect.stringMatching(/^(container|block)$/) : steps[at]
        expect(verdict).toMatchObject({ ok: false, step })
      }),
      { numRuns: times(100, 300) },
    )
  })

  test('that ends anywhere before its end is refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), async (length) => {
        expect(await of(file.subarray(0, length))).toMatchObject({ ok: false, step: 'container' })
      }),
      { numRuns: times(40, 100) },
    )
  })

  test('with a byte, a block or a whole bundle after its end is refused', async () => {
    const last = sections.at(-1) as Bytes
    for (const more of [Uint8Array.of(0), last, file])
      expect(await of(file, more)).toMatchObject(refused('container', 'after the last block'))
  })

  test('with a block twice, left out, or out of order is refused', async () => {
    for (let index = 0; index < sections.length; index++) {
      const section = sections[index] as Bytes
      expect(await of(header, ...sections.toSpliced(index, 0, section))).toMatchObject({ ok: false, step: 'container' })
      expect(await of(header, ...sections.toSpliced(index, 1))).toMatchObject({ ok: false, step: 'container' })
      if (index === 0) continue
      const swapped = sections.with(index, sections[index - 1] as Bytes).with(index - 1, section)
      expect(await of(header, ...swapped)).toMatchObject(refused('container', 'not the next block'))
    }
  })

  test('with a block that nothing names is refused, wherever it is', async () => {
    const bytes = Uint8Array.of(1, 2, 3)
    const stray = carSection({ cid: cidOf(RAW, bytes), bytes })
    for (let index = 0; index <= sections.length; index++)
      expect(await of(header, ...sections.toSpliced(index, 0, stray))).toMatchObject({ ok: false, step: 'container' })
  })

  test('with two roots, none, another version, or its header written differently is refused', async () => {
    const root = CID.parse(run.root)
    const headers = [
      { version: 1, roots: [root, root] },
      { version: 1, roots: [] },
      { version: 2, roots: [root] },
      { version: 1, roots: [root], more: 1 },
    ].map((value) => dagCbor.encode(value))
    for (const body of headers)
      expect(await of(Uint8Array.of(body.length), body, ...sections)).toMatchObject({ ok: false, step: 'container' })
    const long = Uint8Array.of(header.length - 1 + 128, 0)
    expect(await of(long, header.subarray(1), ...sections)).toMatchObject({ ok: false, step: 'container' })
  })

  test('with a length that is not in its shortest form is refused', async () => {
    const [first, ...rest] = sections as [Bytes, ...Bytes[]]
    const second = rest.find((section) => (section[0] as number) < 128) as Bytes
    const longer = concat(Uint8Array.of((second[0] as number) | 128, 0), second.subarray(1))
    const changed = sections.map((section) => (section === second ? longer : section))
    expect(first).not.toBe(second)
    expect(await of(header, ...changed)).toMatchObject(refused('container', 'no section'))
  })

  test('of a block larger than 1 MiB is refused before the block is read', async () => {
    const bytes = new Uint8Array(BLOCK_BYTES_MAX + 1)
    const root = cidOf(RAW, bytes)
    const asked: number[] = []
    const source = fileOf(concat(carHeader(root), carSection({ cid: root, bytes })))
    const read = (offset: number, length: number) => {
      asked.push(length)
      return source.read(offset, length)
    }
    expect(await readBundle({ ...source, read })).toMatchObject({ ok: false, refusal: 'container' })
    expect(Math.max(...asked)).toBeLessThan(100)
  })

  test('with manifests of nonsense, links to unknown hashes, or bottomless nesting is refused', async () => {
    const nested = new Uint8Array(500_000).fill(0x81)
    const identity = CID.parse('bafkqaaa')
    for (const bytes of [Uint8Array.of(0xff), nested, dagCbor.encode({ a: identity }), new Uint8Array(0)]) {
      const root = cidOf(DAG_CBOR, bytes)
      expect(await of(carHeader(root), carSection({ cid: root, bytes }))).toMatchObject({
        ok: false,
        step: 'container',
      })
    }
  })

  test('whose root is a file or no run is refused at the run manifest', async () => {
    for (const codec of [RAW, DAG_PB, DAG_CBOR] as const) {
      const bytes = dagCbor.encode({ hello: 'world' })
      const root = cidOf(codec, bytes)
      expect(await of(carHeader(root), carSection({ cid: root, bytes }))).toMatchObject({
        ok: false,
        step: 'run-manifest',
      })
    }
    const model = run.manifest.model
    expect(await of(await fileUnder(model, run.blocks))).toMatchObject({ ok: false, step: 'run-manifest' })
  })

  test('is refused, never thrown at, when it is any bytes at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, headed) => {
        const plain = Uint8Array.from(bytes)
        expect(await (headed ? of(header, plain) : of(plain))).toMatchObject({ ok: false, step: 'container' })
      }),
    )
  })
})
