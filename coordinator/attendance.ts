import { type Attendance, attend, isKept, type Kept } from '#protocol/attendance.ts'
import type { NodeId } from '#protocol/ids.ts'
import { fateOf } from './round/aborted.ts'
import { type Aborted, type Closed, hasReported } from './round/round.ts'

/** What the next draw goes by, after this round. One that ended before its draw says nothing of anybody. */
export function attendanceAfter(before: readonly Attendance[], round: Closed | Aborted): readonly Attendance[] {
  const { selection, cohort } = round
  if (!cohort) return before
  const seats = cohort.map((node, seat): [NodeId, Kept] => [node, keptOf(round, seat)])
  const candidates = selection.candidates.map(({ node }) => node)
  return attend(before, { round: round.round, candidates, seats: new Map(seats) })
}

/** As the round's record will tell of it. */
function keptOf(round: Closed | Aborted, seat: number): Kept {
  if (round.phase === 'aborted') return { kept: isKept(fateOf(round, seat)), paceMillis: null }
  const state = round.seats[seat]
  if (hasReported(state)) return { kept: true, paceMillis: state.at - round.startedAt }
  const reason = state === undefined || state === 'waiting' ? null : state.gone
  return { kept: isKept({ update: null, reason }), paceMillis: null }
}
