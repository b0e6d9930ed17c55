import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { csvOf } from '#dashboard/csv.ts'
import { formatCredits } from '#dashboard/format.ts'
import { RunHistory } from '#dashboard/history.ts'
import { readMarkdown } from '#dashboard/markdown.ts'
import { RUN_TABS, routeOf } from '#dashboard/route.ts'
import { beside, curvesOf, joined, labelCurves, labelFigures, smooth, strokeOf } from '#dashboard/series.ts'
import { timelineOf } from '#dashboard/timeline-bars.ts'
import type { ApiEvent } from '#sdk/sse.ts'

/** Events as the API tells them, each a number of milliseconds after the first. */
function told(events: readonly (readonly [at: number, type: string, fields?: object])[]): RunHistory {
  const history = new RunHistory('run_1')
  for (const [seq, [at, type, fields]] of events.entries())
    history.take({ type, run: 'run_1', seq, time: new Date(at).toISOString(), ...fields } as ApiEvent)
  return history
}

const figures = (loss: number) => ({ rows: 10, sites: null, accuracy: 1 - loss / 10, loss })
const round = (n: number, at: number, tested: number) =>
  [
    [at, 'round.opened', { round: n, purpose: 'train', invited: 2, plan: 'b' }],
    [at + 10, 'node.joined', { round: n, node: 'a', operator: 'A', phase: 'selection' }],
    [at + 30, 'node.joined', { round: n, node: 'b', operator: null, phase: 'reporting' }],
    [at + 530, 'update.reported', { round: n, node: 'b', update: 'b', train_ms: 400 }],
    [at + 1030, 'update.reported', { round: n, node: 'a', update: 'b', train_ms: 900 }],
    [at + 1060, 'model.aggregated', { round: n, model: 'm', evaluated: figures(tested), evaluated_round: n - 1 }],
    [
      at + 1100,
      'round.completed',
      {
        ...{ round: n, purpose: 'train', cohort: 2, reports: 2, bytes_per_node: 24, train_ms: 900 },
        overhead_ms: 200,
        manifest: 'r',
        payouts: [
          { node: 'a', amount: '3' },
          { node: 'b', amount: '4' },
        ],
      },
    ],
  ] as const

const two = () => told([[0, 'run.created', { rounds: 2, masking: 'none' }], ...round(1, 100, 5), ...round(2, 2000, 3)])

