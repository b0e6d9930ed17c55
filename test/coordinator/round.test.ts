import { describe, expect, test } from '@jest/globals'
import type { RoundEvent } from '#coordinator/round/events.ts'
import { type Opened, type Round, stepRound } from '#coordinator/round/round.ts'
import { openSelection } from '#coordinator/round/selection.ts'
import { type NodeId, nodeIdOf } from '#protocol/ids.ts'
import { COHORT_MAX } from '#protocol/limits.ts'
import { cid, happens, node, specOf } from './fixture.ts'

type Said = RoundEvent extends infer E ? (E extends RoundEvent ? Omit<E, 'round'> & { round?: number } : never) : never

function open(change: Partial<Opened> = {}, invited = 4): Round {
  const { cohort: rule, timing, secure } = specOf()
  const opened = {
    round: 1,
    purpose: 'train',
    plan: cid('plan'),
    cohortSeed: new Uint8Array(32),
    ...{ rule, timing, secure, heedsRefusals: false },
    openedAt: 0,
    took: {},
  } as const
  return openSelection({ ...opened, ...change }, invited, [])
}

/** Plays events into a round; each must be accepted. */
function play(round: Round, ...events: readonly Said[]): Round {
  return events.reduce<Round>((state, event) => {
    const next = stepRound(state, { round: 1, ...event } as RoundEvent)
    if (!next.ok) throw new Error(`${event.kind} was refused: ${next.refusal}`)
    return next.value
  }, round)
}

function refusal(round: Round, event: Said): string {
  const next = stepRound(round, { round: 1, ...event } as RoundEvent)
  return next.ok ? 'accepted' : next.refusal
}

const join = (index: number, at = 1): Said => ({ ...happens.join(index), at })
const report = (index: number, at = 200): Said => ({ ...happens.report(index), at })
const leave = (index: number, at = 200): Said => ({ ...happens.leave(index), at })
const tick = (at: number): Said => ({ ...happens.tick(), at })
const aggregated = (at = 300): Said => ({ ...happens.aggregate(), at })
const seated = (): Round => play(open(), join(0), join(1), join(2), join(3))

describe('selection', () => {
  test('ends as soon as everybody invited has answered and enough joined', () => {
    expect(play(open(), join(2), join(0), join(1)).phase).toBe('selection')
    const round = play(open(), join(2), join(0), join(1), { kind: 'declined', at: 2, node: node(3), reason: 'busy' })
    expect(round).toMatchObject({ phase: 'reporting', cohort: [node(0), node(1), node(2)], waiting: 3, endsAt: 1002 })
  })

  test('waits for its deadline when too few joined, because another node may still link', () => {
    const declined = (index: number): Said => ({ kind: 'declined', at: 2, node: node(index), reason: 'busy' })
    const round = play(open(), join(0), join(1), declined(2), declined(3))
    expect(round.phase).toBe('selection')
    expect(play(round, join(4)).phase).toBe('reporting')
    expect(play(round, tick(100))).toMatchObject({ phase: 'aborted', reason: 'too-few-nodes' })
  })

  test('takes no more than the cohort allows, by a draw that does not depend on the order of arrival', () => {
    const arrivals = [5, 0, 3, 1, 4, 2]
    const one = play(open({}, 6), ...arrivals.map((index) => join(index)))
    const other = play(open({}, 6), ...arrivals.toReversed().map((index) => join(index)))
    expect(one).toMatchObject({ phase: 'reporting' })
    expect((one as { cohort: readonly NodeId[] }).cohort).toHaveLength(4)
    expect((one as { cohort: readonly NodeId[] }).cohort).toEqual((other as { cohort: readonly NodeId[] }).cohort)
    const otherSeed = play(open({ cohortSeed: new Uint8Array(32).fill(1) }, 6), ...arrivals.map((index) => join(index)))
    expect((otherSeed as { cohort: readonly NodeId[] }).cohort).not.toEqual(
      (one as { cohort: readonly NodeId[] }).cohort,
    )
  })

  test('a node that joined and left again has no seat', () => {
    const round = play(open({}, 4), join(0), join(1), join(2), leave(1, 3), join(3))
    expect(round).toMatchObject({ phase: 'reporting', cohort: [node(0), node(2), node(3)] })
  })

  test('a second join is refused, and so is a tick before its time', () => {
    const round = play(open(), join(0))
    expect(refusal(round, join(0))).toBe('already-joined')
    expect(refusal(round, tick(99))).toBe('not-due')
    expect(refusal(round, report(0))).toBe('wrong-phase')
  })
})

