import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import type { SeatRecord } from '#protocol/manifest.ts'
import { type Selection, selectionSchema } from '#protocol/selection.ts'
import type { Store } from './store.ts'

/** What a recorder counts of each node: whether it kept its last seats. In its rounds everybody who comes has a seat. */
export type Kept = Map<NodeId, readonly boolean[]>

/** The record of a draw in which everybody has a seat, with a lie about it, if any. */
export async function recordDraw(
  store: Store,
  { seed, nodes, kept = new Map() }: { readonly seed: Bytes; readonly nodes: readonly NodeId[]; readonly kept?: Kept },
  lie: (honest: Selection) => Selection = (honest) => honest,
): Promise<Cid> {
  const candidates = nodes.map((node) => {
    const seats = kept.get(node) ?? []
    const [taken, delivered] = [seats.length, seats.filter(Boolean).length]
    const tickets = Math.ceil((4 * (delivered + 1)) / (taken + 2))
    return { node, operator: null, taken, delivered, passed: 0, paceMillis: null, tickets }
  })
  return store.block(selectionSchema, lie({ v: 1, seed, candidates, absent: [] }))
}

export function countSeats(kept: Kept, seats: readonly SeatRecord[]): void {
  for (const { node, update } of seats) kept.set(node, [...(kept.get(node) ?? []), update !== null].slice(-8))
}
