import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { groupsOf } from '#aggregation/secagg/groups.ts'
import { sha256 } from '#crypto'
import { toHex, utf8 } from '#protocol/bytes.ts'
import { nodeIdOf, publicKeyOf } from '#protocol/ids.ts'
import { seed } from '#test/aggregation/given.ts'

const population = Array.from({ length: 1_000 }, (_, index) => nodeIdOf(sha256(seed(index))))

describe('groups', () => {
  test('hold everyone once, ascending, and differ by at most one in size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 1_000 }), fc.integer({ min: 3, max: 128 }), fc.nat(), (n, size, beacon) => {
        const groups = groupsOf(population.slice(0, n), seed(beacon), size)
        expect(groups.flat().toSorted()).toEqual(population.slice(0, n).toSorted())
        const sizes = groups.map(({ length }) => length)
        expect(Math.max(...sizes)).toBeLessThanOrEqual(size)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        for (const group of groups) expect(group).toEqual(group.toSorted())
      }),
      { numRuns: 20 },
    )
  })

  test('are positions j, j + G, … by SHA-256 of label, beacon and key, whatever the order of the list', () => {
    const beacon = seed(5)
    const ranked = population
      .map(
        (id) => [toHex(sha256(Uint8Array.of(...utf8('secagg/1 group\0'), ...beacon, ...publicKeyOf(id)))), id] as const,
      )
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
    const groups = groupsOf(population.toReversed(), beacon, 100)
    expect(groups).toHaveLength(10)
    for (const [j, group] of groups.entries())
      expect(group).toEqual(
        ranked
          .filter((_, place) => place % 10 === j)
          .map(([, id]) => id)
          .toSorted(),
      )
  })

  test('are others under another beacon', () => {
    expect(groupsOf(population, seed(1), 100)).not.toEqual(groupsOf(population, seed(2), 100))
  })
})
