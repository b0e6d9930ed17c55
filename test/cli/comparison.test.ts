import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type Comparison, compare, comparisonCsv, comparisonLines, differences } from '#cli/comparison.ts'
import { type PastRound, watching } from '#cli/run-progress.ts'
import type { RunView } from '#sdk/views/runs.ts'

const round = (accuracy: number, change: Partial<PastRound> = {}): PastRound => ({
  ...{ round: 1, aborted: null, reports: 5, cohort: 5, bytesPerNode: 24_048, trainMillis: 400, overheadMillis: 6 },
  ...{ durationMillis: 406, endedAt: '2026-11-22T09:31:04.120Z' },
  evaluation: { rows: 10, sites: null, accuracy, loss: 1 - accuracy },
  ...change,
})
const part = (id: string, past: readonly PastRound[], task: unknown): Comparison => ({
  run: { id, name: 'digits', status: 'completed' } as RunView,
  progress: { ...watching(id), past },
  task,
})
const A = `run_${'0'.repeat(25)}A`
const B = `run_${'0'.repeat(25)}B`
const two = compare([
  part(A, [round(0.5), round(0.9), round(0.8)], {
    rounds: 3,
    task: { optimiser: { rateMicro: 1000 }, name: 'digits' },
  }),
  part(B, [round(0.6), round(0, { aborted: 'too-few-nodes', evaluation: undefined })], {
    ...{ rounds: 2, task: { optimiser: { rateMicro: 2000, momentumMicro: 5 }, name: 'digits' } },
  }),
])

test('runs are side by side, the nth closed round beside the nth, and their ids are whole', () => {
  expect(comparisonLines(two)).toEqual([
    `a  ${A}  digits`,
    `b  ${B}  digits`,
    '',
    '                        a             b',
    'status          completed     completed',
    'rounds                  3  1 +1 aborted',
    'best accuracy  0.9000 @ 2    0.6000 @ 1',
    'best loss      0.1000 @ 2    0.4000 @ 1',
    'up per site       72.1 KB       24.0 KB',
    'took                  1 s           0 s',
    'training           1.20 s        0.40 s',
    'overhead            18 ms          6 ms',
    '',
    'round   acc a  loss a   acc b  loss b',
    '1      0.5000  0.5000  0.6000  0.4000',
    '2      0.9000  0.1000       -       -',
    '3      0.8000  0.2000       -       -',
    '',
    'what differs in the tasks',
    '  /rounds',
    '    a  3',
    '    b  2',
    '  /task/optimiser/momentumMicro',
    '    a  -',
    '    b  5',
    '  /task/optimiser/rateMicro',
    '    a  1000',
    '    b  2000',
  ])
})

test('a data frame has a line for each round of each run, and no word for what is unknown', () => {
  const untested = compare([part(A, [round(0.5, { evaluation: undefined })], {})])
  expect(comparisonCsv(two)).toHaveLength(5)
  expect(comparisonCsv(untested)).toEqual([
    'run,round,accuracy,loss,reports,cohort,bytes_per_node,train_ms,overhead_ms',
    `${A},1,,,5,5,24048,400,6`,
  ])
})

test('every figure that the tasks ask for is compared, and of errors the least is the best', () => {
  const scored = (rmse: number | null, auroc: number, accuracy: number | null = null) =>
    round(0, {
      evaluation: {
        ...{ rows: 10, sites: null, accuracy, loss: 2 },
        figures: [
          { name: 'rmse', value: rmse, within: 0 },
          { name: 'auroc', value: auroc, within: 0 },
        ],
      },
    })
  const runs = compare([part(A, [scored(3, 0.5), scored(1.5, 0.7), scored(2, 0.9)], {}), part(B, [round(0.4)], {})])
  expect(runs.runs.map(({ best, best_accuracy }) => [best_accuracy, best])).toEqual([
    [
      null,
      [
        { name: 'loss', value: 2, round: 1 },
        { name: 'rmse', value: 1.5, round: 2 },
        { name: 'auroc', value: 0.9, round: 3 },
      ],
    ],
    [
      0.4,
      [
        { name: 'accuracy', value: 0.4, round: 1 },
        { name: 'loss', value: 0.6, round: 1 },
      ],
    ],
  ])
  const lines = comparisonLines(runs)
  for (const line of ['best rmse     1.5000 @ 2           -', 'best accuracy           -  0.4000 @ 1'])
    expect(lines.map((one) => one.replace(/ {2,}/g, '  '))).toContain(line.replace(/ {2,}/g, '  '))
  expect(lines.find((line) => line.startsWith('round '))?.split(/ {2,}/)).toEqual([
    ...['round', 'loss a', 'rmse a', 'auroc a', 'acc b', 'loss b'],
  ])
  expect(comparisonCsv(compare([part(A, [scored(null, 0.5)], {}), part(B, [round(0.5)], {})]))).toEqual([
    'run,round,accuracy,loss,reports,cohort,bytes_per_node,train_ms,overhead_ms,rmse,auroc',
    `${A},1,,2,5,5,24048,400,6,,0.5`,
    `${B},1,0.5,0.5,5,5,24048,400,6,,`,
  ])
})

test('what is the same differs nowhere, and each difference is at a place of one of them', () => {
  fc.assert(fc.property(fc.json(), (text) => expect(differences([JSON.parse(text), JSON.parse(text)])).toEqual([])))
  expect(differences([{ 'a/b': { '~': 1 } }, { 'a/b': { '~': 2 } }])).toEqual([{ pointer: '/a~1b/~0', values: [1, 2] }])
  expect(differences([{ list: [1, 2] }, { list: [1] }])).toEqual([{ pointer: '/list/1', values: [2, null] }])
  expect(differences([{ a: {} }, { a: [] }])).toEqual([{ pointer: '/a', values: [{}, []] }])
})
