import type { Millis } from '#protocol/ids.ts'
import { abandon } from './abandonment.ts'
import { abort } from './aborted.ts'
import { checkRound } from './invariants.ts'
import type { Round } from './round.ts'

/**
 * The run is over for its owner: the open round comes to nothing at once, or by abandonment where inputs may have left.
 * One whose sum is being made or paid for is let be, and so is one that is ending anyway.
 */
export function cutShort(round: Round, reason: string, at: Millis): Round {
  const cut = ended(round, reason, at)
  if (cut !== round) checkRound(round, cut, at)
  return cut
}

function ended(round: Round, reason: string, at: Millis): Round {
  switch (round.phase) {
    case 'selection':
    case 'keys':
      return abort(round, reason, at)
    case 'reporting':
    case 'evaluation': {
      const { session } = round
      return session ? abandon({ ...round, session }, reason, at) : abort(round, reason, at)
    }
    case 'consistency':
    case 'unmasking':
      return abandon(round, reason, at)
    case 'abandonment':
    case 'aggregation':
    case 'settlement':
    case 'closed':
    case 'aborted':
      return round
  }
}