describe('reporting', () => {
  test('a node that leaves last does not strand the ones who reported', () => {
    const round = play(seated(), report(0), report(1), report(2), leave(3))
    expect(round).toMatchObject({ phase: 'aggregation' })
  })

  test('nor does a node that leaves first', () => {
    expect(play(seated(), leave(3), report(0), report(1), report(2))).toMatchObject({ phase: 'aggregation' })
  })

  test('what came first stands: leaving after a report takes nothing back, and a second report changes nothing', () => {
    const round = play(seated(), report(0))
    expect(refusal(round, leave(0))).toBe('already-reported')
    expect(refusal(round, { ...report(0), update: cid('another') } as Said)).toBe('already-reported')
    expect(refusal(play(round, leave(1)), report(1))).toBe('seat-gone')
  })

  test('ends without a sum as soon as the quorum cannot be reached any more', () => {
    const round = play(seated(), report(0), leave(1), leave(2), leave(3))
    expect(round).toMatchObject({ phase: 'aborted', reason: 'too-few-reports' })
  })

  test('closes k of n at its deadline, and says who was late', () => {
    const round = play(seated(), report(0), report(2), tick(1001))
    expect(round).toMatchObject({
      phase: 'aggregation',
      seats: [{ update: cid('update 0') }, { gone: 'late' }, {}, { gone: 'late' }],
    })
    expect(play(seated(), report(0), tick(1001))).toMatchObject({ phase: 'aborted', reason: 'too-few-reports' })
  })

  test('a stranger, a round gone by and a round from the future are refused by name', () => {
    expect(refusal(seated(), report(9))).toBe('not-in-cohort')
    expect(refusal(seated(), { ...report(0), round: 2 } as Said)).toBe('future-round')
    expect(refusal(open({ round: 2 }), report(0))).toBe('past-round')
    expect(refusal(seated(), join(5))).toBe('wrong-phase')
  })

  test('an evaluate round collects in the evaluation phase', () => {
    const round = play(open({ purpose: 'evaluate' }), join(0), join(1), join(2), join(3))
    expect(round.phase).toBe('evaluation')
    expect(play(round, report(0), report(1), report(2), report(3)).phase).toBe('aggregation')
  })
})

describe('aggregation and settlement', () => {
  const summing = (): Round => play(seated(), report(0), report(1), report(2), report(3))

  test('a model is made, paid for, and in the history', () => {
    const round = play(summing(), aggregated(), { kind: 'settled', at: 310, receipts: cid('receipts') })
    expect(round).toMatchObject({ phase: 'closed', receipts: cid('receipts'), model: cid('model'), endedAt: 310 })
    expect(refusal(round, aggregated())).toBe('round-over')
    expect(refusal(round, { kind: 'settled', at: 311, receipts: null })).toBe('round-over')
  })

  test('a sum that cannot become a model aborts the round with its reason', () => {
    expect(play(summing(), { kind: 'spoiled', at: 300, reason: 'sum-bad-header' })).toMatchObject({
      phase: 'aborted',
      reason: 'sum-bad-header',
    })
  })

  test('an aggregation that never comes does not strand the round', () => {
    expect(play(summing(), tick(400))).toMatchObject({ phase: 'aborted', reason: 'aggregation-late' })
  })

  test('a settlement that never comes does not strand it either, and still counts when it comes', () => {
    const round = play(summing(), aggregated(), tick(500))
    expect(round).toMatchObject({ phase: 'closed', receipts: 'overdue' })
    expect(play(round, { kind: 'settled', at: 600, receipts: cid('receipts') })).toMatchObject({
      receipts: cid('receipts'),
    })
  })

  test('a second aggregate is refused: a round makes one model', () => {
    expect(refusal(play(summing(), aggregated()), aggregated())).toBe('wrong-phase')
  })
})

describe('a node that cannot make up its mind', () => {
  test('may come back, but not so often that it fills the log', () => {
    let round = open({}, 32)
    let events = 0
    for (let turn = 0; turn < 10_000; turn++) {
      for (const event of [join(0), leave(0, 1)]) {
        const next = stepRound(round, { round: 1, ...event } as RoundEvent)
        if (!next.ok) continue
        round = next.value
        events++
      }
    }
    expect(events).toBeGreaterThanOrEqual(4)
    expect(events).toBeLessThan(100)
    expect(refusal(round, join(0))).toBe('returned-too-often')
    expect(refusal(round, join(1))).toBe('accepted')
  })

  test('nor do many that decline: what selection remembers is bounded', () => {
    let round = open({}, COHORT_MAX)
    for (let place = 0; place < COHORT_MAX + 100; place++) {
      const key = new Uint8Array(32)
      new DataView(key.buffer).setUint32(0, place)
      const next = stepRound(round, { kind: 'declined', at: 1, round: 1, node: nodeIdOf(key), reason: '' })
      if (next.ok) round = next.value
    }
    expect(round.phase === 'selection' && round.declined.length).toBe(COHORT_MAX)
    expect(refusal(round, join(0))).toBe('accepted')
  })
})
