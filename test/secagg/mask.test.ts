import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { kernelPiece, ringKernel, scriptSum, TILE_BYTES } from '#aggregation/kernels/ring.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { openMasker, opposite } from '#aggregation/secagg/mask.ts'
import { maskInto } from '#aggregation/secagg/masking.ts'
import { encodeLanes, type RingVector } from '#aggregation/vector.ts'
import { sha256 } from '#crypto'
import { collect, toHex } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes } from '#protocol/ids.ts'
import { cut, cuts, seed } from '#test/aggregation/given.ts'
import { flip } from '#test/conformance/crypto.ts'
import { drawn, hexOf, masksOf, seedOf, slowly } from './masks.ts'

describe('masks', () => {
  test.each([
    ['a few lanes, in JavaScript', 24],
    ['more than one tile and a part', TILE_BYTES / 4 + 20],
    ['many tiles, in the kernel', TILE_BYTES + 12],
    ['more than a segment', 2 ** 18 + 8],
  ])('on %s are the keystreams, byte by byte', (_, lanes) => {
    for (const count of lanes > 2 ** 18 ? [3] : [0, 1, 4, 6]) {
      const vector = drawn(lanes)
      const masker = openMasker(lanes)
      masker.add(vector, masksOf(count), 0)
      expect(hexOf(vector)).toBe(hexOf(slowly(drawn(lanes), masksOf(count))))
      masker.add(vector, opposite(masksOf(count)), 0)
      expect(hexOf(vector)).toBe(hexOf(drawn(lanes)))
    }
  })

  test('on ranges of lanes, in any order, are the masks on the whole', () => {
    const whole = slowly(drawn(400), masksOf(5))
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 99 }), { maxLength: 6 }), (places) => {
        const ends = [0, ...places.toSorted((a, b) => a - b), 100].map((block) => block * 4)
        const vector = drawn(400)
        const masker = openMasker(400)
        for (const [index, start] of [...ends.slice(0, -1).entries()].toReversed())
          masker.add(vector.subarray(start, ends[index + 1]), masksOf(5), start)
        expect(hexOf(vector)).toBe(hexOf(whole))
      }),
      { numRuns: 30 },
    )
  })

  test('on a stream cut anywhere are the masks on the whole, and the store is told what it took', async () => {
    await fc.assert(
      fc.asyncProperty(cuts, async (sizes) => {
        const plain = drawn(40)
        plain.set([3, 1])
        let taken: Bytes = new Uint8Array(0)
        const made = await maskInto(
          cut(encodeLanes(plain), sizes),
          { weight: 3, sizeBytes: 160, masks: masksOf(4) },
          async (masked) => {
            taken = await collect(masked, 1_000)
            return cidOf(RAW, taken)
          },
        )
        expect(toHex(taken)).toBe(toHex(encodeLanes(slowly(plain, masksOf(4)))))
        expect(toHex(made.sha256)).toBe(toHex(sha256(taken)))
      }),
      { numRuns: 30 },
    )
  })

  test.each([
    ['another weight than advertised', [2, 1], 160, 160],
    ['another count than one report', [3, 2], 160, 160],
    ['a vector that is too short', [3, 1], 144, 160],
    ['a vector that is too long', [3, 1], 176, 160],
  ])('%s is a mistake of ours, and nothing is signed', async (_, header, has, said) => {
    const plain = drawn(has / 4)
    plain.set(header)
    const keep = async (masked: AsyncIterable<Bytes>) => cidOf(RAW, await collect(masked, 1_000))
    const masking = { weight: 3, sizeBytes: said, masks: masksOf(1) }
    await expect(maskInto(cut(encodeLanes(plain), [16]), masking, keep)).rejects.toThrow(/lanes 0 and 1|as long as/)
  })

  test('of a store that did not read on to the end are a mistake of ours', async () => {
    const plain = drawn(40)
    plain.set([1, 1])
    const masking = { weight: 1, sizeBytes: 160, masks: masksOf(1) }
    await expect(maskInto(cut(encodeLanes(plain), [160]), masking, async () => cidOf(RAW, seed(1)))).rejects.toThrow(
      'the whole vector',
    )
  })
})

describe('the kernel that takes away', () => {
  test('gives the same bits as its JavaScript twin', () => {
    const kernel = ringKernel()
    if (!kernel) throw new Error('this machine has WebAssembly with SIMD')
    fc.assert(
      fc.property(fc.nat(2 ** 31), fc.integer({ min: 1, max: 40 }), fc.nat(20), (number, blocks, atBlocks) => {
        const lanes = 4 * 64
        const made = [kernelPiece(kernel, lanes), scriptSum(lanes)].map((piece) => {
          const next = uint32Stream(seed(number))
          piece.lanes.set(Uint32Array.from({ length: lanes }, next))
          for (const tile of piece.tiles) tile.set(encodeLanes(Uint32Array.from({ length: lanes }, next)))
          piece.subtractTiles(atBlocks * 16, blocks * 16)
          return toHex(encodeLanes(piece.lanes))
        })
        expect(made[0]).toBe(made[1])
      }),
      { numRuns: 50 },
    )
  })
})

describe('a masked vector', () => {
  const lanes = 2 ** 16

  test('of zeros cannot be told from chance: bytes, serial correlation, compression', () => {
    const vector = new Uint32Array(lanes)
    openMasker(lanes).add(vector, masksOf(3), 0)
    const bytes = encodeLanes(vector)
    const counts = new Float64Array(256)
    for (const byte of bytes) counts[byte] = (counts[byte] as number) + 1
    const expected = bytes.length / 256
    const square = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    expect(Math.abs(square - 255)).toBeLessThan(4 * 22.6)
    const unit = Array.from(vector, (lane) => lane / 2 ** 32 - 0.5)
    const serial = unit.reduce((sum, value, index) => sum + value * (unit[index + 1] ?? 0), 0) / (lanes / 12)
    expect(Math.abs(serial)).toBeLessThan(4 / Math.sqrt(lanes))
    expect(deflateRawSync(bytes, { level: 9 }).length).toBeGreaterThanOrEqual(bytes.length)
  })

  test('under a seed that differs in one bit, or in the order of its words, differs in half its bits', () => {
    const first = seedOf(5)
    const others = [0, 1, 100, 255, 256, 319].map((bit) => flip(first, bit))
    const swapped = Uint8Array.from(first)
    swapped.set(first.subarray(4, 8), 0)
    swapped.set(first.subarray(0, 4), 4)
    for (const other of [...others, swapped]) {
      const [a, b] = [first, other].map((seed) => {
        const vector = new Uint32Array(4_096)
        openMasker(4_096).add(vector, [{ seed, sign: 1 }], 0)
        return vector
      }) as [RingVector, RingVector]
      const bits = a.reduce((sum, lane, index) => sum + ones(lane ^ (b[index] as number)), 0)
      expect(Math.abs(bits - 4_096 * 16)).toBeLessThan(4 * Math.sqrt(4_096 * 8))
    }
  })
})

function ones(word: number): number {
  let count = 0
  for (let rest = word >>> 0; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}
