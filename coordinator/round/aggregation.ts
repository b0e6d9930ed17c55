import type { Millis } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { abort } from './aborted.ts'
import type { RoundEvent } from './events.ts'
import type { Aggregation, Collecting, Round, RoundRefusal } from './round.ts'
import { settle } from './settlement.ts'

/** The updates are in; the sum and the next model are being made. */
export function aggregate(round: Collecting, at: Millis): Aggregation {
  const { waiting: _, reported: __, ...seated } = round
  return { ...seated, phase: 'aggregation', endsAt: at + round.timing.aggregationMillis }
}

export function stepAggregation(round: Aggregation, event: RoundEvent): Result<Round, RoundRefusal> {
  switch (event.kind) {
    case 'aggregated': {
      const { manifest, model, memory, evaluation } = event
      return accept(settle(round, { manifest, model, memory, evaluation }, event.at))
    }
    case 'spoiled':
      return accept(abort(round, event.reason, event.at))
    case 'ticked':
      return event.at < round.endsAt ? refuse('not-due') : accept(abort(round, 'aggregation-late', event.at))
    case 'left':
    case 'joined':
    case 'declined':
    case 'reported':
    case 'settled':
      return refuse('wrong-phase', 'reporting is over')
  }
}
