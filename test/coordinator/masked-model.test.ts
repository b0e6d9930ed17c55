import { expect, test } from '@jest/globals'
import { secureRule } from '#aggregation/secagg/parameters.ts'
import type { RoundEvent } from '#coordinator/round/events.ts'
import { deadlineOf, hasReported, type Round, type SeatState, stepRound } from '#coordinator/round/round.ts'
import type { Millis } from '#protocol/ids.ts'
import { must } from '#test/aggregation/given.ts'
import { type Happening, happens, maskedSpecOf, node, specOf } from './fixture.ts'
import { started, until } from './histories.ts'

/**
 * Every state that a masked round of a few members can get into, by every event in every order, from the roster on. Time
 * stands still but for ticks and for what a slow coordinator does: right before a deadline, at it, and long after it.
 */
type Known = { readonly round: Round; readonly at: Millis }
type Explored = { readonly states: number; readonly ends: ReadonlySet<string> }

const FAR = 1_000_000

function explore(n: number, corrupt: number): Explored {
  const { timing } = specOf()
  // So short that a U2 which takes its time leaves none for the inputs.
  const spec = maskedSpecOf(n, corrupt, { timing: { ...timing, reportingMillis: 1 } })
  const { round } = until(started(spec), 'enrolling')
  if (!round) throw new Error('a round is open')
  const first = { round, at: 0 }
  const known = new Map([[nameOf(first), first]])
  const later = new Map<string, ReadonlySet<string>>()
  const ends = new Set<string>()
  for (const [name, here] of known) {
    const next = new Set<string>()
    for (const event of eventsIn(here, n)) {
      const stepped = stepRound(here.round, event)
      if (!stepped.ok) continue
      const there = { round: stepped.value, at: event.at }
      const other = nameOf(there)
      next.add(other)
      if (!known.has(other)) known.set(other, there)
    }
    later.set(name, next)
    check(here, n, corrupt)
    if (here.round.phase === 'aborted') ends.add(here.round.reason)
    if (here.round.phase === 'closed') ends.add('closed')
  }
  expectNoWayBack(later)
  return { states: known.size, ends }
}

function eventsIn({ round, at }: Known, n: number): readonly RoundEvent[] {
  const each = [
    happens.deal,
    happens.agree,
    happens.object,
    happens.report,
    happens.leave,
    happens.confirm,
    happens.unmask,
  ]
  const words: Happening[] = [
    happens.enrol(),
    happens.survey(),
    happens.certify(),
    happens.aggregate(),
    happens.settle(),
  ]
  words.push(happens.spoil('spoiled'), happens.join(0), { kind: 'declined', node: node(0), reason: 'busy' })
  for (let seat = 0; seat <= n; seat++)
    words.push(...each.map((word) => word(seat)), happens.abandon(seat, false), happens.abandon(seat, true))
  for (let set = 0; set < 2 ** n; set++)
    words.push(happens.share(Array.from({ length: n }, (_, seat) => seat).filter((seat) => set & (1 << seat))))
  const events = words.map((word) => ({ ...word, at, round: 1 }))
  const endsAt = deadlineOf(round) ?? at
  const times = [Math.max(at, endsAt - 1), endsAt, at + FAR]
  const slow = [happens.tick(), happens.share(), happens.certify()]
  const timed = slow.flatMap((word) => times.map((when) => ({ ...word, at: when, round: 1 })))
  return [...events, ...timed] as RoundEvent[]
}

/**
 * Seats are alike, so a state is what its seats are, in any order; of what was said and of time, only what can still
 * matter.
 */
function nameOf({ round, at }: Known): string {
  if (!('session' in round) || !round.session || !round.seats) return nameOfOver(round)
  const { phase, seats, session } = round
  if (phase === 'aggregation' || phase === 'settlement' || phase === 'closed' || phase === 'aborted')
    return nameOfOver(round)
  const { dealt, shared, answers, confirms, unmasks, away, abandons } = session
  const flag = (list: readonly unknown[] | undefined) => (seat: number) => (list?.[seat] ? 1 : 0)
  const answer = (seat: number) => (flag(answers)(seat) ? String(answers[seat]) : '')
  const abandoned = (seat: number) => `${abandons[seat]?.confirmed}`
  const telling: Readonly<Record<typeof phase, readonly ((seat: number) => unknown)[]>> = {
    keys: [flag(dealt), flag(shared?.members), answer],
    reporting: [flag(shared?.members)],
    evaluation: [flag(shared?.members)],
    consistency: [flag(shared?.members), flag(confirms), flag(away)],
    unmasking: [flag(confirms), flag(unmasks), flag(away)],
    abandonment: [flag(shared?.members), abandoned],
  }
  const names = seats.map((state, seat) => [stateOf(state), ...telling[phase].map((of) => of(seat))].join(':'))
  const late = [at, deadlineOf(round) ?? at].map((when) => when >= session.deadlines[1])
  const about = phase === 'keys' ? [round.step, ...late] : [phase === 'abandonment' && round.reason, session.survivors]
  return [phase, ...about, ...names.sort()].join(' ')
}

