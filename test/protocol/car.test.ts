import { CarReader } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { bundleOf } from '#protocol/bundle.ts'
import { concat, toHex } from '#protocol/bytes.ts'
import { walk } from '#protocol/car.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { LINKS_AHEAD_MAX } from '#protocol/limits.ts'
import { importFile } from '#protocol/unixfs.ts'

const link = (cid: Cid): CID => CID.parse(cid)

/** A small store that remembers what it was asked for. */
function store() {
  const blocks = new Map<Cid, Bytes>()
  const asked: Cid[] = []
  return {
    blocks,
    asked,
    raw: (text: string): Cid => keep(cidOf(RAW, new TextEncoder().encode(text)), new TextEncoder().encode(text)),
    node: (value: unknown): Cid => {
      const bytes = dagCbor.encode(value)
      return keep(cidOf(DAG_CBOR, bytes), bytes)
    },
    get: async (cid: Cid): Promise<Bytes> => {
      asked.push(cid)
      const bytes = blocks.get(cid)
      if (!bytes) throw new Error(`${cid} is not here`)
      return bytes
    },
  }
  function keep(cid: Cid, bytes: Bytes): Cid {
    blocks.set(cid, bytes)
    return cid
  }
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(source)
}

describe('a walk', () => {
  test('goes depth first, in the order of the links, and tells each block once', async () => {
    const s = store()
    const [a, b, c] = [s.raw('a'), s.raw('b'), s.raw('c')]
    const left = s.node({ x: link(b), y: link(a) })
    const right = s.node([link(c), link(a), link(b)])
    const root = s.node({ l: link(left), r: link(right), z: link(left) })
    const seen = await all(walk(root, s.get))
    expect(seen.map(({ cid }) => cid)).toEqual([root, left, b, a, right, c])
    expect(s.asked).toHaveLength(6)
  })

  test('goes through the parts of a file', async () => {
    const s = store()
    const bytes = new Uint8Array(2 ** 20 + 3).fill(1)
    const file = await importFile(one(bytes), async ({ cid, bytes }) => void s.blocks.set(cid, bytes))
    const root = s.node({ weights: link(file) })
    const seen = await all(walk(root, s.get))
    expect(seen.map(({ bytes }) => bytes.length)).toEqual([
      s.blocks.get(root)?.length,
      s.blocks.get(file)?.length,
      2 ** 20,
      3,
    ])
  })

  test('of a chain far deeper than a call stack comes to its end', async () => {
    const s = store()
    let head = s.raw('end')
    for (let depth = 0; depth < 20_000; depth += 1) head = s.node([link(head)])
    let seen = 0
    for await (const _ of walk(head, s.get)) seen += 1
    expect(seen).toBe(20_001)
  })

  test('that leaves more behind than any record does is given up, before the memory is full', async () => {
    const s = store()
    const root = s.node([])
    const links = Array.from({ length: LINKS_AHEAD_MAX + 1 }, () => ({ cid: root }))
    const walked = (length: number) =>
      all(walk(root, s.get, { links: () => links.slice(0, length), takes: () => true }))
    await expect(walked(LINKS_AHEAD_MAX + 1)).rejects.toThrow('links wait')
    expect(await walked(LINKS_AHEAD_MAX)).toHaveLength(1)
  })

  test('of any graph tells exactly the reachable blocks, parents before their children', async () => {
    const edges = fc.array(fc.array(fc.nat(19), { maxLength: 4 }), { minLength: 1, maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(edges, async (lists) => {
        const s = store()
        const made: Cid[] = []
        const below: Set<Cid>[] = []
        for (const [index, list] of lists.entries()) {
          const to = list.filter((target) => target < index)
          made.push(s.node({ index, to: to.map((target) => link(made[target] as Cid)) }))
          below.push(new Set([made[index] as Cid, ...to.flatMap((target) => [...(below[target] as Set<Cid>)])]))
        }
        const seen = (await all(walk(made.at(-1) as Cid, s.get))).map(({ cid }) => cid)
        expect(new Set(seen)).toEqual(below.at(-1))
        expect(seen).toHaveLength(new Set(seen).size)
      }),
      { numRuns: 50 },
    )
  })
})

describe('a CAR file', () => {
  test('is this, byte for byte', async () => {
    const s = store()
    const root = s.node({ a: link(s.raw('hi')) })
    expect((await all(bundleOf(root, s.get, { vectors: true }))).map(toHex)).toEqual([
      // length, {roots: [link], version: 1}
      `3aa265726f6f747381d82a582500${ROOT}6776657273696f6e01`,
      // length, CID, {a: link}
      `50${ROOT}a16161d82a582500${LEAF}`,
      // length, CID, "hi"
      `26${LEAF}6869`,
    ])
  })

  test('is read by the reference reader, with the same blocks in the same order', async () => {
    const s = store()
    const root = s.node([link(s.raw('x')), link(s.raw('')), link(s.node({ y: link(s.raw('x')) }))])
    const bytes = concat(...(await all(bundleOf(root, s.get, { vectors: true }))))
    const reader = await CarReader.fromBytes(bytes)
    expect((await reader.getRoots()).map(String)).toEqual([root])
    const theirs = (await all(reader.blocks())).map(({ cid, bytes }) => [cid.toString(), toHex(bytes)])
    const ours = (await all(walk(root, s.get))).map(({ cid, bytes }: Block) => [cid, toHex(bytes)])
    expect(theirs).toEqual(ours)
  })
})

const ROOT = '01711220775c10ccb154c5a799a2d232404886c5b118088f4ce28254e48b2a8386393333'
const LEAF = '015512208f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4'

async function* one(bytes: Bytes): AsyncIterable<Bytes> {
  yield bytes
}
