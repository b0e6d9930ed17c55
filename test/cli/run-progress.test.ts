import { describe, expect, test } from '@jest/globals'
import { etaMillis, follow, type RunProgress, settledRounds, watching } from '#cli/run-progress.ts'
import type { ApiEvent } from '#sdk/sse.ts'

/** A run of two rounds as the coordinator told it, the second one aborted. */
const told: readonly object[] = [
  { type: 'run.created', rounds: 2, masking: 'none', budget: '100' },
  { type: 'run.funded' },
  { type: 'round.opened', round: 1, purpose: 'train', invited: 2 },
  { type: 'node.joined', round: 1, node: 'a' },
  { type: 'node.joined', round: 1, node: 'b' },
  { type: 'update.reported', round: 1, node: 'a' },
  { type: 'update.reported', round: 1, node: 'b' },
  {
    type: 'model.aggregated',
    round: 1,
    evaluated: { rows: 10, sites: null, accuracy: 0.1, loss: 2.3 },
    evaluated_round: 0,
  },
  {
    ...{ type: 'round.completed', round: 1, purpose: 'train', cohort: 2, reports: 2, bytes_per_node: 64 },
    ...{
      train_ms: 10,
      overhead_ms: 5,
      duration_ms: 15,
      payouts: [
        { node: 'a', amount: '25' },
        { node: 'b', amount: '25' },
      ],
    },
  },
  { type: 'round.opened', round: 2, purpose: 'train', invited: 2 },
  { type: 'round.aborted', round: 2, purpose: 'train', reason: 'too-few-nodes', cause: 'ticked' },
  { type: 'round.opened', round: 3, purpose: 'evaluate', invited: 2 },
  {
    type: 'model.aggregated',
    round: 3,
    evaluated: { rows: 10, sites: null, accuracy: 0.8, loss: 0.4 },
    evaluated_round: 1,
  },
  {
    ...{ type: 'round.completed', round: 3, purpose: 'evaluate', cohort: 2, reports: 2, bytes_per_node: 64 },
    ...{ train_ms: 1, overhead_ms: 5, duration_ms: 6, payouts: [] },
  },
  {
    ...{ type: 'run.completed', reason: null, evaluation: { rows: 10, sites: null, accuracy: 0.8, loss: 0.4 } },
    ...{ model: 'bafym', manifest: 'bafyr', ledger: { budget: '100', paid: '50', released: '50' } },
  },
]

const BEGAN = Date.UTC(2026, 10, 22)
/** An event a second. */
const after = (count: number): RunProgress =>
  told
    .slice(0, count)
    .map(
      (event, seq) => ({ run: 'run_1', seq, time: new Date(BEGAN + 1000 * seq).toISOString(), ...event }) as ApiEvent,
    )
    .reduce(follow, watching('run_1'))

test('an open round counts who joined and who reported', () => {
  expect(after(6).open).toEqual({
    ...{ round: 1, purpose: 'train', invited: 2, joined: 2, reported: 1, left: 0 },
    phases: [
      { name: 'selection', sinceMillis: BEGAN + 2000 },
      { name: 'reporting', sinceMillis: BEGAN + 5000 },
    ],
  })
  expect(after(9).open).toBeUndefined()
})

test("a round's figures are those that a later round measured, never the incoming model's", () => {
  expect(after(9).past[0]?.evaluation).toBeUndefined()
  expect(after(13).past[0]?.evaluation).toEqual({ rows: 10, sites: null, accuracy: 0.8, loss: 0.4 })
})

test('a round is told once its model was tested, and what follows it waits for its turn', () => {
  expect(settledRounds(after(9), 0)).toEqual([])
  expect(settledRounds(after(11), 0)).toEqual([])
  expect(settledRounds(after(13), 0).map(({ round }) => round)).toEqual([1, 2])
  expect(settledRounds(after(13), 1).map(({ round }) => round)).toEqual([2])
  expect(settledRounds(after(13), 2)).toEqual([])
})

test('a run that ends tells every round, tested or not', () => {
  const untested = { ...after(9), end: after(15).end }
  expect(settledRounds(untested, 0)).toHaveLength(1)
})

test('pay adds up over closed training rounds, and an aborted one says why it pays nobody', () => {
  const { paid, past, end } = after(15)
  expect(paid).toEqual(
    new Map([
      ['a', 25n],
      ['b', 25n],
    ]),
  )
  expect(past.map(({ round, aborted }) => [round, aborted])).toEqual([
    [1, null],
    [2, 'too-few-nodes'],
  ])
  expect(end).toMatchObject({ outcome: 'completed', model: 'bafym', ledger: { released: '50' } })
})

test('events of unknown types change nothing', () => {
  expect(follow(after(9), { type: 'round.blessed', run: 'run_1', seq: 9, time: '' })).toEqual(after(9))
})

describe('what is left', () => {
  const closed = (durationMillis: number) => ({ ...after(9).past[0], durationMillis }) as RunProgress['past'][number]
  const open = { round: 9, purpose: 'train', invited: 2, joined: 2, reported: 0, left: 0 }
  const run = (durations: readonly number[], phases: readonly { name: string; sinceMillis: number }[] = []) => ({
    ...{ ...watching('run_1'), rounds: 10, past: durations.map(closed), open: { ...open, phases } },
  })

  test('is told by the median of the last five rounds, so that one straggler does not move it', () => {
    expect(etaMillis(run([99_000, 1000, 1000, 50_000, 1000, 1000]), 0)).toBe(4000)
    expect(etaMillis(run([]), 0)).toBeUndefined()
  })

  test('grows less with the open round, and never more than by it, whatever our clock says', () => {
    const since = [{ name: 'selection', sinceMillis: 10_000 }]
    expect([9000, 10_400, 99_000].map((now) => etaMillis(run([1000, 1000], since), now))).toEqual([8000, 7600, 7000])
  })

  test('is nothing once all rounds have closed', () => {
    expect(etaMillis(run(Array.from({ length: 10 }, () => 1000)), 0)).toBeUndefined()
  })
})

test('the last report that is waited for begins the aggregation, also when somebody left', () => {
  const left = { run: 'run_1', seq: 6, time: '2026-11-22T00:01:00Z', type: 'node.left', round: 1, node: 'b' }
  const begun = follow(after(6), { ...left, phase: 'aggregation' } as ApiEvent).open?.phases.at(-1)
  expect(begun).toEqual({ name: 'aggregation', sinceMillis: Date.parse(left.time) })
  expect(after(7).open?.phases.at(-1)?.name).toBe('aggregation')
  expect(after(8).open?.phases.at(-1)?.name).toBe('settlement')
})

test('a run that is extended has more rounds', () => {
  const more = { run: 'run_1', seq: 9, time: '2026-11-22T00:01:00Z', type: 'run.extended', rounds: 7 }
  expect(follow(after(9), more as ApiEvent).rounds).toBe(7)
})
