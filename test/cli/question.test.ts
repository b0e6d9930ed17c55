import { describe, expect, test } from '@jest/globals'
import type { Answer } from '#aggregation/statistics/answer.ts'
import { parseArguments } from '#cli/arguments.ts'
import type { Command } from '#cli/command.ts'
import { parseQuestion, questionOf } from '#cli/question.ts'
import { answerData, answerLines } from '#cli/render/answer.ts'
import { questionSchema } from '#protocol/question.ts'

const command: Command = {
  name: 'stats ask',
  summary: '',
  options: [
    { name: 'count', summary: '' },
    ...['name', 'missing', 'mean', 'histogram', 'quantiles', 'categories'].map((name) => ({
      name,
      value: '<text>',
      summary: '',
    })),
    { name: 'min-cell', value: '<n>', default: '10', summary: '' },
    { name: 'min-cohort', value: '<n>', default: '3', summary: '' },
  ],
  examples: [],
  prints: 'answer',
  load: () => Promise.reject(new Error('not a command yet')),
}
const asked = (...flags: string[]) => questionOf(parseArguments(command, flags, {}))
const items = (...flags: string[]) => asked(...flags).items

describe('a question from flags', () => {
  test('has every kind of item, in one order, however the flags come', () => {
    const flags = ['--quantiles=age:250,500', '--categories', 'sex:0,1', '--histogram', 'age:0,60,120']
    expect(asked('--mean=age:0:120', ...flags, '--count', '--missing', 'chol', '--name', 'first look')).toEqual({
      ...{ v: 1, kind: 'question', name: 'first look', minCell: 10, minCohort: 3 },
      items: [
        { kind: 'count', column: null },
        { kind: 'count', column: 'chol' },
        { kind: 'moments', column: 'age', lowMicro: 0, highMicro: 120_000_000, resolutionMicro: 10 },
        {
          kind: 'histogram',
          column: 'age',
          edgesMicro: [0, 60_000_000, 120_000_000],
          quantilesPerMille: [250, 500],
        },
        { kind: 'categories', column: 'sex', levels: [0, 1] },
      ],
    })
  })

  test('asks about many columns by flags that come again', () => {
    const found = items('--mean', 'a:0:1', '--mean', 'b:-0.5:0.000001:0.25', '--categories', 'c:1', '--categories=d:-2')
    expect(found).toMatchObject([
      { column: 'a', resolutionMicro: 1 },
      { column: 'b', lowMicro: -500_000, highMicro: 1, resolutionMicro: 250_000 },
      { column: 'c' },
      { column: 'd', levels: [-2] },
    ])
  })

  test('fills an ellipsis by the step before it', () => {
    expect(items('--histogram', 'x:-1,-0.9,...,-0.5,0,…,2')).toMatchObject([
      { edgesMicro: [-1e6, -9e5, -8e5, -7e5, -6e5, -5e5, 0, 5e5, 1e6, 1.5e6, 2e6] },
    ])
  })

  test('reads decimals exactly: 0.1 and 0.2 make 0.3', () => {
    expect(items('--histogram', 'x:0.1,0.2,…,1.1')).toMatchObject([
      { edgesMicro: Array.from({ length: 11 }, (_, index) => 100_000 * (index + 1)) },
    ])
  })

  test.each<readonly [readonly string[], RegExp]>([
    [[], /asks for nothing/],
    [['--mean', 'age'], /a column and its bounds/],
    [['--mean', 'age:0:many'], /decimals with at most six places/],
    [['--mean', 'age:0:0.0000001'], /decimals with at most six places/],
    [['--mean', 'age:120:0'], /lower bound/],
    [['--histogram', 'age'], /a column and a list/],
    [['--histogram', 'age:0,…,10'], /follows two edges/],
    [['--histogram', 'age:0,10,…'], /decimals/],
    [['--histogram', 'age:0,10,…,25'], /steps of 10 do not lead from 10 to 25/],
    [['--histogram', 'age:0,0.000001,…,1000'], /at most 257 edges/],
    [['--quantiles', 'age:500'], /none of age/],
    [['--histogram', 'age:0,1', '--quantiles', 'age:0.5'], /whole numbers/],
    [['--histogram', 'age:0,1', '--quantiles', 'age:1000'], /nobody can be asked/],
    [['--categories', 'sex:m,f'], /whole numbers/],
    [['--count', '--min-cohort', '2'], /nobody can be asked/],
    [['--count', '--min-cell', '0'], /nobody can be asked/],
  ])('is refused with what to write instead: %j', (flags, message) => {
    expect(() => asked(...flags)).toThrow(message)
  })

  test('from a file is the same as from flags', () => {
    const text = '{"name":"n","minCell":10,"minCohort":3,"items":[{"kind":"count","column":null}]}'
    expect(parseQuestion('q.json', text)).toEqual(asked('--count', '--name', 'n'))
    expect(() => parseQuestion('q.json', '{')).toThrow(/q.json is not JSON/)
    for (const wrong of ['null', '7', '[]', '{}']) expect(() => parseQuestion('q.json', wrong)).toThrow(/nobody/)
  })
})

