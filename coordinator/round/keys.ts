import { secureRule } from '#aggregation/secagg/parameters.ts'
import { assert } from '#protocol/assert.ts'
import { leavingWith } from '#protocol/attendance.ts'
import type { Millis, NodeId } from '#protocol/ids.ts'
import type { Secure } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { abort } from './aborted.ts'
import { collectMasked, quorumOf } from './collecting.ts'
import type { RoundEvent } from './events.ts'
import {
  type Keys,
  openedOf,
  type Round,
  type RoundRefusal,
  type Seated,
  type SeatState,
  type Selection,
  seatOf,
  withAnswer,
} from './round.ts'
import { type Answer, type Dealt, openSession } from './session.ts'

/**
 * The cohort becomes a session: the roster is signed, its members deal their keys, U2 is signed, and they say whether
 * their boxes hold what was promised. Who complains or is complained of may fall out once, by a second U2; then nobody.
 * Training goes on all the while, and whoever leaves before U2 is simply not in it.
 */
export function enrol(
  round: Selection,
  { corrupt }: Secure,
  { selection, cohort }: Pick<Seated, 'selection' | 'cohort'>,
  at: Millis,
): Round {
  const rule = secureRule(cohort.length, { maxCorrupt: corrupt })
  if (!rule.ok) return abort(round, rule.refusal, at)
  const { timing } = round
  const input = at + 2 * timing.keysMillis + timing.reportingMillis
  const confirm = input + timing.consistencyMillis
  const deadlines = [at + timing.keysMillis, input, confirm, confirm + timing.unmaskingMillis] as const
  const offered = new Map(round.joined.map(({ node, advert }) => [node, advert]))
  const adverts = cohort.map((node) => {
    const advert = offered.get(node)
    assert(advert, 'whoever joined a masked round gave an advert')
    return advert
  })
  return {
    ...openedOf(round),
    phase: 'keys',
    step: 'enrolling',
    ...{ selection, cohort },
    seats: cohort.map((): SeatState => 'waiting'),
    session: openSession(rule.value, deadlines, adverts),
    startedAt: at,
    endsAt: deadlines[0],
  }
}

export function stepKeys(round: Keys, event: RoundEvent): Result<Round, RoundRefusal> {
  const { session, step } = round
  switch (event.kind) {
    case 'enrolled':
      if (step !== 'enrolling') return refuse('said-already')
      return accept(conclude({ ...round, step: 'dealing', session: { ...session, roster: event.roster } }, event.at))
    case 'dealt': {
      const { keys, parcel } = event
      return step === 'dealing' ? deal(round, event.node, { keys, parcel }, event.at) : refuse('wrong-phase', step)
    }
    case 'shared':
      return share(round, event)
    case 'agreed':
      return answer(round, event.node, 'agreed', event.at)
    case 'objected':
      return answer(round, event.node, { complaints: event.complaints }, event.at)
    case 'left':
      return leave(round, event.node, event.reason, event.at)
    case 'ticked':
      return event.at < round.endsAt ? refuse('not-due') : accept(conclude(round, event.at))
    default:
      return refuse('wrong-phase', 'keys are being shared')
  }
}

function deal(round: Keys, node: NodeId, dealt: Dealt, at: Millis): Result<Round, RoundRefusal> {
  const seat = seatOf(round.cohort, node)
  if (seat < 0) return refuse('not-in-cohort')
  if (round.seats[seat] !== 'waiting') return refuse('seat-gone')
  if (round.session.dealt[seat]) return refuse('said-already')
  return accept(conclude(withSession(round, { dealt: round.session.dealt.with(seat, dealt) }), at))
}

