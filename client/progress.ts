import type { Amount, Cid, Millis, Round, RunId } from '#protocol/ids.ts'
import type { Purpose } from '#protocol/plan.ts'
import type { TrainProgress } from '#protocol/ports.ts'

/** What a node tells its operator, and of which round. */
export type Progress = Told & { readonly run: RunId; readonly round: Round }

export type Told =
  | { readonly kind: 'joined' }
  /** Its work begins. */
  | { readonly kind: 'seated'; readonly seat: number; readonly purpose: Purpose }
  | ({ readonly kind: 'training' } & TrainProgress)
  /** Keys are shared with so many, oneself among them: what this node gives will be masked against all of them. */
  | { readonly kind: 'agreed'; readonly members: number }
  /** An earlier round was redone from its masked vectors, and its model is the one that it should be. */
  | { readonly kind: 'recomputed'; readonly past: Round; readonly reports: number }
  | { readonly kind: 'masked'; readonly bytes: number }
  | { readonly kind: 'reported'; readonly bytes: number; readonly trainMillis: Millis }
  /** Signed: these, and no others, may be summed. */
  | { readonly kind: 'confirmed'; readonly survivors: number }
  /** What takes the masks off their sum is given, and everything else of the session erased. */
  | { readonly kind: 'unmasked' }
  /** `left`: its seat is given up, since whoever runs the machine wants it so. */
  | { readonly kind: 'declined' | 'refused' | 'failed' | 'left'; readonly reason: string }
  | { readonly kind: 'ended'; readonly outcome: string }
  | { readonly kind: 'paid'; readonly amount: Amount; readonly receipt: Cid }

/** What was thrown, in words. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
