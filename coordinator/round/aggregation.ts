import type { Millis } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { abort } from './aborted.ts'
import type { RoundEvent } from './events.ts'
import {
  type Aggregation,
  type Collecting,
  type Opened,
  openedOf,
  type Round,
  type RoundRefusal,
  type Seated,
  type Unmasking,
} from './round.ts'
import { settle } from './settlement.ts'

/** The updates are in, and in a masked round what takes their masks off; the sum and the next model are being made. */
export function aggregate(round: Collecting | Unmasking, at: Millis): Aggregation {
  const { startedAt, timing } = round
  return { ...seatedOf(round), phase: 'aggregation', startedAt, endsAt: at + timing.aggregationMillis }
}

/** What the later phases keep of the earlier. */
export function seatedOf(round: Opened & Seated): Opened & Seated {
  const { selection, cohort, seats, session } = round
  return { ...openedOf(round), selection, cohort, seats, session }
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
    default:
      return refuse('wrong-phase', 'reporting is over')
  }
}
