import { expect, test } from '@jest/globals'
import { follow, type RunProgress, settledRounds, watching } from '#cli/run-progress.ts'
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
    ...{ train_ms: 1, overhead_ms: 5, payouts: [] },
  },
  {
    ...{ type: 'run.completed', reason: null, evaluation: { rows: 10, sites: null, accuracy: 0.8, loss: 0.4 } },
    ...{ model: 'bafym', manifest: 'bafyr', ledger: { budget: '100', paid: '50', released: '50' } },
  },
]

const after = (count: number): RunProgress =>
  told
    .slice(0, count)
    .map((event, seq) => ({ run: 'run_1', seq, time: '', ...event }) as ApiEvent)
    .reduce(follow, watching('run_1'))

test('an open round counts who joined and who reported', () => {
  expect(after(6).open).toEqual({ round: 1, purpose: 'train', invited: 2, joined: 2, reported: 1 })
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
