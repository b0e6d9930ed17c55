import { createHash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { concat, once } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { pieceOf } from '#storage/piece.ts'

/** fr32, bit by bit: 254 bits of the data, then two zero bits, into every 32 bytes. */
function fr32(bytes: Bytes): Bytes {
  const padded = new Uint8Array((bytes.length / 127) * 128)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const at = bit + 2 * Math.floor(bit / 254)
    if ((bytes[bit >> 3] as number) & (1 << (bit & 7))) padded[at >> 3] = (padded[at >> 3] as number) | (1 << (at & 7))
  }
  return padded
}

/** The root of a whole binary tree over nodes of 32 bytes, by SHA-256 whose last two bits are zero. */
function rootOf(nodes: Bytes): Bytes {
  if (nodes.length === 32) return nodes
  const half = nodes.length / 2
  const hash = createHash('sha256')
    .update(rootOf(nodes.subarray(0, half)))
    .update(rootOf(nodes.subarray(half)))
  const node = Uint8Array.from(hash.digest())
  node[31] = (node[31] as number) & 0x3f
  return node
}

/** By FRC-0069 and the sector's rules, from scratch and in memory. */
function expected(file: Bytes) {
  let unpadded = 127
  while (unpadded < file.length) unpadded *= 2
  const whole = new Uint8Array(unpadded)
  whole.set(file)
  const root = rootOf(fr32(whole))
  const paddedBytes = (unpadded / 127) * 128
  const height = Math.log2(paddedBytes / 32)
  const padding: number[] = []
  for (let rest = unpadded - file.length; ; rest = Math.floor(rest / 128)) {
    padding.push(rest < 128 ? rest : (rest % 128) | 128)
    if (rest < 128) break
  }
  const digest = Uint8Array.of(...padding, height, ...root)
  const piece = CID.decode(Uint8Array.of(1, 0x55, 0x91, 0x20, digest.length, ...digest))
  const commP = CID.decode(Uint8Array.of(1, 0x81, 0xe2, 0x03, 0x92, 0x20, 32, ...root))
  return { piece: piece.toString(), commP: commP.toString(), paddedBytes: BigInt(paddedBytes), sizeBytes: file.length }
}

async function* cut(bytes: Bytes, length: number): AsyncIterable<Bytes> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length)
}

describe('a piece', () => {
  test('is what a tree made from scratch says, however the file is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5000 }),
        fc.nat(255),
        fc.integer({ min: 1, max: 700 }),
        async (size, seed, length) => {
          const file = Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 7) + seed) & 0xff)
          expect(await pieceOf(cut(file, length))).toEqual(expected(file))
        },
      ),
      { numRuns: 60 },
    )
    const large = Uint8Array.from({ length: 300_000 }, (_, at) => (at * at) >> 3)
    expect(await pieceOf(once(large))).toEqual(expected(large))
  })

  test.each([
    ['127 zeros', [[127, 0]], 'bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy'],
    ['128 zeros', [[128, 0]], 'bafkzcibcpybwiktap34inmaex4wbs6cghlq5i2j2yd2bb2zndn5ep7ralzphkdy'],
    [
      '127 zeros, ones, twos and threes',
      [0, 1, 2, 3].map((value) => [127, value]),
      'bafkzcibcaaces3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi',
    ],
    [
      'those and four zeros',
      [...[0, 1, 2, 3].map((value) => [127, value]), [4, 0]],
      'bafkzcibd7abqlxticxolgseegik2stpfgkkuwyf6kufex3doorkvmzpjuxwe4dz4',
    ],
  ])('of %s is the one that was published', async (_, parts, piece) => {
    const file = concat(...parts.map(([length = 0, value = 0]) => new Uint8Array(length).fill(value)))
    expect((await pieceOf(once(file))).piece).toBe(piece)
    expect(expected(file).piece).toBe(piece)
  })

  test('of files that fill a sector, or miss it by a byte, has the height and padding of that', async () => {
    for (const size of [127, 128, 126, 254, 255, 127 * 8, 127 * 8 + 1]) {
      const file = new Uint8Array(size).fill(0xff)
      expect(await pieceOf(once(file))).toEqual(expected(file))
    }
  })
})
