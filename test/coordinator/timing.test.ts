import { describe, expect, test } from '@jest/globals'
import { planFor } from '#coordinator/effects/open.ts'
import { type Run, timingFor } from '#coordinator/run.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import { type Learned, learn, timingOf } from '#coordinator/timing.ts'
import { cid, happens, maskedSpecOf, specOf } from './fixture.ts'
import { accepted, answerTo, lapse, play, stamp, started, until } from './histories.ts'

const bounds = {
  ...{ selectionMillis: 30_000, keysMillis: 60_000, reportingMillis: 600_000, stragglerMillis: 150_000 },
  ...{ consistencyMillis: 60_000, unmaskingMillis: 60_000, aggregationMillis: 120_000, settlementMillis: 60_000 },
}
const terms = { ...bounds, learned: true }
const quick = {
  selectionMillis: 100,
  keysMillis: 50,
  reportingMillis: 5000,
  consistencyMillis: 80,
  unmaskingMillis: 20,
}
const five = Array.from({ length: 5 }, () => quick)

describe('time limits', () => {
  test('are thrice the slowest of five rounds and ten seconds, and never above their bounds', () => {
    expect(timingOf(terms, five)).toEqual({
      ...bounds,
      ...{ selectionMillis: 10_300, keysMillis: 10_150, reportingMillis: 25_000 },
      ...{ consistencyMillis: 10_240, unmaskingMillis: 10_060 },
    })
    const slow = five.with(2, { ...quick, reportingMillis: 100_000, keysMillis: 50_000 })
    expect(timingOf(terms, slow)).toMatchObject({ reportingMillis: 310_000, keysMillis: 60_000 })
  })

  test('are the bounds until five rounds have closed, and where nothing is to be learned', () => {
    expect(timingOf(terms, five.slice(1))).toEqual(bounds)
    expect(timingOf({ ...terms, learned: false }, five)).toEqual(bounds)
  })

  test('of what the coordinator itself does stay: it may be killed and come back meanwhile', () => {
    expect(timingOf(terms, five)).toMatchObject({ aggregationMillis: 120_000, settlementMillis: 60_000 })
  })

  test('go by the last five rounds alone', () => {
    const rounds = [{ ...quick, reportingMillis: 500_000 }, ...five].reduce<Learned>(learn, [])
    expect(rounds).toHaveLength(5)
    expect(timingOf(terms, rounds)).toMatchObject({ reportingMillis: 25_000 })
  })
})

/** Everybody joins at once and reports so long after it was seated; a round's other work takes no time. */
function closeRound(run: Run, reportAfter: (who: number) => number): Run {
  let state = until(run, 'reporting')
  const begun = state.at
  for (const who of [0, 1, 2, 3].toSorted((a, b) => reportAfter(a) - reportAfter(b)))
    if (state.round?.phase === 'reporting')
      state = accepted(state, stamp(state, happens.report(who), { at: begun + reportAfter(who) }))
  for (const kind of ['aggregate', 'settle'] as const)
    state = accepted(state, answerTo(state, { kind, round: state.round?.round ?? 0 }))
  return state
}
const specWith = (change: Partial<RunSpec> = {}) => specOf({ planned: 20, timing: terms, ...change })

describe('a run', () => {
  test('puts the time limits that it has learned into its next plan, and goes by them', () => {
    let run = started(specWith())
    for (let round = 1; round <= 5; round++) run = closeRound(run, (who) => 1000 * (who + 1))
    expect(timingFor(run)).toEqual({
      ...bounds,
      selectionMillis: 10_000,
      keysMillis: 10_000,
      reportingMillis: 22_000,
      consistencyMillis: 10_000,
      unmaskingMillis: 10_000,
    })
    const plan = planFor(run, { quantiser: {} } as never, 6, null)
    const open = accepted(run, answerTo(run, { kind: 'open', round: 6 }))
    expect(open.round?.timing).toEqual(plan.timing)
    const reporting = until(open, 'reporting')
    expect(reporting.round).toMatchObject({ endsAt: reporting.at + 22_000 })
  })

  test('gives a node that was too late thrice the time, up to the bound, until it is in', () => {
    const slow = 120_000
    const timing = { ...terms, stragglerMillis: null }
    let run = started(specWith({ timing, cohort: { ...specOf().cohort, min: 4, quorum: 3 } }))
    for (let round = 1; round <= 5; round++) run = closeRound(run, () => 4000)
    const limits: number[] = []
    for (let round = 6; round <= 12; round++) {
      const reporting = until(run, 'reporting')
      const { timing: inForce, startedAt } = reporting.round as { startedAt: number } & NonNullable<Run['round']>
      limits.push(inForce.reportingMillis)
      let state = play(reporting, happens.report(0), happens.report(1), happens.report(2))
      state =
        slow < inForce.reportingMillis
          ? accepted(state, stamp(state, happens.report(3), { at: startedAt + slow }))
          : lapse(state)
      for (const kind of ['aggregate', 'settle'] as const) state = accepted(state, answerTo(state, { kind, round }))
      run = state
    }
    expect(limits).toEqual([22_000, 76_000, 238_000, 370_000, 370_000, 370_000, 370_000])
  })

  test('counts a straggler that the quorum left behind as all the time that there was', () => {
    const reporting = until(started(specWith()), 'reporting')
    const cut = lapse(play(reporting, happens.report(0), happens.report(1)))
    expect(cut.round?.took.reportingMillis).toBe(600_000)
  })

  test('counts an invitation that nobody answers likewise: a node that is slow to join is not shut out', () => {
    const open = accepted(started(specWith()), { kind: 'opened', at: 0, round: 1, plan: cid('plan'), invited: 4 })
    const drawn = lapse(play(open, happens.join(0), happens.join(1), happens.join(2)))
    expect(drawn.round?.took.selectionMillis).toBe(30_000)
  })

  test('forgets what it has learned when a round comes to nothing', () => {
    let run = started(specWith({ failuresMax: 3 }))
    for (let round = 1; round <= 5; round++) run = closeRound(run, () => 4000)
    expect(timingFor(run).reportingMillis).toBe(22_000)
    run = lapse(until(run, 'reporting'))
    expect(run.past.at(-1)).toMatchObject({ reason: 'too-few-reports' })
    expect(timingFor(run)).toEqual(bounds)
  })

  test('learns of every phase in which members of a session answer', () => {
    const run = until(started(maskedSpecOf(4, 1, { timing: terms })), 'aggregation')
    expect(run.round?.took).toEqual({
      ...{ selectionMillis: 0, keysMillis: 0, reportingMillis: 0, consistencyMillis: 0, unmaskingMillis: 0 },
    })
  })
})