function nameOfOver(round: Round): string {
  if (round.phase === 'aborted') return `${round.phase} ${round.reason}`
  return round.phase === 'closed' ? `${round.phase} ${round.receipts}` : round.phase
}

function stateOf(state: SeatState): string {
  if (state === 'waiting') return 'waiting'
  return 'gone' in state ? 'gone' : 'reported'
}

/** What becomes of a round by its deadline, by the numbers alone. */
function check({ round, at }: Known, n: number, C: number): void {
  const endsAt = deadlineOf(round)
  if (endsAt === undefined) return
  expect(endsAt).toBeGreaterThan(at)
  const ticked = must(stepRound(round, { kind: 'ticked', at: endsAt, round: 1 }))
  const found = ticked.phase === 'keys' ? ticked.step : ticked.phase
  const what = ticked.phase === 'aborted' || ticked.phase === 'abandonment' ? `${found} ${ticked.reason}` : found
  expect(`${nameOf({ round, at })}: ${what}`).toBe(`${nameOf({ round, at })}: ${expectedOf(round, endsAt, n, C)}`)
}

function expectedOf(round: Round, endsAt: Millis, n: number, C: number): string {
  const { q, t } = must(secureRule(n, { maxCorrupt: C }))
  if (!('session' in round) || !round.session || !round.seats) return round.phase
  const { session, seats } = round
  const count = (is: (seat: number) => unknown) => seats.filter((_, seat) => is(seat)).length
  const here = (seat: number) => seats[seat] === 'waiting'
  switch (round.phase) {
    case 'keys': {
      const final = () => {
        if (count(here) < q) return 'aborted too-few-keys'
        return endsAt < session.deadlines[1] ? 'reporting' : 'aborted keys-late'
      }
      if (round.step === 'dealing')
        return count((seat) => here(seat) && session.dealt[seat]) < q ? 'aborted too-few-keys' : 'sharing'
      if (round.step !== 'agreeing') return `aborted ${round.step}-late`
      const disputed = session.answers.some((said) => said !== null && said !== 'agreed')
      return disputed && count(here) >= q ? 'judging' : final()
    }
    case 'reporting':
      return count((seat) => hasReported(seats[seat])) < q ? 'abandonment too-few-reports' : 'consistency'
    case 'consistency': {
      const confirmed = count((seat) => session.confirms[seat])
      return `abandonment ${confirmed < q ? 'too-few-confirmations' : 'certificate-late'}`
    }
    case 'unmasking':
      return count((seat) => session.unmasks[seat]) < t ? 'aborted too-few-shares' : 'aggregation'
    case 'abandonment':
      return `aborted ${round.reason}`
    case 'aggregation':
      return 'aborted aggregation-late'
    default:
      return 'closed'
  }
}

/** No sequence of events leads back to where it was: whatever is said, a round gets older. */
function expectNoWayBack(later: ReadonlyMap<string, ReadonlySet<string>>): void {
  const missing = new Map([...later].map(([name, next]) => [name, next.size]))
  const before = new Map<string, string[]>()
  for (const [name, next] of later) for (const other of next) before.set(other, [...(before.get(other) ?? []), name])
  const ahead = [...missing].filter(([, size]) => size === 0).map(([name]) => name)
  let settled = 0
  for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
    settled++
    for (const other of before.get(name) ?? []) {
      const left = (missing.get(other) ?? 0) - 1
      missing.set(other, left)
      if (left === 0) ahead.push(other)
    }
  }
  expect(settled).toBe(later.size)
}

test.each([
  [3, 1, 177],
  [4, 1, 877],
  [4, 2, 378],
  [5, 1, 1582],
  [6, 2, 3032],
])(
  'a masked round of %i members with C = %i ends as its numbers say, in every order of events: %i states',
  (n, C, states) => {
    const found = explore(n, C)
    expect([...found.ends].sort()).toEqual(ENDS)
    expect(found.states).toBe(states)
  },
)

const ENDS = [
  ...['aggregation-late', 'certificate-late', 'closed', 'enrolling-late', 'judging-late', 'keys-late', 'sharing-late'],
  ...['spoiled', 'too-few-confirmations', 'too-few-keys', 'too-few-reports', 'too-few-shares'],
]
