import type { Millis } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { close } from './closed.ts'
import type { RoundEvent } from './events.ts'
import type { Aggregated, Aggregation, Round, RoundRefusal, Settlement } from './round.ts'

/** The model stands; the contributors are being paid. */
export function settle(round: Aggregation, made: Aggregated, at: Millis): Settlement {
  return { ...round, ...made, phase: 'settlement', endsAt: at + round.timing.settlementMillis }
}

/**
 * A model is published by now, so this phase cannot abort: money may have moved. At its deadline the round closes with
 * its receipts overdue, settlement goes on trying behind it, and the run's record waits for it, not the training.
 */
export function stepSettlement(round: Settlement, event: RoundEvent): Result<Round, RoundRefusal> {
  switch (event.kind) {
    case 'settled':
      return accept(close(round, event.receipts, event.at))
    case 'ticked':
      return event.at < round.endsAt ? refuse('not-due') : accept(close(round, 'overdue', event.at))
    default:
      return refuse('wrong-phase', 'the model is made')
  }
}
