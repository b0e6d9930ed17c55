import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { equalBytes, fromHex, toHex } from '#protocol/bytes.ts'
import { applyDeflated, applyDifference, differenceOf, NO_GRID } from '#protocol/difference.ts'
import type { Bytes } from '#protocol/ids.ts'
import { published } from '#test/vectors/published.ts'

/** Bits of any float: of numbers, infinities, either zero, whatever is no number. */
const words = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.constantFrom(0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f7fffff, 0x00000001),
  fc
    .float({ noNaN: true, noDefaultInfinity: true })
    .map((value) => new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0),
)
const grids = fc.record({
  unit: fc.oneof(fc.double(), fc.double({ min: 1e-9, max: 1, noNaN: true })),
  offset: fc.oneof(fc.constant(0), fc.double()),
})
const pairs = fc
  .array(fc.tuple(words, words), { minLength: 1, maxLength: 50 })
  .map((list) => ({ parent: bytesOf(list.map(([word]) => word)), next: bytesOf(list.map(([, word]) => word)) }))

type Vector = Record<'parent' | 'next' | 'difference', string> & { readonly unit: number; readonly offset: number }

function bytesOf(bits: readonly number[]): Bytes {
  return new Uint8Array(Uint32Array.from(bits).buffer)
}

describe('a difference', () => {
  test('is that of the specification', () => {
    const { difference: vector } = published(['difference']) as { readonly difference: Vector }
    const [parent, next] = [fromHex(vector.parent), fromHex(vector.next)]
    const { unit, offset } = vector
    expect(toHex(differenceOf({ parent, next, grid: { unit, offset } }))).toBe(vector.difference)
    const made = applyDifference(parent, fromHex(vector.difference))
    expect(made.ok && toHex(made.value)).toBe(vector.next)
  })

  test('makes of the parent what it was made for, whatever the bits and the grid', async () => {
    await fc.assert(
      fc.asyncProperty(pairs, grids, async ({ parent, next }, grid) => {
        for (const known of [grid, NO_GRID]) {
          const difference = differenceOf({ parent, next, grid: known })
          const made = applyDifference(parent, difference)
          expect(made.ok && equalBytes(made.value, next)).toBe(true)
          const inflated = await applyDeflated(parent, deflateRawSync(difference))
          expect(inflated.ok && equalBytes(inflated.value, next)).toBe(true)
        }
      }),
      {
        numRuns: 200,
        // A step of minus nothing, which the bytes of a step have no word for.
        examples: [
          [
            { parent: bytesOf([0x80000000]), next: bytesOf([0]) },
            { unit: -5e-324, offset: -0 },
          ],
        ],
      },
    )
  })

  test('of other lengths than the parent asks for is refused', () => {
    const parent = new Uint8Array(8)
    const sound = differenceOf({ parent, next: parent, grid: NO_GRID })
    for (const length of [0, 8, sound.length - 1])
      expect(applyDifference(parent, sound.subarray(0, length))).toMatchObject({ refusal: 'bad-difference' })
    expect(applyDifference(new Uint8Array(12), sound)).toMatchObject({ refusal: 'bad-difference' })
    expect(applyDifference(new Uint8Array(7), new Uint8Array(16 + 14))).toMatchObject({ refusal: 'bad-difference' })
  })

  test('that inflates to more than the parent allows is given up at that point: a bomb makes no gigabyte', async () => {
    const bomb = deflateRawSync(new Uint8Array(2 ** 24))
    expect(bomb.length).toBeLessThan(2 ** 15)
    expect(await applyDeflated(new Uint8Array(64), bomb)).toMatchObject({
      refusal: 'bad-difference',
      detail: expect.stringContaining('more than 144 bytes'),
    })
  })

  test('that is cut short, has something behind its end, or was never deflated is refused', async () => {
    const parent = new Uint8Array(4000)
    const sound = deflateRawSync(differenceOf({ parent, next: parent.map((_, index) => index), grid: NO_GRID }))
    const behind = new Uint8Array([...sound, 1, 2, 3])
    for (const wrong of [sound.subarray(0, sound.length / 2), behind, new Uint8Array(0), new Uint8Array(50).fill(255)])
      expect(await applyDeflated(parent, wrong)).toMatchObject({ refusal: 'bad-difference' })
  })

  test('that was changed in any byte is refused or makes other bytes, and never throws', async () => {
    const parent = bytesOf([0x3f800000, 0xbf800000, 0, 0x7fc00000])
    const sound = deflateRawSync(differenceOf({ parent, next: bytesOf([1, 2, 3, 4]), grid: { unit: 1e-3, offset: 0 } }))
    for (let at = 0; at < sound.length; at++) {
      const changed = Uint8Array.from(sound, (byte, index) => (index === at ? byte ^ 0x55 : byte))
      const made = await applyDeflated(parent, changed)
      if (made.ok) expect(made.value).toHaveLength(parent.length)
    }
  })
})
