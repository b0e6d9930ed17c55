import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { TILE_BYTES } from '#aggregation/kernels/ring.ts'
import { type Mask, opposite, SEGMENT_LANES } from '#aggregation/secagg/mask.ts'
import type { RemoveMasks } from '#aggregation/secagg/removal.ts'
import { toHex } from '#protocol/bytes.ts'
import { drawn, hexOf, masksOf, seedOf, slowly } from '#test/secagg/masks.ts'

/** What everyone promises who takes masks off sums. */
export function maskRemovalConformance(name: string, removeMasks: RemoveMasks): void {
  describe(`mask removal: ${name}`, () => {
    const expectExact = async (lanes: number, masks: readonly Mask[], number = 1) => {
      const sum = drawn(lanes, number)
      await removeMasks(sum, masks)
      expect(hexOf(sum)).toBe(hexOf(slowly(drawn(lanes, number), opposite(masks))))
    }

    test('what is left is the sum without the keystreams, whatever its length, masks and signs', async () => {
      const mask = fc.record({ number: fc.nat(1_000), sign: fc.constantFrom(1 as const, -1 as const) })
      const masks = fc.array(mask, { maxLength: 6 })
      const blocks = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 40_000 }))
      await fc.assert(
        fc.asyncProperty(blocks, masks, (blocks, masks) =>
          expectExact(
            blocks * 4,
            masks.map(({ number, sign }) => ({ seed: seedOf(number), sign })),
          ),
        ),
        { numRuns: 12 },
      )
    })

    test.each([
      ['one block', 4],
      ['a tile and a block', TILE_BYTES / 4 + 4],
      ['a segment', SEGMENT_LANES],
      ['segments and a block', 2 * SEGMENT_LANES + 4],
    ])('of %s the last lane is as exact as the first', async (_, lanes) => expectExact(lanes, masksOf(3)))

    test('many masks are more than one step, and come off all the same', async () => expectExact(1_000, masksOf(70)))

    test('no masks leave the sum as it was', async () => expectExact(1_000, []))

    test('sums of one time do not meet', async () => {
      const jobs = [300_000, 16, 150_004].map((lanes, index) => expectExact(lanes, masksOf(9, index * 10), index))
      await Promise.all(jobs)
    })

    test('the masks are left to their owner as they were', async () => {
      const masks = masksOf(20)
      await removeMasks(drawn(70_000), masks)
      expect(masks.map(({ seed }) => toHex(seed))).toEqual(masksOf(20).map(({ seed }) => toHex(seed)))
    })

    test('the event loop turns meanwhile: what else is due does not wait for the sum', async () => {
      let [turns, done] = [0, false]
      const turn = () => {
        turns++
        if (!done) setImmediate(turn)
      }
      setImmediate(turn)
      await removeMasks(drawn(SEGMENT_LANES), masksOf(200))
      done = true
      expect(turns).toBeGreaterThan(5)
    })

    test('an abort ends it with its reason, before it starts or while it works, and the next sum is right', async () => {
      const untouched = drawn(1_000)
      const early = AbortSignal.abort(new Error('too late'))
      await expect(removeMasks(untouched, masksOf(20), early)).rejects.toThrow('too late')
      expect(hexOf(untouched)).toBe(hexOf(drawn(1_000)))

      const masks = masksOf(200)
      const stop = new AbortController()
      const sum = drawn(3 * SEGMENT_LANES)
      const running = removeMasks(sum, masks, stop.signal)
      setImmediate(() => stop.abort(new Error('the round is over')))
      await expect(running).rejects.toThrow('the round is over')
      const given = hexOf(sum)
      await expectExact(300_000, masksOf(5))
      expect(hexOf(sum)).toBe(given)
    })
  })
}
