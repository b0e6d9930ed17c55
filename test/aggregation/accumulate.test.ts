import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accumulate } from '#aggregation/accumulate.ts'
import { kernelSum, ringKernel, scriptSum, TILE_BYTES, TILES } from '#aggregation/kernels/ring.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { encodeLanes, type RingVector } from '#aggregation/vector.ts'
import { once, toHex } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { cut, cuts, must, seed } from './given.ts'

const lanes = 20
const vectors = fc.array(fc.uint32Array({ minLength: lanes, maxLength: lanes }), { maxLength: 11 })

/** The sum in float64, exact for so few, reduced at the end. */
function slowSum(updates: readonly RingVector[], length: number): RingVector {
  return Uint32Array.from(
    { length },
    (_, lane) => updates.reduce((sum, update) => sum + (update[lane] as number), 0) % 2 ** 32,
  )
}

function drawn(length: number, number: number): RingVector {
  const next = uint32Stream(seed(number))
  return Uint32Array.from({ length }, next)
}

describe('the sum of updates', () => {
  test('is the sum of every lane mod 2^32, in any order and cut anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(
        vectors,
        fc.array(cuts, { minLength: 11, maxLength: 11 }),
        fc.nat(),
        async (updates, sizes, turn) => {
          const order = updates.map((_, index) => updates[(index + turn) % updates.length] as RingVector)
          const streams = order.map((update, index) => cut(encodeLanes(update), sizes[index] ?? [1]))
          expect([...must(await accumulate(streams, lanes))]).toEqual([...slowSum(updates, lanes)])
        },
      ),
      { numRuns: 200 },
    )
  })

  test('has the same bits for every order of arrival', async () => {
    const updates = [1, 2, 3, 4, 5].map((number) => encodeLanes(drawn(64, number)))
    const sums = new Set<string>()
    for (const order of permutations(updates)) sums.add(toHex(encodeLanes(must(await accumulate(order.map(once), 64)))))
    expect(sums.size).toBe(1)
  })

  test.each([
    ['one tile, in JavaScript', TILE_BYTES / 4],
    ['a tile and one block, in JavaScript', TILE_BYTES / 4 + 4],
    ['five tiles and a part, in the kernel', TILE_BYTES + TILE_BYTES / 4 + 20],
  ])('of vectors of %s is right for cohorts that do and do not fill four', async (_, length) => {
    for (const n of [1, 3, 4, 6]) {
      const updates = Array.from({ length: n }, (_, index) => drawn(length, index))
      const streams = updates.map((update, index) => cut(encodeLanes(update), [50_001, 0, 65_536 + index]))
      const sum = must(await accumulate(streams, length))
      expect(toHex(encodeLanes(sum))).toBe(toHex(encodeLanes(slowSum(updates, length))))
    }
  })

  test('of nobody is zero', async () => {
    expect([...must(await accumulate([], 8))]).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
  })

  test('never has more than four updates open, whatever the cohort', async () => {
    let open = 0
    let most = 0
    let opened = 0
    async function* update(bytes: Bytes) {
      opened += 1
      most = Math.max(most, ++open)
      yield bytes
      open -= 1
    }
    async function* cohort() {
      for (let seat = 0; seat < 103; seat++) yield update(encodeLanes(drawn(lanes, seat)))
    }
    must(await accumulate(cohort(), lanes))
    expect({ opened, most, open }).toEqual({ opened: 103, most: TILES, open: 0 })
  })

  test.each([0, 3, 76, 79, 81, 96])(
    'is refused when an update has %i bytes instead of 80, and every stream is closed',
    async (sizeBytes) => {
      const closed: number[] = []
      async function* update(seat: number, bytes: Bytes) {
        try {
          yield bytes.subarray(0, 40)
          yield bytes.subarray(40)
        } finally {
          closed.push(seat)
        }
      }
      const whole = encodeLanes(drawn(lanes, 1))
      const streams = [whole, whole, new Uint8Array(sizeBytes), whole, whole].map((bytes, seat) => update(seat, bytes))
      const sum = await accumulate(streams, lanes)
      expect(sum).toMatchObject({ ok: false, refusal: 'wrong-length', detail: expect.stringContaining('update 2') })
      expect(closed.toSorted()).toEqual([0, 1, 2, 3])
    },
  )

  test('that cannot be read fails as its store does, and the other streams are closed', async () => {
    let closed = 0
    async function* sound() {
      try {
        yield new Uint8Array(40)
        yield new Uint8Array(40)
      } finally {
        closed += 1
      }
    }
    // biome-ignore lint/correctness/useYield: a stream that breaks before its first piece
    async function* broken(): AsyncGenerator<Bytes> {
      throw new Error('the disk is gone')
    }
    await expect(accumulate([sound(), broken(), sound()], lanes)).rejects.toThrow('the disk is gone')
    expect(closed).toBe(2)
  })

  test('of vectors that are not whole blocks is a mistake of ours', async () => {
    await expect(accumulate([], 6)).rejects.toThrow('whole blocks')
  })
})

describe('the kernel', () => {
  const kernel = ringKernel()

  test('runs on this machine', () => {
    expect(kernel).toBeDefined()
  })

  test('gives the same bits as its JavaScript twin, and touches nothing outside of what it was told', () => {
    if (!kernel) return
    fc.assert(
      fc.property(fc.nat(2 ** 31), fc.integer({ min: 1, max: 40 }), fc.nat(20), (number, blocks, atBlocks) => {
        const length = 4 * 64
        const sums = [kernelSum(kernel, length), scriptSum(length)]
        for (const sum of sums) {
          const next = uint32Stream(seed(number))
          for (const turn of [0, 1, 2])
            for (const tile of sum.tiles) {
              tile.set(encodeLanes(Uint32Array.from({ length }, next)))
              if (turn === 2) sum.addTiles(atBlocks * 16, blocks * 16)
            }
        }
        const [fast, slow] = sums.map((sum) => toHex(encodeLanes(sum.lanes)))
        expect(fast).toBe(slow)
      }),
      { numRuns: 50 },
    )
  })
})

function permutations<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length < 2) return [items]
  return items.flatMap((first, index) => permutations(items.toSpliced(index, 1)).map((rest) => [first, ...rest]))
}