describe('an answer', () => {
  const question = questionSchema.parse(asked('--count', '--missing', 'chol', '--name', 'first look'))
  const counted = { missing: 3, suppressed: 12, values: 85 }
  const answer: Answer = {
    sites: 3,
    parts: [
      { kind: 'count', column: null, rows: 100, missing: null },
      { kind: 'count', column: 'chol', rows: 100, missing: 4 },
      {
        ...{ kind: 'moments', column: 'age', lowMicro: 0, highMicro: 120_000_000, resolutionMicro: 10, ...counted },
        ...{ clipped: { atLeast: 10, atMost: 28 }, sumSteps: 5_000_000n, squaresSteps: 2n ** 70n },
        ...{ mean: 54.4321987, variance: 81 },
      },
      {
        ...{ kind: 'histogram', column: 'age', ...counted, below: 0, above: 15 },
        bins: [
          { lowMicro: 0, highMicro: 60_500_000, rows: 60 },
          { lowMicro: 60_500_000, highMicro: 120_000_000, rows: 10 },
        ],
        quantiles: [
          { perMille: 500, estimate: 42.857142, low: 0, high: 60.5 },
          { perMille: 900, estimate: null, low: 60.5, high: null },
          { perMille: 1, estimate: null, low: null, high: 60.5 },
          { perMille: 2, estimate: null, low: null, high: null },
        ],
      },
      {
        ...{ kind: 'categories', column: 'sex', ...counted, suppressed: 0, other: 0 },
        levels: [
          { level: 0, rows: 50 },
          { level: 1, rows: 47 },
        ],
      },
    ],
  }

  test('for a person says what is missing, suppressed and uncertain', () => {
    expect(answerLines(question, answer, { unicode: false })).toEqual([
      'first look: 3 sites, cells of fewer than 10 rows suppressed at their site',
      '',
      'rows  100',
      '',
      'chol  4 of 100 missing',
      '',
      'age  85 values, 3 missing, 12 suppressed',
      '  mean 54.4322, standard deviation 9; 10 to 28 taken to the bounds 0 and 120',
      '',
      'age  85 values, 3 missing, 12 suppressed',
      '      below 0   0  [--------------------]',
      '    0 to 60.5  60  [####################]',
      '  60.5 to 120  10  [###-----------------]',
      '    above 120  15  [#####---------------]',
      '  quantile 0.5  about 42.8571, certainly 0 to 60.5',
      '  quantile 0.9  at least 60.5',
      '  quantile 0.001  at most 60.5',
      '  quantile 0.002  anywhere',
      '',
      'sex  85 values, 3 missing',
      '      0  50  [####################]',
      '      1  47  [##################--]',
      '  other   0  [--------------------]',
    ])
  })

  test('for a program is flat, with exact sums as text', () => {
    expect(answerData(question, answer)).toMatchObject({
      ...{ name: 'first look', sites: 3, min_cell: 10, min_cohort: 3 },
      items: [
        { kind: 'count', column: null, rows: 100, missing: null },
        { kind: 'count', column: 'chol', rows: 100, missing: 4 },
        {
          ...{ kind: 'moments', low: 0, high: 120, resolution: 0.00001, clipped_min: 10, clipped_max: 28 },
          ...{ sum_steps: '5000000', squares_steps: '1180591620717411303424', mean: 54.4321987, variance: 81 },
        },
        {
          kind: 'histogram',
          bins: [
            { low: 0, high: 60.5, rows: 60 },
            { low: 60.5, high: 120, rows: 10 },
          ],
          quantiles: [{ per_mille: 500, estimate: 42.857142, low: 0, high: 60.5 }, {}, {}, {}],
        },
        { kind: 'categories', levels: [{ level: 0, rows: 50 }, {}], other: 0 },
      ],
    })
    expect(JSON.stringify(answerData(question, answer))).not.toMatch(/[a-z][A-Z]/)
  })
})
