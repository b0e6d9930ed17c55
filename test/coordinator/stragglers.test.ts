import { describe, expect, test } from '@jest/globals'
import type { Run } from '#coordinator/run.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import { cohortOf } from '#test/cohort.ts'
import { happens, maskedSpecOf, specOf } from './fixture.ts'
import { accepted, answerTo, lapse, play, stamp, started, until } from './histories.ts'

/** Five seats, of which three reports are enough; the others have 300 more. */
const timing = { ...specOf().timing, stragglerMillis: 300, learned: false }
const rule = { cohort: cohortOf({ min: 5, max: 5, quorum: 3 }), timing }
const at = (run: Run, millis: number, happening: Parameters<typeof stamp>[1]) =>
  accepted(run, stamp(run, happening, { at: millis }))
const seatsOf = (run: Run) => (run.round && 'seats' in run.round ? run.round.seats : [])

function reporting(change: Partial<RunSpec> = {}): Run {
  return until(started(specOf({ ...rule, ...change })), 'reporting')
}

describe('more seats than reports are wanted', () => {
  test('the quorum gives the others the grace time, and then the round goes on without them', () => {
    const three = [0, 1, 2].reduce((run, who) => at(run, 100 + who, happens.report(who)), reporting())
    expect(three.round).toMatchObject({ phase: 'reporting', endsAt: 402, waiting: 2 })
    const four = at(three, 350, happens.report(3))
    expect(four.round).toMatchObject({ phase: 'reporting', endsAt: 402 })
    const closed = at(four, 402, happens.tick())
    expect(closed.round?.phase).toBe('aggregation')
    expect(seatsOf(closed).map((state) => (typeof state === 'object' && 'gone' in state ? state.gone : 'in'))).toEqual([
      ...['in', 'in', 'in', 'in', 'straggler'],
    ])
  })

  test('never gives them longer than the phase, and who misses that is late', () => {
    const three = [0, 1, 2].reduce((run, who) => at(run, 900, happens.report(who)), reporting())
    expect(three.round).toMatchObject({ endsAt: 1000 })
    expect(seatsOf(at(three, 1000, happens.tick()))[4]).toEqual({ gone: 'late' })
  })

  test('nothing is cut short below the quorum', () => {
    const two = play(reporting(), happens.report(0), happens.report(1))
    expect(two.round).toMatchObject({ phase: 'reporting', endsAt: 1000 })
    const left = [2, 3].reduce((run, who) => at(run, 5, happens.leave(who)), two)
    expect(left.round).toMatchObject({ phase: 'reporting', endsAt: 1000, waiting: 1 })
  })

  test('without a grace time the quorum is enough; with none all have to the deadline', () => {
    const now = reporting({ timing: { ...timing, stragglerMillis: 0 } })
    expect(play(now, happens.report(0), happens.report(1), happens.report(2)).round?.phase).toBe('aggregation')
    const patient = reporting({ timing: { ...timing, stragglerMillis: null } })
    const three = play(patient, happens.report(0), happens.report(1), happens.report(2))
    expect(three.round).toMatchObject({ phase: 'reporting', endsAt: 1000 })
    expect(seatsOf(lapse(three))[3]).toEqual({ gone: 'late' })
  })

  test('in the evaluate round it is the same', () => {
    const asked = until(started(specOf({ ...rule, planned: 1 })), 'evaluation')
    const three = play(asked, happens.report(0), happens.report(1), happens.report(2))
    expect(three.round).toMatchObject({ phase: 'evaluation', endsAt: asked.at + 300 })
    expect(lapse(three).round?.phase).toBe('aggregation')
  })

  test('under masks the quorum is as many as a certificate takes', () => {
    const masked = until(started(maskedSpecOf(5, 1, { timing })), 'reporting')
    const three = play(masked, happens.report(0), happens.report(1), happens.report(2))
    expect(three.round).toMatchObject({ closing: false })
    const four = at(three, 50, happens.report(3))
    expect(four.round).toMatchObject({ phase: 'reporting', closing: true, endsAt: 350 })
    expect(lapse(four).round).toMatchObject({ phase: 'consistency', seats: [{}, {}, {}, {}, { gone: 'straggler' }] })
  })

  test('a straggler is drawn less often afterwards, and whoever was left waiting more often', () => {
    const spec = specOf({ ...rule, planned: 5 })
    let run = reporting(spec)
    for (let round = 1; round <= 3; round++) {
      run = lapse(play(run, happens.report(0), happens.report(1), happens.report(2), happens.report(3)))
      for (const kind of ['aggregate', 'settle', 'open'] as const)
        run = accepted(run, answerTo(run, { kind, round: kind === 'open' ? round + 1 : round }))
      run = until(run, 'reporting')
    }
    const { selection } = run.round as { selection: { candidates: readonly object[] } } & typeof run.round
    expect(selection.candidates).toMatchObject([
      ...Array.from({ length: 4 }, () => ({ taken: 3, delivered: 3, tickets: 4 })),
      { taken: 3, delivered: 0, tickets: 1 },
    ])
  })
})
