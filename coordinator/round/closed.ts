import type { Millis } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { RoundEvent } from './events.ts'
import type { Closed, Round, RoundRefusal, Settlement } from './round.ts'

/** The round is in the history. */
export function close(round: Settlement, receipts: Closed['receipts'], at: Millis): Closed {
  const { endsAt: _, ...settled } = round
  return { ...settled, phase: 'closed', receipts, endedAt: at }
}

/** Only an overdue settlement can still arrive. */
export function stepClosed(round: Closed, event: RoundEvent): Result<Round, RoundRefusal> {
  if (event.kind === 'settled' && round.receipts === 'overdue') return accept({ ...round, receipts: event.receipts })
  return refuse('round-over')
}