describe('a run as its events tell it', () => {
  test('what a round tested is the model of the one before', () => {
    const { genesis, rounds, closed } = two()
    expect([genesis?.loss, rounds[0]?.made?.loss, rounds[1]?.made]).toEqual([5, 3, null])
    expect(closed).toBe(2)
    expect(rounds.map(({ paid }) => paid)).toEqual([7n, 7n])
    expect(curvesOf(two()).loss).toMatchObject({ rounds: [0, 1], values: [5, 3] })
  })

  test('of numbers has no accuracy, and of another run all is drawn beside, what has one name in one colour', () => {
    const asked = (accuracy: number | null, ...names: readonly string[]) =>
      told([
        [0, 'run.created', { rounds: 2, masking: 'none' }],
        [
          10,
          'model.aggregated',
          {
            ...{ round: 1, model: 'm', evaluated_round: 0 },
            evaluated: { ...figures(5), accuracy, figures: names.map((name) => ({ name, value: 0.5, within: 0 })) },
          },
        ],
      ])
    const [own, other] = [curvesOf(asked(0.5, 'auroc')), curvesOf(asked(null, 'rmse', 'auroc', 'mae'))]
    expect(other.scores.map(({ name }) => name)).toEqual(['rmse', 'auroc', 'mae'])
    expect(curvesOf(asked(null))).toMatchObject({ loss: { values: [5] }, scores: [] })
    const drawn = beside(own.scores, other.scores, (name) => `${name} there`)
    expect(drawn.map(({ name, line, isOther }) => [name, line, isOther])).toEqual([
      ...[
        ['accuracy', undefined, undefined],
        ['auroc', undefined, undefined],
      ],
      ...[
        ['rmse there', 2, true],
        ['auroc there', 1, true],
        ['mae there', 3, true],
      ],
    ])
  })

  test('of several labels each has its line, by its column where that is known, and a gap where it has no figure', () => {
    const figure = (...values: readonly (number | null)[]) => ({
      figures: [{ name: 'auroc', value: 0.5, within: 0, by_label: values.map((value) => ({ value, within: 0 })) }],
    })
    const each = told([
      [0, 'run.created', { rounds: 2, masking: 'none' }],
      ...[round(1, 100, 5), round(2, 2000, 3)].flatMap((events, index) =>
        events.map(([at, type, fields]) => {
          const evaluated = { ...figures(1), ...(index === 0 ? figure(0.5, null) : figure(0.75, 1)) }
          return [at, type, type === 'model.aggregated' ? { ...fields, evaluated } : fields] as const
        }),
      ),
    ])
    expect(labelFigures(each)).toEqual(['auroc'])
    expect(labelCurves(each, 'auroc', ['edema'])).toEqual([
      { name: 'edema', rounds: [0, 1], values: [0.5, 0.75] },
      { name: 'label 2', rounds: [0, 1], values: [null, 1] },
    ])
    expect([labelFigures(two()), labelCurves(two(), 'auroc', [])]).toEqual([[], []])
    const strokes = Array.from({ length: 25 }, (_, line) => JSON.stringify(strokeOf(line)))
    expect(new Set(strokes).size).toBe(25)
  })

  test('what sites do in a round is called what it is: they train, test the model, or count', () => {
    for (const [purpose, work] of [
      ['train', 'train'],
      ['evaluate', 'test'],
      ['ask', 'count'],
    ] as const) {
      const [opened, ...rest] = round(1, 100, 5)
      const { rounds } = told([[100, 'round.opened', { ...opened[2], purpose }], ...rest.slice(0, -1)])
      const { rows } = timelineOf(rounds[0] as NonNullable<(typeof rounds)[0]>, 2000)
      const kinds = new Set(rows.flatMap(({ bars }) => bars.map(({ kind }) => kind)))
      expect((['train', 'test', 'count'] as const).filter((kind) => kinds.has(kind))).toEqual([work])
    }
  })

  test('whoever ended a round by declining is told of as the others who declined are', () => {
    const { rounds } = told([
      [0, 'round.opened', { round: 1, purpose: 'ask', invited: 2, plan: 'b' }],
      [10, 'node.declined', { round: 1, node: 'a', reason: 'no-column' }],
      [20, 'round.aborted', { round: 1, reason: 'r', cause: 'declined', node: 'b', node_reason: 'cells-too-small' }],
    ])
    expect([...(rounds[0]?.sites.values() ?? [])]).toMatchObject([
      { node: 'a', leftAt: 10, reason: 'no-column' },
      { node: 'b', leftAt: 20, reason: 'cells-too-small' },
    ])
  })

  test('the last to report is critical, and overhead is what came on top of the slowest training', () => {
    const [first] = two().rounds
    const { rows, spanMillis } = timelineOf(first as NonNullable<typeof first>, 0)
    expect(spanMillis).toBe(1100)
    expect(rows.map(({ site, critical }) => [site?.node, critical])).toEqual([
      ['a', true],
      ['b', false],
      [undefined, true],
    ])
    expect(rows[0]?.bars.map(({ kind, from, to }) => [kind, from, to])).toEqual([
      ['invited', 0, 10],
      ['joined', 10, 30],
      ['fetch', 30, 130],
      ['train', 130, 1030],
    ])
    expect(rows[2]?.bars.map(({ kind, to }) => [kind, to])).toEqual([
      ['select', 30],
      ['collect', 1030],
      ['aggregate', 1060],
      ['settle', 1100],
    ])
  })

  test('a run that was stopped, paused or failed says why, and an aborted round is never drawn as one that was summed', () => {
    const stopped = told([
      [0, 'run.created', { rounds: 2, masking: 'none' }],
      [10, 'round.opened', { round: 1, purpose: 'train', invited: 2 }],
      [20, 'run.stopping', { reason: 'enough', round: 1 }],
      [30, 'run.stopped', { reason: 'enough', manifest: 'r' }],
    ])
    expect(stopped.end).toEqual({ outcome: 'stopped', reason: 'enough', manifest: 'r' })
    const [aborted] = stopped.rounds
    const kinds = timelineOf(aborted as NonNullable<typeof aborted>, 0).rows.flatMap(({ bars }) =>
      bars.map(({ kind }) => kind),
    )
    expect(kinds).toEqual(['select'])
    const paused = told([[0, 'run.paused', { reason: 'too-few-nodes' }]])
    expect(paused.pausedFor).toBe('too-few-nodes')
    paused.take({ type: 'run.resumed', run: 'run_1', seq: 1, time: new Date(0).toISOString() })
    expect(paused.pausedFor).toBeNull()
    const [opened, ...rest] = round(1, 100, 5)
    const asked = told([opened, [110, 'run.pausing', { reason: 'a look' }], ...rest.slice(0, -1)])
    expect(asked.pausedFor).toBeNull()
    asked.take({
      type: 'round.completed',
      run: 'run_1',
      seq: asked.last + 1,
      time: new Date(0).toISOString(),
      round: 1,
    })
    expect(asked.pausedFor).toBe('a look')
  })

  test('no event of any shape makes it throw, and bars stay within their round', () => {
    const types = two().log.map(({ type }) => type)
    const event = fc.record(
      {
        type: fc.constantFrom(...types),
        round: fc.nat(3),
        node: fc.constantFrom('a', 'b'),
        phase: fc.constantFrom('selection', 'reporting'),
        train_ms: fc.nat(5000),
        payouts: fc.anything(),
        evaluated: fc.anything(),
      },
      { requiredKeys: ['type'] },
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(1000), event), { maxLength: 40 }), (events) => {
        const waits = events.map(([wait]) => wait)
        const times = waits.map((_, index) => waits.slice(0, index + 1).reduce((sum, wait) => sum + wait, 0))
        const history = told(events.map(([, { type, ...fields }], index) => [times[index] ?? 0, type, fields]))
        const at = times.at(-1) ?? 0
        for (const one of history.rounds) {
          const { rows, spanMillis } = timelineOf(one, at)
          for (const { bars } of rows)
            for (const { from, to } of bars) expect(from >= 0 && to > from && to <= spanMillis).toBe(true)
        }
      }),
    )
  })
})

