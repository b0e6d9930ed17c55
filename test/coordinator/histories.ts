import * as fc from 'fast-check'
import { type Obligation, obligations } from '#coordinator/obligations.ts'
import type { RoundEvent } from '#coordinator/round/events.ts'
import { hasReported, isAmong, type Round } from '#coordinator/round/round.ts'
import { nextDeadline, purposeOf, type Run, stepRun } from '#coordinator/run.ts'
import type { RunEvent } from '#coordinator/run-events.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import type { Terms } from '#coordinator/timing.ts'
import type { Millis } from '#protocol/ids.ts'
import { COHORT_MAX } from '#protocol/limits.ts'
import type { StopRule } from '#protocol/stop-rule.ts'
import { cohortOf } from '#test/cohort.ts'
import { cid, type Happening, happens, maskedSpecOf, NODES, specOf } from './fixture.ts'

/** Histories of runs: what honest nodes and a coordinator that does its work would report next, and whatever else. */

/** @param at when; now, unless it is said */
export function stamp(run: Run, happening: Happening, { at = run.at, round = openRound(run) } = {}): RoundEvent {
  return { ...happening, at, round } as RoundEvent
}

function openRound(run: Run): number {
  return run.round?.round ?? run.past.length + 1
}

export function accepted(run: Run | undefined, event: RunEvent): Run {
  const next = stepRun(run, event)
  if (!next.ok) throw new Error(`${event.kind} was refused: ${next.refusal} ${next.detail ?? ''}`)
  return next.value
}

export function started(spec: RunSpec, at: Millis = 0): Run {
  return accepted(accepted(undefined, { kind: 'created', at, spec }), { kind: 'held', at })
}

/** What the world answers when it does what is owed. */
export function answerTo(run: Run, owed: Obligation, at: Millis = run.at): RunEvent {
  const round = 'round' in owed ? owed.round : 0
  const stamped = (happening: Happening) => stamp(run, happening, { at, round })
  switch (owed.kind) {
    case 'hold':
      return owed.extension === undefined ? { kind: 'held', at } : { kind: 'held', at, extension: owed.extension }
    case 'open':
      return {
        kind: 'opened',
        at,
        round,
        plan: cid(`plan ${round}`),
        purpose: purposeOf(run),
        invited: Math.min(run.spec.cohort.max, COHORT_MAX),
      }
    case 'enrol':
      return stamped(happens.enrol())
    case 'share':
    case 'judge':
      return stamped(happens.share(leftOut(run.round, owed.kind)))
    case 'survey':
      return stamped(happens.survey())
    case 'certify':
      return stamped(happens.certify())
    case 'aggregate':
      return stamped({
        ...{ ...happens.aggregate(), manifest: cid(`manifest ${round}`) },
        ...(run.round?.purpose === 'train' ? { model: cid(`model ${round}`) } : { model: run.model }),
      } as Happening)
    case 'settle':
      return stamped(happens.settle())
    case 'recount':
      return { kind: 'recounted', at, round, record: cid(`record ${round}`) }
    case 'finish':
      return { kind: 'finished', at, manifest: cid('run'), paid: 0n, released: run.spec.budget, reason: null }
    case 'clear':
      return { kind: 'cleared', at, through: round }
  }
}

/** Of the dealers, who left before U2 was signed; of U2, who complained. */
function leftOut(round: Round | undefined, kind: 'share' | 'judge'): readonly number[] {
  if (round?.phase !== 'keys') return []
  const { session, seats } = round
  return seats.flatMap((state, seat) => {
    const answer = session.answers[seat] ?? 'agreed'
    const out = kind === 'share' ? session.dealt[seat] && state !== 'waiting' : answer !== 'agreed'
    return out ? [seat] : []
  })
}

/** What the nodes that are still in the round would say now, each by its place in NODES. */
export function speeches(run: Run): readonly { readonly who: number; readonly says: Happening }[] {
  const { round } = run
  if (!round || round.phase === 'closed' || round.phase === 'aborted') return []
  if (round.phase === 'selection') {
    const absent = NODES.slice(0, run.spec.cohort.max).filter((node) => !isAmong(round.joined, node))
    return absent.map(placeOf).map((who) => ({ who, says: happens.join(who, round.secure && cid(`advert ${who}`)) }))
  }
  const say = sayingIn(round)
  if (!say) return []
  return round.cohort.flatMap((node, seat) => {
    const says = say(seat, placeOf(node))
    return says ? [{ who: placeOf(node), says }] : []
  })
}