/** U2 is signed: the second has nobody to agree on it, since it is the first without some. */
function share(round: Keys, event: Extract<RoundEvent, { kind: 'shared' }>): Result<Round, RoundRefusal> {
  const { session, step } = round
  if (step !== 'sharing' && step !== 'judging') return refuse('wrong-phase', step)
  const version = step === 'sharing' ? 1 : 2
  const { shared: cid, parcels, out, at } = event
  // What was signed counts, also of a member that left while it was being signed.
  const before = session.shared?.members ?? session.dealt.map((dealt) => dealt !== null)
  const members = before.map((member, seat) => member && !out.includes(seat))
  const reason = version === 1 ? 'no-keys' : 'keys-in-dispute'
  const seats = round.seats.map((state, seat) => (state === 'waiting' && !members[seat] ? { gone: reason } : state))
  const next = { ...withSession(round, { shared: { cid, version, parcels, members } }), seats }
  if (version === 2) return accept(finish(next, at))
  return accept(conclude({ ...next, step: 'agreeing', endsAt: at + round.timing.keysMillis }, at))
}

/** Who will be in U2: whoever has dealt and is still there. */
export function hasDealt({ session, seats }: Keys, seat: number): boolean {
  return session.dealt[seat] !== null && seats[seat] === 'waiting'
}

function answer(round: Keys, node: NodeId, said: Answer, at: Millis): Result<Round, RoundRefusal> {
  if (round.step !== 'agreeing') return refuse('wrong-phase', round.step)
  const seat = seatOf(round.cohort, node)
  if (seat < 0) return refuse('not-in-cohort')
  if (!round.session.shared?.members[seat]) return refuse('not-a-member')
  if (round.seats[seat] !== 'waiting') return refuse('seat-gone')
  if (round.session.answers[seat]) return refuse('said-already')
  return accept(conclude(withSession(round, { answers: round.session.answers.with(seat, said) }), at))
}

function leave(round: Keys, node: NodeId, reason: string, at: Millis): Result<Round, RoundRefusal> {
  const seat = seatOf(round.cohort, node)
  if (seat < 0) return refuse('not-in-cohort')
  if (round.seats[seat] !== 'waiting') return refuse('seat-gone')
  return accept(conclude({ ...round, seats: round.seats.with(seat, { gone: leavingWith(reason) }) }, at))
}

/** The one place that ends a step of the phase. */
function conclude(round: Keys, at: Millis): Round {
  const { session, seats, step } = round
  const due = at >= round.endsAt
  switch (step) {
    case 'dealing': {
      const waiting = seats.some((state, seat) => state === 'waiting' && !session.dealt[seat])
      if (!due && waiting && !isHopeless(round)) return round
      const dealt = seats.filter((_, seat) => hasDealt(round, seat)).length
      if (dealt < quorumOf(round)) return abort(round, 'too-few-keys', at)
      const over = withAnswer(round, 'keysMillis', waiting ? 'all' : at - round.startedAt)
      return { ...over, step: 'sharing', endsAt: at + round.timing.keysMillis }
    }
    case 'agreeing': {
      const waiting = seats.some((state, seat) => state === 'waiting' && !session.answers[seat])
      if (!due && waiting && !isHopeless(round)) return round
      const disputed = session.answers.some((said) => said !== null && said !== 'agreed')
      const begun = round.endsAt - round.timing.keysMillis
      const over = withAnswer(round, 'keysMillis', waiting ? 'all' : at - begun)
      if (!disputed || isHopeless(round)) return finish(over, at)
      return { ...over, step: 'judging', endsAt: at + round.timing.keysMillis }
    }
    case 'enrolling':
    case 'sharing':
    case 'judging':
      // The coordinator's own work: nobody else can end it.
      return due ? abort(round, `${step}-late`, at) : round
  }
}

/**
 * U2 is final. Nobody has masked an input before it was told so: with too few members left, or too late for an input, the
 * round ends here, where there is nothing to abandon.
 */
function finish(round: Keys, at: Millis): Round {
  if (isHopeless(round)) return abort(round, 'too-few-keys', at)
  return at < round.session.deadlines[1] ? collectMasked(round, at) : abort(round, 'keys-late', at)
}

/** Fewer are still there than a sum takes. */
function isHopeless(round: Keys): boolean {
  return round.seats.filter((state) => state === 'waiting').length < quorumOf(round)
}

function withSession(round: Keys, change: Partial<Keys['session']>): Keys {
  return { ...round, session: { ...round.session, ...change } }
}