test('lines of different rounds share one axis, and smoothing keeps a constant line as it is', () => {
  const [rounds, first, second] = joined([
    { name: 'a', rounds: [0, 2], values: [1, 2] },
    { name: 'b', rounds: [1], values: [3] },
  ])
  expect([rounds, first, second]).toEqual([
    [0, 1, 2],
    [1, null, 2],
    [null, 3, null],
  ])
  for (const value of smooth([2, null, 2, 2], 0.9)) expect(value ?? 2).toBeCloseTo(2, 12)
})

test('an address is a page or nowhere, and never throws', () => {
  expect(routeOf('/runs/run_1')).toEqual({ page: 'run', run: 'run_1', tab: 'curves' })
  for (const tab of RUN_TABS) expect(routeOf(`/runs/run_1/${tab}/`)).toEqual({ page: 'run', run: 'run_1', tab })
  expect(
    ['/', '/nodes', '/money', '/verify', '/settings', '/nodes/x', '/runs', '/other'].map((path) => routeOf(path).page),
  ).toEqual([...['overview', 'nodes', 'money', 'verify', 'settings', 'nowhere', 'nowhere', 'nowhere']])
  fc.assert(fc.property(fc.string(), (path) => expect(routeOf(`/${path}`).page).toBeDefined()))
})

test('money is told to the last micro-credit, however much it is', () => {
  expect(formatCredits('1000000')).toBe('1.000000')
  expect(formatCredits('9007199254740993000001')).toBe('9,007,199,254,740,993.000001')
})

test('a cell of a CSV file is text, not a formula', () => {
  expect(csvOf([['a"b', '=1+1', 3, null, 4n]])).toBe('"a""b",\'=1+1,3,,4\r\n')
})

describe('a model card', () => {
  test('is read into headings, lists, tables and code', () => {
    const { metadata, blocks } = readMarkdown(
      '---\nlicense: mit\n---\n# A *b*\n\ntext `c`\n\n- one\n- two\n\n| h | i |\n|---|---|\n| 1 | 2 |\n\n```\nx\n```\n',
    )
    expect(metadata).toBe('license: mit')
    expect(blocks.map(({ kind }) => kind)).toEqual(['heading', 'paragraph', 'list', 'table', 'code'])
  })

  test('links nowhere but to the web and to ourselves, and ends on any text', () => {
    const { blocks } = readMarkdown('[a](javascript:alert(1)) [b](//evil) [c](https://x.example) [d](/runs/r)')
    const links = JSON.stringify(blocks).match(/"to":"[^"]*/g)
    expect(links).toEqual(['"to":"https://x.example', '"to":"/runs/r'])
    fc.assert(
      fc.property(
        fc.string({ maxLength: 200, unit: fc.constantFrom(...'|-*`[]()# \n\\1.a~') }),
        (text) => void readMarkdown(text),
      ),
    )
  })
})
