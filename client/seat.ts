import type { Bytes, Cid, Millis, Round, RunId } from '#protocol/ids.ts'
import type { Assignment } from './assignment.ts'
import type { Conduct } from './conduct.ts'
import type { Membership } from './membership.ts'

/** The one round that this node is in, if any, and what it said last in it: said again as it was when asked again. */
export type Seat = Place & {
  /** The sealed plan that was read and judged: the only one that this node gives an update for in this round. */
  readonly plan: Cid
  readonly assignment: Assignment
  readonly inputKey: string
  /** Whoever is not seated a while after this will not be: the message that says so may have been lost. */
  readonly closesAt: Millis
  /** In a masked round what this node says goes through here, and nothing else of it leaves. */
  readonly membership: Membership | undefined
  frame: Bytes
  stage: 'joined' | 'training' | 'reported'
  readonly stop: AbortController
}

/** Which round, of which run. */
export type Place = { readonly run: RunId; readonly round: Round }

/** The frame of whoever has said nothing that is said again. */
export const NOTHING: Bytes = new Uint8Array(0)

/** Whether its node trains now, or is about to. */
export function isTraining(seat: Seat | undefined): boolean {
  return seat?.stage === 'training' && !seat.membership?.isOver
}

/** Until when it keeps this node from rounds of other runs. */
export function isBusy({ stage, membership, closesAt }: Seat, now: Millis): boolean {
  switch (stage) {
    case 'joined':
      return now < closesAt
    case 'training':
      return !membership?.isOver
    case 'reported':
      return false
  }
}

/**
 * Whether its node, held back as it is, keeps it: one that was only asked for goes back to the round, which gives it to
 * somebody else; of one whose input is given nothing is left to do but to answer.
 */
export function mayKeep(seat: Seat, { joins, works, answers }: Conduct): boolean {
  const phase = seat.membership?.phase
  if (!answers) return false
  if (seat.stage === 'joined' && (phase === undefined || phase === 'advertised')) return joins
  const isGiven = phase ? phase === 'masked' || phase === 'confirmed' || phase === 'spent' : seat.stage === 'reported'
  return works || isGiven
}

/** A repeat was heard the first time, a quorum does not wait for the last Confirm, and not everybody has to abandon. */
export function isNoNews(
  { of, refusal }: { readonly of: string; readonly refusal: string },
  seat: Seat | undefined,
): boolean {
  if (of === 'abandon' || (of === 'confirm' && refusal === 'wrong-phase')) return true
  return seat?.membership?.hasRepeated(of) ?? false
}

/** When its round is over at the latest, by its plan: a coordinator that was away may take longer. */
export function overBy({ closesAt, assignment }: Seat): Millis {
  const { keysMillis, reportingMillis, consistencyMillis, unmaskingMillis, aggregationMillis, settlementMillis } =
    assignment.plan.timing
  const session = assignment.plan.secure ? 2 * keysMillis + consistencyMillis + unmaskingMillis : 0
  return closesAt + session + reportingMillis + aggregationMillis + settlementMillis
}
