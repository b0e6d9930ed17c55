import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sha256 } from '#crypto'
import { concat, toHex, utf8 } from '#protocol/bytes.ts'
import { draw } from '#protocol/draw.ts'
import { type NodeId, nodeIdOf, publicKeyOf } from '#protocol/ids.ts'
import { TICKETS_MAX } from '#protocol/limits.ts'
import { bytesOf } from './arbitraries.ts'

type Drawn = { readonly node: NodeId; readonly operator: string | null; readonly tickets: number }

const NODES = Array.from({ length: 40 }, (_, place) => nodeIdOf(sha256(utf8(`candidate ${place}`)))).sort()
const seedOf = (name: string | number) => sha256(utf8(`draw ${name}`))

const candidates: fc.Arbitrary<readonly Drawn[]> = fc
  .tuple(
    fc.shuffledSubarray([...NODES], { minLength: 2 }),
    fc.infiniteStream(fc.integer({ min: 1, max: TICKETS_MAX })),
    fc.infiniteStream(fc.constantFrom(null, null, 'alba', 'brac', 'caen')),
  )
  .map(([nodes, tickets, operators]) =>
    nodes.map((node) => ({ node, operator: operators.next().value ?? null, tickets: tickets.next().value ?? 1 })),
  )
const bounds = fc.record({ max: fc.integer({ min: 2, max: 20 }), operatorSeatsMax: fc.integer({ min: 1, max: 10 }) })

/** Written out again from docs/protocol.md: every ticket is a lot, and lots are taken from the smallest up. */
function lotByLot(
  seed: Uint8Array,
  all: readonly Drawn[],
  { max, operatorSeatsMax }: { max: number; operatorSeatsMax: number },
) {
  const lots = all.flatMap(({ node, operator, tickets }) =>
    Array.from({ length: tickets }, (_, ticket) => ({
      ...{ node, operator: operator ?? node },
      rank: toHex(sha256(concat(seed, publicKeyOf(node), Uint8Array.of(ticket)))),
    })),
  )
  const seated: typeof lots = []
  for (const lot of lots.sort((a, b) => (a.rank < b.rank ? -1 : 1)))
    if (
      seated.length < max &&
      !seated.some(({ node }) => node === lot.node) &&
      seated.filter(({ operator }) => operator === lot.operator).length < operatorSeatsMax
    )
      seated.push(lot)
  return seated.map(({ node }) => node).sort()
}

describe('a draw', () => {
  test('takes lots from the smallest up, whatever the order of the candidates', () => {
    fc.assert(
      fc.property(bytesOf(32), candidates, bounds, (seed, all, rule) => {
        const ascending = all.toSorted((a, b) => (a.node < b.node ? -1 : 1))
        expect(draw({ seed, candidates: ascending }, rule)).toEqual(lotByLot(seed, all, rule))
        expect(draw({ seed, candidates: all }, rule).toSorted()).toEqual(lotByLot(seed, all, rule))
      }),
      { numRuns: 30 },
    )
  })

  test('gives no operator more than its most seats, also where there is room for all', () => {
    const all = NODES.slice(0, 6).map((node, place) => ({ node, operator: place < 5 ? 'alba' : null, tickets: 1 }))
    const cohort = draw({ seed: seedOf(1), candidates: all }, { max: 6, operatorSeatsMax: 2 })
    expect(cohort).toHaveLength(3)
    expect(cohort).toContain(NODES[5])
  })

  test('takes a candidate first with the chance of its share of all tickets, and then of those that are left', () => {
    const [a, b, c] = NODES as [NodeId, NodeId, NodeId]
    const all = [1, 3, 12].map((tickets, place) => ({ node: NODES[place] as NodeId, operator: null, tickets }))
    const [draws, alone, pairs] = [2000, new Map<NodeId, number>(), new Map<NodeId, number>()]
    for (let turn = 0; turn < draws; turn++) {
      const of = { seed: seedOf(turn), candidates: all }
      const [first] = draw(of, { max: 1, operatorSeatsMax: 1 })
      alone.set(first as NodeId, (alone.get(first as NodeId) ?? 0) + 1)
      for (const node of draw(of, { max: 2, operatorSeatsMax: 1 })) pairs.set(node, (pairs.get(node) ?? 0) + 1)
    }
    /** Within four standard deviations. */
    const isNear = (count = 0, chance: number) =>
      expect(Math.abs(count - draws * chance)).toBeLessThan(4 * Math.sqrt(draws * chance * (1 - chance)))
    isNear(alone.get(a), 1 / 16)
    isNear(alone.get(b), 3 / 16)
    isNear(alone.get(c), 12 / 16)
    // First, or second after each of the others.
    isNear(pairs.get(a), 1 / 16 + (3 / 16) * (1 / 13) + (12 / 16) * (1 / 4))
    isNear(pairs.get(b), 3 / 16 + (1 / 16) * (3 / 15) + (12 / 16) * (3 / 4))
  })
})
