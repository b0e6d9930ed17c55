import { assert } from '#protocol/assert.ts'
import type { Round, Seated } from './round.ts'

/** What must hold after every accepted event, whatever came in. A breach is our own mistake, and the process stops. */
export function checkRound(before: Round, after: Round): void {
  assert(before.round === after.round && before.plan === after.plan, 'a round keeps its number and its plan')
  assert(order[after.phase] >= order[before.phase], 'a round never goes back')
  if ('cohort' in after && after.cohort) checkSeats(before, after as Round & Seated)
  switch (after.phase) {
    case 'reporting':
    case 'evaluation':
      assert(after.phase === (after.purpose === 'train' ? 'reporting' : 'evaluation'), 'the purpose names the phase')
      assert(after.waiting > 0, 'a phase that awaits nobody has ended')
      assert(after.reported + after.waiting >= after.rule.quorum, 'a phase that cannot reach its quorum has ended')
      return
    case 'aggregation':
    case 'settlement':
    case 'closed':
      assert(reports(after) >= after.rule.quorum, 'nothing is summed below the quorum')
      return
    case 'selection':
    case 'aborted':
      return
  }
}

const order = {
  selection: 0,
  reporting: 1,
  evaluation: 1,
  aggregation: 2,
  settlement: 3,
  closed: 4,
  aborted: 5,
} as const

function checkSeats(before: Round, after: Seated): void {
  assert(after.cohort.length === after.seats.length, 'a seat for every node of the cohort')
  if (!('cohort' in before) || !before.cohort || !before.seats) {
    assert(
      after.cohort.every((node, seat) => seat === 0 || (after.cohort[seat - 1] as string) < node),
      'seats are ascending by key, no node has two',
    )
    return
  }
  assert(before.cohort === after.cohort, 'a cohort never changes')
  if (before.seats === after.seats) return
  for (const [seat, state] of before.seats.entries())
    assert(state === 'waiting' || state === after.seats[seat], 'a filled seat never changes')
}

function reports(seated: Seated): number {
  return seated.seats.reduce((sum, state) => sum + (state !== 'waiting' && 'update' in state ? 1 : 0), 0)
}
