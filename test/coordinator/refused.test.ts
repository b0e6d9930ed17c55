import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { pauseOf } from '#coordinator/outcome.ts'
import { type Run, stepRun } from '#coordinator/run.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import { REASON_CHARS_MAX } from '#protocol/limits.ts'
import { DATA_LACKS, isLasting, REFUSED, refusedFor, SITE_RULES } from '#protocol/refusals.ts'
import { cohortOf } from '#test/cohort.ts'
import { cid, type Happening, happens, maskedSpecOf, node } from './fixture.ts'
import { accepted, answerTo, lapse, play, stamp, started, until } from './histories.ts'

const MIN = 3
const RULE = 'cells-too-small'

/** A question to so many, of whom at least three are to come. */
function asked(invited: number, change: Partial<RunSpec> = {}): Run {
  const cohort = cohortOf({ min: MIN, max: 5, quorum: MIN })
  const question = { purpose: 'ask', planned: 1, budget: 0n, genesis: cid('task') } as const
  const spec = maskedSpecOf(5, 1, {
    ...question,
    cohort,
    heedsRefusals: true,
    failuresMax: 3,
    onFailures: 'end',
    ...change,
  })
  return opened(started(spec), invited)
}
function opened(run: Run, invited: number): Run {
  const round = run.past.length + 1
  return accepted(run, { kind: 'opened', at: run.at, round, plan: cid(`plan ${round}`), invited })
}
const join = (index: number): Happening => happens.join(index, cid(`advert ${index}`))
const decline = (index: number, reason: string): Happening => ({ kind: 'declined', node: node(index), reason })
const recorded = (run: Run) => accepted(run, answerTo(run, { kind: 'recount', round: run.past.length }))

describe('a question that sites decline for good', () => {
  test('is over as soon as the last of them has, with the rule, and is not asked again', () => {
    const waiting = play(asked(3), decline(0, RULE), decline(1, 'no-column'))
    expect(waiting.round?.phase).toBe('selection')
    const over = recorded(play(waiting, decline(2, RULE)))
    expect(over.past).toMatchObject([{ reason: `${REFUSED}: cells-too-small, no-column`, endedIn: 'selection' }])
    expect([over.phase, over.at]).toEqual(['finishing', waiting.at])
    expect(until(over, undefined).past).toHaveLength(1)
  })

  test('is over where too few of them are left, though some would answer; and goes on where enough are', () => {
    const some = play(asked(4), join(0), join(1), decline(2, RULE), decline(3, RULE))
    expect(some.past).toMatchObject([{ reason: `${REFUSED}: ${RULE}` }])
    expect(play(asked(4), join(0), join(1), join(2), decline(3, RULE)).round?.phase).toBe('keys')
  })

  test.each(['busy', 'link-lost', 'restarted', 'fault', 'input-spent'])(
    'waits for who is %s, and asks again',
    (reason) => {
      expect(play(asked(4), decline(0, RULE), join(1), join(2), decline(3, reason)).round?.phase).toBe('selection')
      const passing = lapse(play(asked(3), decline(0, reason), decline(1, reason), join(2)))
      expect(passing.past).toMatchObject([{ reason: 'too-few-nodes' }])
      expect(recorded(passing).phase).toBe('running')
    },
  )

  test('waits for others to link where there were too few anyway, and one of them would answer', () => {
    const few = play(asked(2), decline(0, RULE), join(1))
    expect(few.round?.phase).toBe('selection')
    expect(play(few, join(2), join(3)).round?.phase).toBe('keys')
    expect(play(asked(2), decline(0, RULE), decline(1, RULE)).past).toMatchObject([{ reason: refusedFor([RULE]) }])
    expect(lapse(play(asked(0), decline(0, RULE))).past).toMatchObject([{ reason: 'too-few-nodes' }])
  })

  test('waits for its owner where that was asked for, who may ask again', () => {
    const refuse = (run: Run) => recorded(play(run, ...[0, 1, 2].map((index) => decline(index, RULE))))
    const paused = refuse(asked(3, { onFailures: 'pause' }))
    expect([paused.phase, pauseOf(paused)]).toEqual([
      'paused',
      '1 round was aborted, the last one: refused-by-sites: cells-too-small',
    ])
    const again = opened(accepted(paused, { kind: 'resumed', at: paused.at }), 3)
    expect(play(again, join(0), join(1), join(2)).round?.phase).toBe('keys')
    expect(refuse(again).phase).toBe('paused')
  })

  test('that an earlier version asked, and training, go on as their logs say: they ask again at their deadlines', () => {
    const { heedsRefusals: _, ...earlier } = asked(3).spec
    let run = opened(started(earlier), 3)
    for (const index of [0, 1, 2]) run = play(run, decline(index, RULE))
    expect(run.round?.phase).toBe('selection')
    expect(recorded(lapse(run)).phase).toBe('running')
  })

  test('comes to the same in whatever order answers come, twice or not at all', () => {
    const answers = ['join', RULE, 'no-column', 'busy', 'silent'] as const
    const each = fc.array(fc.constantFrom(...answers), { minLength: 1, maxLength: 5 })
    const orders = each.chain((said) =>
      fc.tuple(
        fc.constant(said),
        fc.shuffledSubarray([...said.keys(), ...said.keys()], { minLength: 2 * said.length }),
      ),
    )
    fc.assert(
      fc.property(orders, ([said, order]) => {
        let run = asked(said.length)
        for (const index of order) {
          const answer = said[index]
          if (answer === 'silent' || answer === undefined) continue
          const next = stepRun(run, stamp(run, answer === 'join' ? join(index) : decline(index, answer)))
          if (next.ok) run = next.value
        }
        const lasting = said.filter(isLasting)
        const mayCome = said.length - lasting.length
        const isRefused = lasting.length > 0 && mayCome < MIN && (said.length >= MIN || mayCome === 0)
        if (!said.includes('silent')) expect(run.past.length === 1).toBe(isRefused)
        const { reason = null } = (run.round?.phase === 'selection' ? lapse(run) : run).past[0] ?? {}
        if (isRefused) expect(reason).toBe(refusedFor(lasting))
        else expect(reason).toBe(said.filter((one) => one === 'join').length < MIN ? 'too-few-nodes' : null)
      }),
    )
  })
})

test('a reason is short enough for a record, whatever was said', () => {
  const names = [...SITE_RULES, ...DATA_LACKS].sort((a, b) => b.length - a.length)
  const said = refusedFor(names.flatMap((name, index) => Array(20 - index).fill(name)))
  expect(said).toContain(names[0])
  expect(said.length).toBeLessThan(REASON_CHARS_MAX - '1000 rounds in a row were aborted, the last one: '.length)
})
