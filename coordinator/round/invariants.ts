import { assert } from '#protocol/assert.ts'
import type { Millis } from '#protocol/ids.ts'
import { quorumOf } from './collecting.ts'
import { deadlineOf, hasReported, type Round, type Seated } from './round.ts'
import { countOf, type Session } from './session.ts'

/** What must hold after every accepted event, whatever came in. A breach is our own mistake, and the process stops. */
export function checkRound(before: Round, after: Round, at: Millis): void {
  assert(before.round === after.round && before.plan === after.plan, 'a round keeps its number and its plan')
  assert(leadsTo[before.phase].includes(after.phase), `${before.phase} does not lead to ${after.phase}`)
  const endsAt = deadlineOf(after)
  assert(endsAt === undefined || endsAt > at, 'an open phase ends by itself, at a time to come')
  if ('cohort' in after && after.cohort) checkSeats(before, after as Round & Seated)
  switch (after.phase) {
    case 'keys':
      assert(after.secure !== null, 'only a masked round shares keys')
      assert((after.session.roster === null) === (after.step === 'enrolling'), 'nothing is dealt before the roster')
      assert(
        (after.session.shared !== null) === (after.step === 'agreeing' || after.step === 'judging'),
        'nothing is agreed on before U2',
      )
      return
    case 'reporting':
    case 'evaluation':
      assert(after.phase === (after.purpose === 'evaluate' ? 'evaluation' : 'reporting'), 'the purpose names the phase')
      assert(after.waiting > 0, 'a phase that awaits nobody has ended')
      assert(after.reported + after.waiting >= quorumOf(after), 'a phase that cannot reach its quorum has ended')
      assert(after.closing === after.reported >= quorumOf(after), 'the quorum, and nothing else, hurries the others')
      assert(
        before.phase !== after.phase || after.endsAt <= (deadlineOf(before) ?? 0),
        'a deadline only ever comes nearer',
      )
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
      assert(after.session.certificate === null, 'a certified session cannot be abandoned')
      assert(!after.seats.includes('waiting'), 'of every seat it is said what became of it')
      return
    case 'aborted':
      assert(!after.seats?.includes('waiting'), 'of every seat it is said what became of it')
      return
    case 'selection':
      return
  }
}

const leadsTo: Readonly<Record<Round['phase'], readonly Round['phase'][]>> = {
  selection: ['selection', 'keys', 'reporting', 'evaluation', 'aborted'],
  keys: ['keys', 'reporting', 'evaluation', 'aborted'],
  reporting: ['reporting', 'consistency', 'abandonment', 'aggregation', 'aborted'],
  evaluation: ['evaluation', 'consistency', 'abandonment', 'aggregation', 'aborted'],
  consistency: ['consistency', 'unmasking', 'abandonment'],
  unmasking: ['unmasking', 'aggregation', 'aborted'],
  abandonment: ['abandonment', 'aborted'],
  aggregation: ['settlement', 'aborted'],
  settlement: ['closed'],
  closed: ['closed'],
  aborted: [],
}

function checkSeats(before: Round, after: Round & Seated): void {
  assert(after.cohort.length === after.seats.length, 'a seat for every node of the cohort')
  const forgotten = before.phase === 'keys' && after.phase === 'aborted'
  assert((after.session !== null) === (after.secure !== null && !forgotten), 'a masked round has a session')
  if (!('cohort' in before) || !before.cohort || !before.seats) {
    assert(
      after.cohort.every((node, seat) => seat === 0 || (after.cohort[seat - 1] as string) < node),
      'seats are ascending by key, no node has two',
    )
    return
  }
  assert(before.cohort === after.cohort, 'a cohort never changes')
  if (before.seats !== after.seats)
    for (const [seat, state] of before.seats.entries())
      assert(state === 'waiting' || state === after.seats[seat], 'a filled seat never changes')
  if (before.session && after.session) checkSession(before.session, after.session, after)
}

function checkSession(before: Session, after: Session, { seats }: Seated): void {
  const { roster, shared, survivors, certificate, dealt, answers, confirms, unmasks, abandons } = after
  const lists = { dealt, answers, confirms, unmasks, abandons }
  assert(before.rule === after.rule && before.deadlines === after.deadlines, 'a session keeps its terms')
  for (const [name, list] of Object.entries(lists)) {
    const was = before[name as keyof typeof lists]
    assert(list.length === seats.length, 'a place for every member')
    assert(was === list || was.every((item, seat) => item === null || item === list[seat]), `${name}: said is said`)
  }
  const said = { roster, survivors, certificate }
  for (const [name, cid] of Object.entries(said))
    assert([null, cid].includes(before[name as keyof typeof said]), `the ${name} is signed once`)
  if (before.shared !== shared) {
    assert(shared?.version === (before.shared?.version ?? 0) + 1, 'U2 has two versions at most, one after the other')
    const known = before.shared?.members ?? dealt.map(Boolean)
    assert(
      shared.members.every((member, seat) => !member || known[seat]),
      'each U2 is a part of what was before it',
    )
  }
  assert(
    seats.every((state, seat) => !hasReported(state) || shared?.members[seat]),
    'only a member of U2 gives an input',
  )
  const survives = (item: unknown, seat: number) => item === null || (survivors !== null && hasReported(seats[seat]))
  assert(confirms.every(survives) && unmasks.every(survives), 'only survivors confirm and unmask')
}

function checkUnmasked({ rule, confirms, unmasks, certificate }: Session): void {
  assert(certificate !== null && countOf(confirms) >= rule.q, 'nothing is unmasked without a quorum')
  assert(countOf(unmasks) >= rule.t, 'nothing is unmasked below the threshold')
}

function reports(seated: Seated): number {
  return seated.seats.filter(hasReported).length
}
