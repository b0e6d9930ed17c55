import { assert } from '#protocol/assert.ts'
import { quorumOf } from './collecting.ts'
import { hasReported, type Round, type Seated } from './round.ts'
import { countOf } from './session.ts'

/** What must hold after every accepted event, whatever came in. A breach is our own mistake, and the process stops. */
export function checkRound(before: Round, after: Round): void {
  assert(before.round === after.round && before.plan === after.plan, 'a round keeps its number and its plan')
  assert(order[after.phase] >= order[before.phase], 'a round never goes back')
  if ('cohort' in after && after.cohort) checkSeats(before, after as Round & Seated)
  switch (after.phase) {
    case 'keys':
      assert(after.secure !== null, 'only a masked round shares keys')
      assert(after.session.roster !== null || after.step === 'enrolling', 'nothing is dealt before the roster')
      return
    case 'reporting':
    case 'evaluation':
      assert((after.secure === null) === (after.session === null), 'a masked round has a session')
      assert(after.phase === (after.purpose === 'train' ? 'reporting' : 'evaluation'), 'the purpose names the phase')
      assert(after.waiting > 0, 'a phase that awaits nobody has ended')
      assert(after.reported + after.waiting >= quorumOf(after), 'a phase that cannot reach its quorum has ended')
      return
    case 'consistency':
    case 'unmasking':
      assert(reports(after) >= quorumOf(after), 'nothing is confirmed below the quorum')
      assert(
        (after.session.certificate !== null) === (after.phase === 'unmasking'),
        'masks come off by certificate only',
      )
      return
    case 'aggregation':
    case 'settlement':
    case 'closed':
      assert(reports(after) >= quorumOf(after), 'nothing is summed below the quorum')
      if (after.session) checkUnmasked(after.session)
      return
    case 'abandonment':
      assert(after.session.shared !== null, 'an input can have left only after U2')
      return
    case 'selection':
    case 'aborted':
      return
  }
}

const order = {
  selection: 0,
  keys: 1,
  reporting: 2,
  evaluation: 2,
  consistency: 3,
  unmasking: 4,
  aggregation: 5,
  settlement: 6,
  closed: 7,
  abandonment: 8,
  aborted: 9,
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

function checkUnmasked({ rule, confirms, unmasks, certificate }: NonNullable<Seated['session']>): void {
  assert(certificate !== null && countOf(confirms) >= rule.q, 'nothing is unmasked without a quorum')
  assert(countOf(unmasks) >= rule.t, 'nothing is unmasked below the threshold')
}

function reports(seated: Seated): number {
  return seated.seats.filter(hasReported).length
}
