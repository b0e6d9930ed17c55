import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { holdOut, strataOf } from '#client/data/holdout.ts'
import { below, shuffle } from '#client/data/shuffle.ts'

const seedOf = (byte: number) => new Uint8Array(32).fill(byte)
const labels = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 200 })
const byte = fc.integer({ min: 0, max: 255 })

test('every row is trained on or held out, never both, and a fifth of each class is held out', () => {
  fc.assert(
    fc.property(labels, byte, (labels, seed) => {
      const { train, heldOut } = holdOut(labels, seedOf(seed))
      expect([...train, ...heldOut].toSorted((a, b) => a - b)).toEqual([...labels.keys()])
      expect([...train]).toEqual([...train].toSorted((a, b) => a - b))
      expect(heldOut).toHaveLength(Math.round(labels.length / 5))
      for (const label of new Set(labels)) {
        const size = labels.filter((each) => each === label).length
        const held = [...heldOut].filter((row) => labels[row] === label).length
        expect(Math.abs(held - size / 5)).toBeLessThan(1)
      }
    }),
  )
})

test('the split depends on the labels and the seed, and on nothing else', () => {
  const some = Array.from({ length: 100 }, (_, row) => row % 3)
  const [first, again, other] = [3, 3, 4].map((seed) => [...holdOut(some, seedOf(seed)).heldOut])
  expect(again).toEqual(first)
  expect(other).not.toEqual(first)
})

test('the first held-out rows are a sample of all classes, not the first classes', () => {
  const some = Array.from({ length: 1000 }, (_, row) => Math.floor(row / 500))
  const classes = [...holdOut(some, seedOf(9)).heldOut.subarray(0, 60)].map((row) => some[row])
  expect(classes.filter((label) => label === 0).length).toBeGreaterThan(15)
  expect(classes.filter((label) => label === 1).length).toBeGreaterThan(15)
})

test('every order of three comes up equally often', () => {
  let word = 0
  const counts = new Map<string, number>()
  // All pairs of the six values that each of the two draws can tell apart.
  for (let turn = 0; turn < 36; turn++) {
    const words = [Math.floor(turn / 6), turn % 6]
    word = 0
    const order = shuffle([0, 1, 2], () => words[word++] as number).join('')
    counts.set(order, (counts.get(order) ?? 0) + 1)
  }
  expect([...counts.values()]).toEqual(Array(6).fill(6))
})

test('a word that would make low numbers likelier is drawn again', () => {
  const words = [2 ** 32 - 1, 2 ** 32 - 2, 7]
  expect(below(3, () => words.shift() as number)).toBe((2 ** 32 - 2) % 3)
  expect(words).toEqual([7])
})

test('numbers are held out of all sizes: of each tenth of them a fifth', () => {
  const numbers = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { maxLength: 120 })
  fc.assert(
    fc.property(numbers, byte, (values, seed) => {
      const strata = strataOf(Float32Array.from(values))
      const sizes = Map.groupBy(strata, (stratum) => stratum)
      expect(sizes.size).toBe(Math.min(10, Math.max(Math.min(1, values.length), Math.floor(values.length / 5))))
      for (const [row, value] of values.entries())
        for (const [other, next] of values.entries())
          if ((strata[row] as number) < (strata[other] as number)) expect(value).toBeLessThanOrEqual(next)
      const { heldOut } = holdOut(strata, seedOf(seed))
      for (const [stratum, { length }] of sizes) {
        const held = [...heldOut].filter((row) => strata[row] === stratum).length
        expect(Math.abs(held - length / 5)).toBeLessThan(1)
      }
    }),
    { numRuns: 30 },
  )
})