function sayingIn(
  round: Exclude<Round, { phase: 'selection' }>,
): ((seat: number, who: number) => Happening | null) | null {
  switch (round.phase) {
    case 'keys': {
      const { session, seats, step } = round
      const isHere = (seat: number) => seats[seat] === 'waiting'
      if (step === 'dealing') return (seat, who) => (isHere(seat) && !session.dealt[seat] ? happens.deal(who) : null)
      if (step === 'agreeing')
        return (seat, who) => (isHere(seat) && !session.answers[seat] ? happens.agree(who) : null)
      return null
    }
    case 'reporting':
    case 'evaluation':
      return (seat, who) => (round.seats[seat] === 'waiting' ? happens.report(who) : null)
    case 'consistency': {
      const { survivors, confirms } = round.session
      if (!survivors) return null
      return (seat, who) => (hasReported(round.seats[seat]) && !confirms[seat] ? happens.confirm(who) : null)
    }
    case 'unmasking':
      return (seat, who) =>
        hasReported(round.seats[seat]) && !round.session.unmasks[seat] ? happens.unmask(who) : null
    case 'abandonment': {
      const { shared, abandons, confirms } = round.session
      return (seat, who) =>
        shared?.members[seat] && !abandons[seat] ? happens.abandon(who, confirms[seat] !== null) : null
    }
    default:
      return null
  }
}

function placeOf(node: (typeof NODES)[number]): number {
  return NODES.indexOf(node)
}

/** The world does what is owed, then time passes to the next deadline: alone, this ends every run, or pauses it. */
export function moveOn(run: Run): Run {
  const [owed] = obligations(run)
  if (owed) return accepted(run, answerTo(run, owed))
  return accepted(run, stamp(run, happens.tick(), { at: Math.max(run.at, nextDeadline(run) ?? 0) }))
}

/** One act of a history that makes no sense as often as it does. */
export type Act = {
  readonly kind: 'sense' | 'work' | 'stopped' | 'paused' | 'extended' | keyof typeof happens | (typeof LAWS)[number]
  readonly pick: number
  readonly skew: number
  readonly wait: Millis
}

const LAWS = ['opened', 'recounted', 'finished', 'held', 'resumed', 'expired', 'cleared'] as const
const ANY = [...(Object.keys(happens) as (keyof typeof happens)[]), ...LAWS]

/** Mostly sense, and hardly any time in between: else no history gets past the keys of its first round. */
export const acts: fc.Arbitrary<Act> = fc.record({
  kind: fc.oneof(
    { weight: 100, arbitrary: fc.constant('sense' as const) },
    { weight: 40, arbitrary: fc.constant('work' as const) },
    { weight: 30, arbitrary: fc.constantFrom(...ANY.filter((kind) => kind !== 'leave')) },
    { weight: 5, arbitrary: fc.constant('leave' as const) },
    { weight: 1, arbitrary: fc.constantFrom('stopped' as const, 'paused' as const, 'extended' as const) },
  ),
  pick: fc.nat(10_000),
  skew: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, -1, 1),
  wait: fc.oneof(
    { weight: 40, arbitrary: fc.constant(0) },
    { weight: 4, arbitrary: fc.constantFrom(1, 5) },
    { weight: 1, arbitrary: fc.constantFrom(120, 1100) },
  ),
})

/** The event that an act is in this state, at its time. */
export function eventOf(run: Run, { kind, pick, skew, wait }: Act): RunEvent {
  const at = run.at + wait
  const round = Math.max(1, openRound(run) + skew)
  const who = pick % (run.spec.cohort.max + 2)
  switch (kind) {
    case 'sense': {
      // A budget that was added is reserved first as often as not.
      if (run.phase === 'paused' && (run.held === run.extensions.length || pick % 2)) return { kind: 'resumed', at }
      const said = speeches(run)
      const speech = said[pick % said.length]
      if (!speech) return eventOf(run, { kind: 'work', pick, skew, wait })
      // One box in ten does not hold what was promised.
      const says = speech.says.kind === 'agreed' && pick % 10 === 0 ? happens.object(speech.who) : speech.says
      return stamp(run, says, { at })
    }
    case 'work': {
      const owed = obligations(run)
      const one = owed[pick % owed.length]
      return one ? answerTo(run, one, at) : stamp(run, happens.leave(who), { at })
    }
    case 'opened':
      return { kind, at, round, plan: cid(`plan ${round}`), invited: run.spec.cohort.max }
    case 'recounted':
      return { kind, at, round, record: cid(`record ${round}`) }
    case 'resumed':
      return { kind, at }
    case 'stopped':
    case 'paused':
      return { kind, at, reason: 'enough' }
    case 'extended': {
      const once = pick % 3 ? { key: new Uint8Array(32).fill(pick % 5), body: new Uint8Array(32) } : null
      return { kind, at, rounds: 1 + (pick % 3), budget: BigInt(pick % 1000), once }
    }
    case 'finished':
      return { kind, at, manifest: cid('run'), paid: 0n, released: 0n, reason: null }
    case 'held':
      return pick % 2 ? { kind, at } : { kind, at, extension: 1 + (pick % 3) }
    case 'expired':
    case 'cleared':
      return { kind, at, through: 1 + (pick % Math.max(1, run.past.length + 1)) }
    case 'join':
      return stamp(run, happens.join(who, pick % 3 ? cid(`advert ${who}`) : null), { at, round })
    case 'share':
      return stamp(run, happens.share(pick % 3 ? [] : [who]), { at, round })
    case 'abandon':
      return stamp(run, happens.abandon(who, pick % 2 === 0), { at, round })
    case 'aggregate':
    case 'spoil':
    case 'enrol':
    case 'survey':
    case 'certify':
    case 'settle':
    case 'tick':
      return stamp(run, happens[kind](), { at, round })
    case 'report':
    case 'leave':
    case 'deal':
    case 'agree':
    case 'object':
    case 'confirm':
    case 'unmask':
      return stamp(run, happens[kind](who), { at, round })
  }
}

