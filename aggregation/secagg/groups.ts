import { assert } from '#protocol/assert.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import { groupRank } from './derive.ts'
import { MEMBERS_MAX, MEMBERS_MIN } from './messages.ts'

/**
 * A population cut into groups of one complete graph each (R17), by a beacon that nobody knew when the population was
 * named: everyone computes the same groups, and nobody can choose their company.
 *
 * @param beacon the public random value
 * @param size most members of one group
 * @returns groups of nearly equal size, each ascending by key, as a roster has them
 */
export function groupsOf(population: readonly NodeId[], beacon: Bytes, size: number): readonly (readonly NodeId[])[] {
  assert(size >= MEMBERS_MIN && size <= MEMBERS_MAX, 'a group is what one complete graph holds')
  const count = Math.ceil(population.length / size)
  const order = population
    .map((id) => ({ id, rank: groupRank(beacon, id) }))
    .toSorted((a, b) => compare(a.rank, b.rank))
  return Array.from({ length: count }, (_, group) =>
    order.flatMap(({ id }, place) => (place % count === group ? [id] : [])).toSorted(),
  )
}

function compare(a: Bytes, b: Bytes): number {
  for (const [index, byte] of a.entries()) if (byte !== b[index]) return byte - (b[index] as number)
  return 0
}
