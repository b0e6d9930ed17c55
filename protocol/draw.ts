import type { NodeId } from './ids.ts'
import type { CohortRule } from './plan.ts'
import { drawRank } from './seeds.ts'
import type { Candidate, Selection } from './selection.ts'

type Drawn = Pick<Candidate, 'node' | 'operator' | 'tickets'>
type Bounds = Pick<CohortRule, 'max' | 'operatorSeatsMax'>

/**
 * The public draw that anyone can repeat: at most `max` of the candidates, ascending by key. Each has the rank of its best
 * ticket, the smallest first; whose operator has its most seats already is passed over.
 *
 * The smallest of w uniforms is the smallest of all with chance w ÷ Σw, and so on among those who are left: this is
 * weighted sampling without replacement, exactly (Efraimidis and Spirakis, 2006, whose key u^(1/w) is the largest of w
 * uniforms in law), and no float is in it.
 */
export function draw(
  { seed, candidates }: Pick<Selection, 'seed'> & { readonly candidates: readonly Drawn[] },
  bounds: Bounds,
): readonly NodeId[] {
  const { max, operatorSeatsMax } = bounds
  if (seatable(candidates, operatorSeatsMax) === candidates.length && candidates.length <= max)
    return candidates.map(({ node }) => node)
  const ranked = candidates.map((one) => ({ ...one, rank: drawRank(seed, one.node, one.tickets) }))
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1))
  const seats = new Map<string, number>()
  const cohort: NodeId[] = []
  for (const one of ranked) {
    const taken = seats.get(operatorOf(one)) ?? 0
    if (cohort.length === max) break
    if (taken === operatorSeatsMax) continue
    seats.set(operatorOf(one), taken + 1)
    cohort.push(one.node)
  }
  return cohort.sort()
}

/** How many of them could be seated together, if there were seats without end. */
export function seatable(
  candidates: readonly Pick<Candidate, 'node' | 'operator'>[],
  operatorSeatsMax: number,
): number {
  const seats = new Map<string, number>()
  for (const one of candidates) seats.set(operatorOf(one), (seats.get(operatorOf(one)) ?? 0) + 1)
  return [...seats.values()].reduce((sum, count) => sum + Math.min(count, operatorSeatsMax), 0)
}

function operatorOf({ node, operator }: Pick<Candidate, 'node' | 'operator'>): string {
  return operator ?? node
}
