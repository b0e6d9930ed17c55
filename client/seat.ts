import type { Bytes, Cid, Millis, Round, RunId } from '#protocol/ids.ts'
import type { Assignment } from './assignment.ts'

/** The one round that this node is in, if any, and what it said last in it: said again as it was when asked again. */
export type Seat = {
  readonly run: RunId
  readonly round: Round
  /** The sealed plan that was read and judged: the only one that this node signs a report of in this round. */
  readonly plan: Cid
  readonly assignment: Assignment
  /** Whoever is not seated a while after this will not be: the message that says so may have been lost. */
  readonly closesAt: Millis
  frame: Bytes
  stage: 'joined' | 'training' | 'reported'
  readonly stop: AbortController
}

export function seatIn(
  place: Pick<Seat, 'run' | 'round' | 'plan' | 'closesAt'>,
  assignment: Assignment,
  frame: Bytes,
): Seat {
  return { ...place, assignment, frame, stage: 'joined', stop: new AbortController() }
}
