import type { Secure } from '#protocol/plan.ts'
import type { PartsStore } from '#protocol/ports.ts'
import { reportedSeats, type Seated } from './round/round.ts'

export type VectorStores = {
  /** Anyone may read it. */
  readonly blobs: PartsStore
  /** Masked vectors of which only the hash is public. */
  readonly withheld: PartsStore
}

/** Where the vectors of a run lie. */
export function vectorsOf({ blobs, withheld }: VectorStores, secure: Secure | null): PartsStore {
  return secure?.publish === 'commit-only' ? withheld : blobs
}

/**
 * What was uploaded waits for its report for a while, and is a blob from its report on: what nobody reports goes by itself.
 * To be done again at the round's end, since whoever took a report may have died before it came to this.
 */
export async function keepReported(store: PartsStore, seated: Pick<Seated, 'cohort' | 'seats'>): Promise<void> {
  for (const { vector } of reportedSeats(seated)) await store.finish(vector)
}
