import { lanesOf, type Payload, payloadIn, vectorBytesOf, widthOf } from '#aggregation/vector.ts'
import { codecOf, DAG_PB, RAW } from '#protocol/cid.ts'
import type { NodeId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { ClientMessage } from '#protocol/messages.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { type Collecting, seatOf } from './round/round.ts'
import type { Run, RunRefusal } from './run.ts'

export type AdmitRefusal =
  | RunRefusal
  | 'wrong-coordinator'
  | 'replayed'
  | 'wrong-seat'
  | 'wrong-plan'
  | 'wrong-model'
  | 'wrong-shape'
  | 'masking-required'

/** What a node says of a round, and not of itself. */
export type RoundMessage = Extract<ClientMessage, { readonly round: unknown }>
type Report = Extract<ClientMessage, { kind: 'report' }>

/** Is this about the round that is open now? Everything else has a name for what it is instead. */
export function admit(run: Run | undefined, message: RoundMessage): Result<Run, AdmitRefusal> {
  if (!run) return refuse('no-round', 'no such run')
  // Who comes back to a session that is over says so, whatever is open now.
  if (message.kind === 'abandon') return accept(run)
  if (run.phase === 'ended' || run.phase === 'finishing') return refuse('run-ended')
  const open = run.round?.round ?? run.past.length
  if (message.round < open || (message.round === open && !run.round))
    return refuse('past-round', `round ${open} is the last`)
  if (message.round > open || !run.round) return refuse('future-round', `round ${open} is the last`)
  return accept(run)
}

/** Everything about a report that its frame and the state can tell, before a byte of its vector is read. */
export function admitReport(
  run: Run,
  from: NodeId,
  report: Report,
  payload: Payload,
): Result<Collecting, AdmitRefusal> {
  const round = run.round
  if (round?.phase !== 'reporting' && round?.phase !== 'evaluation')
    return refuse('wrong-phase', `${round?.phase} is open`)
  if (round.session) return refuse('masking-required', 'this round takes masked inputs only')
  const seat = seatOf(round.cohort, from)
  if (seat < 0) return refuse('not-in-cohort')
  if (report.seat !== seat) return refuse('wrong-seat', `yours is ${seat}`)
  if (report.plan !== round.plan) return refuse('wrong-plan')
  if (report.model !== run.model) return refuse('wrong-model')
  const width = widthOf(payloadIn(round.purpose, payload))
  if (report.lanes !== lanesOf(width) || report.sizeBytes !== vectorBytesOf(width))
    return refuse('wrong-shape', `${lanesOf(width)} lanes in ${vectorBytesOf(width)} bytes are due`)
  // A vector is a file; under another codec the same bytes would have a second name, and the record would not be one.
  if (codecOf(report.vector) !== (report.sizeBytes > BLOCK_BYTES_MAX ? DAG_PB : RAW))
    return refuse('wrong-shape', 'not a file')
  const state = round.seats[seat]
  if (state !== 'waiting') return refuse(state && 'update' in state ? 'already-reported' : 'seat-gone')
  return accept(round)
}