const millis = fc.oneof(fc.integer({ min: 50, max: 300 }), fc.constantFrom(1, 1000, 1000, 1000))
const timings: fc.Arbitrary<Terms> = fc.record({
  ...{ selectionMillis: millis, keysMillis: millis, reportingMillis: millis, consistencyMillis: millis },
  ...{ unmaskingMillis: millis, aggregationMillis: millis, settlementMillis: millis },
  stragglerMillis: fc.constantFrom(null, null, 0, 20),
  learned: fc.boolean(),
})

/** Masked runs of every size that a test has time for. */
export const maskedSpecs: fc.Arbitrary<RunSpec> = fc
  .tuple(
    fc.integer({ min: 3, max: 9 }),
    fc.oneof(fc.constant(0), fc.nat()),
    fc.nat(),
    timings,
    fc.integer({ min: 1, max: 3 }),
    fc.constantFrom('pause', 'end'),
  )
  .map(([n, c, quorum, timing, failuresMax, onFailures]) => {
    const change = {
      ...{ timing, failuresMax, onFailures },
      cohort: cohortOf({ min: Math.max(3, n - (quorum % 2)), max: n, quorum: 2 + (quorum % (n - 2)) }),
    }
    return maskedSpecOf(n, 1 + (c % (n - 2)), change)
  })

/** Runs that ask one question. */
export const askSpecs: fc.Arbitrary<RunSpec> = maskedSpecs.map((spec) => ({
  ...{ ...spec, purpose: 'ask', planned: 1, budget: 0n, genesis: spec.task, heedsRefusals: true },
}))

/** Every round of these histories tests the same: a rule of patience is met once that runs out, and one of a bound at once or never. */
const stopRules: fc.Arbitrary<StopRule | undefined> = fc.constantFrom(
  ...([undefined, undefined, { metric: 'accuracy', atLeastMicro: 900_001 }] as const),
  ...([
    { metric: 'loss', patience: 1, minDeltaMicro: 0 },
    { metric: 'loss', atMostMicro: 100_000 },
  ] as const),
)

export const plainSpecs: fc.Arbitrary<RunSpec> = fc
  .tuple(timings, fc.integer({ min: 1, max: 3 }), fc.constantFrom('pause', 'end'), stopRules)
  .map(([timing, failuresMax, onFailures, stopWhen]) =>
    specOf({ timing, failuresMax, onFailures, ...(stopWhen && { stopWhen }) }),
  )

/** What the open round is at: its phase, and of the phase in which keys are shared its step. */
export function stageOf({ round }: Run): string | undefined {
  if (round?.phase === 'keys') return round.step
  return round?.phase === 'consistency' && round.session.survivors ? 'confirming' : round?.phase
}

/** Everybody does what is due, in turn, until the round is there; a stage that it never gets to is the test's mistake. */
export function until(run: Run, ...stages: readonly (string | undefined)[]): Run {
  let state = run
  for (let step = 0; !stages.includes(stageOf(state)); step++) {
    const [owed] = obligations(state)
    const [speech] = speeches(state)
    if (step > 2000 || (!owed && !speech)) throw new Error(`stuck in ${stageOf(state)} before ${stages}`)
    const event = owed ? answerTo(state, owed) : stamp(state, (speech as { says: Happening }).says)
    state = accepted(state, event)
  }
  return state
}

/** Each of these events, now. */
export function play(run: Run, ...happenings: readonly Happening[]): Run {
  return happenings.reduce((state, happening) => accepted(state, stamp(state, happening)), run)
}

/** Time passes to the deadline of the open phase, and nothing else happens. */
export function lapse(run: Run): Run {
  return accepted(run, stamp(run, happens.tick(), { at: nextDeadline(run) ?? run.at }))
}

export function refusalOf(run: Run, happening: Happening, about: { readonly round?: number } = {}): string {
  const next = stepRun(run, stamp(run, happening, about))
  return next.ok ? 'accepted' : next.refusal
}
