import { describe, expect, test } from '@jest/globals'
import type { Run } from '#coordinator/run.ts'
import { cohortOf } from '#test/cohort.ts'
import { cid, happens, maskedSpecOf, node, specOf } from './fixture.ts'
import { accepted, answerTo, lapse, play, refusalOf, started, until } from './histories.ts'

/** As the gateway lets it in. */
const join = (index: number, operator: string | null = null) => ({ ...happens.join(index), operator }) as const
const decline = (index: number, reason: string) => ({ kind: 'declined', node: node(index), reason }) as const

function open(rule: Parameters<typeof cohortOf>[0], invited = 6): Run {
  const run = started(specOf({ cohort: cohortOf(rule) }))
  const plan = cid('plan')
  return accepted(run, { kind: 'opened', at: run.at, round: 1, plan, invited })
}
const recordOf = (run: Run) => (run.round && 'selection' in run.round ? run.round.selection : undefined)
const cohortIn = (run: Run) => (run.round && 'cohort' in run.round ? run.round.cohort : undefined)

describe('who is seated', () => {
  test('an operator has no more than its most seats', () => {
    const rule = { min: 2, max: 4, quorum: 2, operatorSeatsMax: 2 }
    const them = [0, 1, 2, 3].map((index) => join(index, 'alba'))
    const run = play(open(rule), ...them, join(4), join(5, 'brac'))
    const cohort = cohortIn(run) ?? []
    expect(cohort).toHaveLength(4)
    expect(cohort).toEqual(expect.arrayContaining([node(4), node(5)]))
  })

  test('a round waits for other operators than the one that came, and ends by name without them', () => {
    const rule = { min: 3, max: 4, quorum: 2, operatorSeatsMax: 2 }
    const them = play(open(rule, 4), ...[0, 1, 2, 3].map((index) => join(index, 'alba')))
    expect(them.round?.phase).toBe('selection')
    expect(cohortIn(play(them, join(4)))).toHaveLength(3)
    expect(lapse(them).past).toMatchObject([{ reason: 'too-few-operators' }])
    expect(lapse(play(open(rule, 4), join(0))).past).toMatchObject([{ reason: 'too-few-nodes' }])
  })

  test('the record names who wanted a seat and who did not, with the reason', () => {
    const rule = { min: 2, max: 2, quorum: 2 }
    const wanted = [join(3), decline(1, 'too-few-rows'), join(0, 'alba'), join(4), happens.leave(4)]
    const run = play(open(rule, 5), ...wanted, join(2))
    expect(recordOf(run)).toEqual({
      ...{ v: 1, seed: run.round?.cohortSeed },
      candidates: [0, 2, 3].map((index) => ({
        ...{ node: node(index), operator: index === 0 ? 'alba' : null },
        ...{ taken: 0, delivered: 0, passed: 0, paceMillis: null, tickets: 2 },
      })),
      absent: [
        { node: node(1), reason: 'too-few-rows' },
        { node: node(4), reason: 'link-lost' },
      ],
    })
    expect(cohortIn(run)).toHaveLength(2)
  })

  test('a node that joins while the others are being asked is in the draw; one that comes after it is not', () => {
    const rule = { min: 2, max: 3, quorum: 2 }
    const late = play(open(rule, 3), join(0), join(1), join(5))
    expect(cohortIn(late)).toEqual([node(0), node(1), node(5)])
    expect(refusalOf(late, join(2))).toBe('wrong-phase')
  })

  test('a node that links between two rounds is in the next draw, with the others’ attendance beside it', () => {
    const first = until(play(open({ min: 2, max: 3, quorum: 2 }, 2), join(0), join(1)), undefined)
    const second = accepted(first, answerTo(first, { kind: 'open', round: 2 }))
    const run = play(second, join(0), join(1), join(2))
    expect(recordOf(run)?.candidates).toMatchObject([{ taken: 1, tickets: 3 }, { taken: 1 }, { taken: 0, tickets: 2 }])
    expect(cohortIn(run)).toHaveLength(3)
  })

  test('who was passed over has more tickets next time; an unpaced record has no times in it', () => {
    let run = play(open({ min: 2, max: 2, quorum: 2 }, 3), join(0), join(1), join(2))
    const seated = cohortIn(run) ?? []
    run = until(run, undefined)
    run = accepted(run, { kind: 'opened', at: run.at, round: 2, plan: cid('plan 2'), invited: 3 })
    run = play(run, join(0), join(1), join(2))
    for (const candidate of recordOf(run)?.candidates ?? []) {
      const had = seated.includes(candidate.node)
      expect(candidate).toMatchObject({
        taken: had ? 1 : 0,
        passed: had ? 0 : 1,
        tickets: had ? 3 : 4,
        paceMillis: null,
      })
    }
  })

  test('a round that came to nothing counts against who failed it, for who reported, and nothing about the rest', () => {
    const spec = specOf({ cohort: cohortOf({ min: 3, max: 4, quorum: 3 }), failuresMax: 9 })
    const reporting = until(started(spec), 'reporting')
    const gone = play(reporting, happens.report(0), happens.leave(1), happens.leave(2))
    expect(gone.past).toMatchObject([{ reason: 'too-few-reports' }])
    const again = until(gone, 'reporting')
    expect(recordOf(again)?.candidates).toMatchObject([
      { taken: 1, delivered: 1, tickets: 3 },
      ...[1, 2].map(() => ({ taken: 1, delivered: 0, tickets: 2 })),
      { taken: 0, passed: 0, tickets: 2 },
    ])
    const late = until(lapse(play(again, happens.report(3))), 'reporting')
    expect(recordOf(late)?.candidates).toMatchObject([
      { taken: 2, delivered: 1 },
      ...[1, 2].map(() => ({ taken: 2, delivered: 0, tickets: 1 })),
      { taken: 1, delivered: 1 },
    ])
  })

  test('a round that ended before its draw says nothing of anybody', () => {
    const spec = specOf({ cohort: cohortOf({ min: 3, max: 4, quorum: 2 }), failuresMax: 9 })
    const run = started(spec)
    const open = accepted(run, { kind: 'opened', at: run.at, round: 1, plan: cid('plan'), invited: 4 })
    const next = until(lapse(play(open, join(0), join(1))), 'reporting')
    expect(next.past).toMatchObject([{ reason: 'too-few-nodes' }])
    expect(recordOf(next)?.candidates[0]).toMatchObject({ taken: 0, passed: 0, tickets: 2 })
  })

  test('a question’s draws go by nothing, so that the same sites are asked again', () => {
    const spec = maskedSpecOf(3, 1, { purpose: 'ask', planned: 1, budget: 0n, genesis: cid('task') })
    let run = lapse(until(started(spec), 'dealing'))
    expect(run.past).toMatchObject([{ reason: 'too-few-keys' }])
    run = until(run, 'dealing')
    expect(run.round?.round).toBe(2)
    expect(recordOf(run)?.candidates).toMatchObject([0, 1, 2].map(() => ({ taken: 0, passed: 0, tickets: 2 })))
  })
})
