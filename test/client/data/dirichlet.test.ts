import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { dirichletSplit, levelled } from '#client/data/dirichlet.ts'

const seedOf = (number: number) => new Uint8Array(32).fill(number & 255).with(1, number >> 8)

test('every row goes to exactly one site, and no site gets less than the minimum', () => {
  const labels = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 60, maxLength: 300 })
  const alpha = fc.double({ min: 0.3, max: 10, noNaN: true })
  fc.assert(
    fc.property(labels, fc.integer({ min: 1, max: 5 }), alpha, fc.nat(255), (labels, sites, alpha, seed) => {
      const split = dirichletSplit({ labels, sites, alpha, minimum: 5, seed: seedOf(seed) })
      expect(split).toHaveLength(sites)
      expect(split.flat().toSorted((a, b) => a - b)).toEqual([...labels.keys()])
      expect(split.every((site) => site.length >= 5)).toBe(true)
    }),
    { numRuns: 50 },
  )
})

test('the same seed deals the same rows, another seed others', () => {
  const labels = Array.from({ length: 500 }, (_, row) => row % 10)
  const deal = (seed: number) => dirichletSplit({ labels, sites: 5, alpha: 0.5, minimum: 20, seed: seedOf(seed) })
  expect(deal(1)).toEqual(deal(1))
  expect(deal(2)).not.toEqual(deal(1))
})

/** For Dirichlet(α, …, α) over n sites a share has mean 1/n and variance (1/n)(1 − 1/n) / (nα + 1). */
test.each([0.5, 2])('shares have the mean and the variance of Dirichlet(%d)', (alpha) => {
  const [sites, draws, rows] = [4, 1200, 200]
  const labels = new Uint8Array(rows)
  const shares: number[] = []
  for (let seed = 0; seed < draws; seed++) {
    const [first] = dirichletSplit({ labels, sites, alpha, minimum: 0, seed: seedOf(seed) })
    shares.push((first?.length ?? 0) / rows)
  }
  const mean = shares.reduce((sum, share) => sum + share, 0) / draws
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / (draws - 1)
  const expected = ((1 / sites) * (1 - 1 / sites)) / (sites * alpha + 1)
  expect(Math.abs(mean - 1 / sites)).toBeLessThan(4 * Math.sqrt(expected / draws))
  expect(variance / expected).toBeGreaterThan(0.87)
  expect(variance / expected).toBeLessThan(1.13)
})

test('what cannot be dealt is refused instead of tried for ever', () => {
  const labels = Array.from({ length: 20 }, () => 0)
  expect(() => dirichletSplit({ labels, sites: 5, alpha: 1, minimum: 5, seed: seedOf(1) })).toThrow(RangeError)
  expect(() => dirichletSplit({ labels, sites: 5, alpha: 0.01, minimum: 4, seed: seedOf(1) })).toThrow(/no draw/)
})

test('levelled, everybody has the minimum, no row is lost, and who had enough keeps what it had unless it had most', () => {
  const split = fc.array(fc.array(fc.nat(9), { maxLength: 12 }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(split, (sizes) => {
      let row = 0
      const sites = sizes.map((site) => site.map(() => row++))
      const minimum = Math.floor(row / sites.length)
      const even = levelled(sites, minimum)
      expect(even.flat().toSorted((a, b) => a - b)).toEqual([...Array(row).keys()])
      expect(even.every((site) => site.length >= minimum)).toBe(true)
      const gives = sites.map((site, index) => site.length - (even[index] as readonly number[]).length)
      const giver = Math.max(
        ...gives.map((given, index) => (given > 0 ? (even[index] as readonly number[]).length : 0)),
      )
      for (const [index, site] of sites.entries())
        if (site.length >= minimum && site.length < giver) expect(even[index]).toEqual(site)
    }),
  )
})
