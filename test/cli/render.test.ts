import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { siteAfter } from '#cli/demo/site-state.ts'
import { bar } from '#cli/render/bar.ts'
import { boardLines, type SiteState } from '#cli/render/board.ts'
import { curveLines } from '#cli/render/curve.ts'
import { figureLines } from '#cli/render/figures.ts'
import { Live } from '#cli/render/live.ts'
import { plainRow, tableHead, tableRow } from '#cli/render/table.ts'
import { formatBytes, formatDuration, formatSeconds } from '#cli/render/units.ts'
import { widthOf } from '#cli/render/width.ts'
import { type PastRound, type RunProgress, watching } from '#cli/run-progress.ts'
import { formatCredits } from '#protocol/amount.ts'

const past = (round: number, change: Partial<PastRound> = {}): PastRound => ({
  ...{ round, aborted: null, reports: 5, cohort: 5, bytesPerNode: 24_048, trainMillis: 1395, overheadMillis: 71 },
  ...{ durationMillis: 1466, endedAt: '2026-11-22T09:31:04.120Z' },
  evaluation: { rows: 2000, sites: null, accuracy: 0.937, loss: 0.227 },
  ...change,
})

const progress: RunProgress = {
  ...watching('run_1'),
  rounds: 8,
  past: [past(1), past(2, { evaluation: undefined, reports: 4 })],
  open: {
    ...{ round: 3, purpose: 'train', invited: 5, joined: 5, reported: 2, left: 0 },
    phases: [
      { name: 'selection', sinceMillis: 1000 },
      { name: 'reporting', sinceMillis: 1040 },
    ],
  },
}

const sites: readonly SiteState[] = [
  { name: 'site-1', doing: 'training', epoch: 1, epochs: 2, loss: 0.21354 },
  { name: 'site-2', doing: 'reported' },
  { name: 'site-3', doing: 'gone', reason: 'SIGKILL' },
  { name: 'site-4', doing: 'waiting', reason: `data-contract: ${'a long reason '.repeat(10)}` },
]

test('what a site does once it is seated is called what it is', () => {
  const seated = (purpose: string) =>
    siteAfter({ name: 'a', doing: 'joined' }, { type: 'node.seated', seat: 0, purpose })
  expect(['train', 'evaluate', 'ask'].map((purpose) => seated(purpose).doing)).toEqual([
    'training',
    'testing',
    'counting',
  ])
})

describe('the block of a run', () => {
  test('at 60 columns, without letters beyond ASCII', () => {
    expect(boardLines(progress, sites, { columns: 60, rows: 24, unicode: false, now: 2000 })).toEqual([
      ' round  sites     loss     acc   up/site    train  overhead',
      '     1    5/5   0.2270  0.9370   24.0 KB   1.40 s     71 ms',
      '     2    4/5       ..      ..   24.0 KB   1.40 s     71 ms',
      '',
      'round 3/8  [####-----------] 30 %  2/5 reported  eta 8 s',
      '  selection 40 ms  reporting 0.96 s',
      '  site-1     training [#####-----]  epoch 1/2  loss 0.2135',
      '  site-2     reported',
      '  site-3     gone: SIGKILL',
      '  site-4     waiting: data-contract: a long reason a long ..',
    ])
  })

  test('at 80 columns', () => {
    expect(boardLines(progress, sites, { columns: 80, rows: 24, unicode: true, now: 2000 })).toEqual([
      ' round  sites     loss     acc   up/site    train  overhead',
      '     1    5/5   0.2270  0.9370   24.0 KB   1.40 s     71 ms',
      '     2    4/5        …       …   24.0 KB   1.40 s     71 ms',
      '',
      'round 3/8  ██████░░░░░░░░░░░░░░ 30 %  2/5 reported  eta 8 s',
      '  selection 40 ms  reporting 0.96 s',
      '  site-1     training █████░░░░░  epoch 1/2  loss 0.2135',
      '  site-2     reported',
      '  site-3     gone: SIGKILL',
      '  site-4     waiting: data-contract: a long reason a long reason a long reason …',
    ])
  })

  test('at 120 columns', () => {
    expect(boardLines(progress, sites, { columns: 120, rows: 24, unicode: true, now: 2000 }).slice(4)).toEqual([
      'round 3/8  ███████▏░░░░░░░░░░░░░░░░ 30 %  2/5 reported  eta 8 s',
      '  selection 40 ms  reporting 0.96 s',
      '  site-1     training █████░░░░░  epoch 1/2  loss 0.2135',
      '  site-2     reported',
      '  site-3     gone: SIGKILL',
      '  site-4     waiting: data-contract: a long reason a long reason a long reason a long reason a long reason a long reaso…',
    ])
  })

  test('says how far the last test is, and which round closes', () => {
    const look = { columns: 80, rows: 24, unicode: false, now: 2000 }
    const testing = { round: 9, purpose: 'evaluate', invited: 5, joined: 5, reported: 3, left: 0, phases: [] }
    expect(boardLines({ ...progress, open: testing }, [], look).at(-1)).toBe(
      'final test  [#####---------------] 3/5 sites',
    )
    expect(boardLines({ ...progress, open: undefined }, [], look).at(-1)).toMatch(/^round 3\/8 .* closing$/)
  })

  test('has both curves side by side where there is room, and one of them below that', () => {
    const look = { columns: 80, rows: 30, unicode: false, now: 2000 }
    const learned = [0.6, 0.75, 0.8, 0.86, 0.91].map((accuracy, at) =>
      past(at + 1, { evaluation: { rows: 10, sites: null, accuracy, loss: 1 - accuracy } }),
    )
    const at = (columns: number, unicode = false) =>
      boardLines({ ...progress, past: learned }, [], { ...look, columns, unicode }).slice(-3)
    expect(at(60)).toEqual([
      "accuracy 0.9100 |                        .......-------'''''",
      "                |       ...------''''''''",
      "         0.6000 |..---''",
    ])
    expect(at(80)).toEqual([
      "accuracy 0.9100 |            ...----''   loss 0.4000 |'--.",
      "                |    .---''''                        |    ''---.....",
      "         0.6000 |.-''                         0.0900 |              ''''----...",
    ])
    expect(at(120, true)).toEqual([
      'accuracy 0.9100 │                 ⣀⣀⣀⡠⠤⠤⠤⠔⠒⠒⠒⠊⠉⠉   loss 0.4000 │⠉⠒⠢⠤⢄⣀',
      '                │     ⢀⡠⠤⠔⠒⠒⠒⠒⠉⠉⠉⠉                             │      ⠉⠑⠒⠢⠤⠤⠤⠤⢄⣀⣀⣀⣀',
      '         0.6000 │⣀⠤⠔⠒⠉⠁                                 0.0900 │                   ⠉⠉⠉⠉⠒⠒⠒⠒⠢⠤⠤⠤⠤⢄⣀⣀',
    ])
  })

  test('has the terminal for its keys, the foot always last', () => {
    const many = Array.from({ length: 40 }, (_, index) => ({ name: `site-${index}`, doing: 'joined' as const }))
    const lines = boardLines(progress, many, { columns: 80, rows: 12, unicode: true, now: 2000 }, ['s stop'])
    expect(lines).toHaveLength(11)
    expect(lines.at(-1)).toBe('s stop')
    expect(lines.at(-2)).toBe('  (and 33 joined)')
  })

  test('never shows a part of an id: where there is no room for it, sites are counted', () => {
    const id = `z6Mk${'a'.repeat(44)}`
    const seats: readonly SiteState[] = [
      { name: id, doing: 'joined' },
      { name: id, doing: 'reported', trainMillis: 1395, operator: 'st-elsewhere' },
    ]
    const at = (columns: number) =>
      boardLines(progress, seats, { columns, rows: 24, unicode: true, now: 2000 }).slice(6)
    expect(at(60)).toEqual([`  ${id} joined`, `  ${id} reported…`])
    expect(at(120)).toEqual([`  ${id} joined`, `  ${id} reported in 1.40 s  st-elsewhere`])
    expect(at(59)).toEqual(['  (1 joined, 1 reported)'])
  })

  test('is as wide as it looks: letters of East Asia count twice, and nobody moves the cursor', () => {
    const named = [{ name: '病院病院', doing: 'gone' as const, reason: `\x1b[2J${'データ'.repeat(20)}\r\n` }]
    const [line = ''] = boardLines(progress, named, { columns: 60, rows: 24, unicode: true, now: 2000 }).slice(6)
    expect(line).not.toMatch(/\p{Cc}/u)
    expect(widthOf(line)).toBeLessThanOrEqual(60)
    expect(widthOf(line)).toBeGreaterThan(57)
  })

  test('stays inside the terminal whatever its size and however long the run is', () => {
    const look = fc.record({
      columns: fc.integer({ min: 40, max: 200 }),
      rows: fc.integer({ min: 8, max: 60 }),
      unicode: fc.boolean(),
      now: fc.constant(2000),
    })
    fc.assert(
      fc.property(look, fc.nat(300), fc.nat(20), (size, rounds, nodes) => {
        const long = { ...progress, rounds: 300, past: Array.from({ length: rounds }, (_, index) => past(index + 1)) }
        const many = Array.from({ length: nodes }, (_, index) => ({
          ...(sites[index % 4] as SiteState),
          name: `site-${index}`,
        }))
        const lines = boardLines(long, many, size, ['s stop  d detach  ? help'])
        expect(lines.length).toBeLessThan(size.rows)
        expect(Math.max(0, ...lines.map(widthOf))).toBeLessThanOrEqual(size.columns)
      }),
    )
  })
})

describe('a round', () => {
  test('in the table: every row is as wide as the head, and fits 60 columns', () => {
    expect(tableHead().length).toBeLessThanOrEqual(60)
    expect(tableRow(past(7)).length).toBe(tableHead().length)
  })

  test('that was aborted says why', () => {
    expect(tableRow(past(2, { aborted: 'too-few-reports' }))).toBe('     2  aborted: too-few-reports')
    expect(plainRow(past(2, { aborted: 'too-few-reports' }), 8)).toBe('round=2/8 aborted="too-few-reports"')
  })

  test('as a plain line has one key=value after another', () => {
    expect(plainRow(past(2), 8)).toBe(
      'round=2/8 sites=5/5 loss=0.2270 accuracy=0.9370 up_bytes_per_site=24048 train_ms=1395 overhead_ms=71',
    )
    expect(plainRow(past(8, { evaluation: undefined }), 8)).toContain('loss=unknown accuracy=unknown')
  })
})

describe('figures that a task asks for', () => {
  const figures = [
    { name: 'auroc', value: 0.87321, within: 0.0012 },
    { name: 'f1', value: null, within: 0 },
  ]
  const scored = past(1, { evaluation: { rows: 2000, sites: null, accuracy: 0.937, loss: 0.227, figures } })

  test('have a column for the first, and every row is as wide as its head', () => {
    const look = { columns: 80, rows: 24, unicode: false, now: 2000 }
    const table = boardLines({ ...progress, past: [scored, past(2, { evaluation: undefined })] }, [], look).slice(0, 3)
    expect(table.map((line) => line.slice(59))).toEqual(['    auroc', '   0.8732', '       ..'])
    expect(new Set(table.map(({ length }) => length)).size).toBe(1)
  })

  test('are all in a plain line, and each on a line of its own at the end', () => {
    expect(plainRow(scored, 8)).toContain('accuracy=0.9370 auroc=0.8732 f1=none up_bytes_per_site=24048')
    expect(figureLines(figures)).toEqual(['auroc      0.8732 (within 0.0012)', 'f1         none'])
    expect(figureLines(undefined)).toEqual([])
  })
})

describe('a curve', () => {
  test('is as wide and high as asked whatever its values, and has every round on its line', () => {
    const value = fc.oneof(
      fc.double({ noDefaultInfinity: true, noNaN: true }),
      fc.constant(null),
      fc.constant(undefined),
    )
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 300 }),
        fc.integer({ min: 30, max: 120 }),
        fc.integer({ min: 2, max: 6 }),
        fc.boolean(),
        (values, columns, lines, unicode) => {
          const drawn = curveLines({ name: 'loss', values }, { columns, lines, unicode })
          expect([0, lines]).toContain(drawn.length)
          expect(Math.max(0, ...drawn.map(widthOf))).toBeLessThanOrEqual(columns)
        },
      ),
    )
  })

  test('of one value, or of none that is known, is not drawn', () => {
    for (const values of [[], [1], [null, 1, undefined], [Number.NaN, 1]])
      expect(curveLines({ name: 'loss', values }, { columns: 80, lines: 3, unicode: true })).toEqual([])
  })

  test('that is flat is a line in the middle, and what is not known is passed over', () => {
    const flat = curveLines({ name: 'x', values: [1, null, 1] }, { columns: 20, lines: 3, unicode: false })
    expect(flat).toEqual(['x 1.0000 |', '         |----------', '  1.0000 |'])
  })
})

test('a meter is as wide as asked, empty at 0 and full at 1', () => {
  fc.assert(
    fc.property(
      fc.double({ min: -1, max: 2, noNaN: true }),
      fc.integer({ min: 1, max: 50 }),
      fc.boolean(),
      (share, width, unicode) => {
        expect(bar(share, width, unicode).length).toBe(unicode ? width : width + 2)
      },
    ),
  )
  expect([bar(0, 4, false), bar(0.5, 4, false), bar(1, 4, false)]).toEqual(['[----]', '[##--]', '[####]'])
  expect([bar(0, 4, true), bar(0.55, 4, true), bar(1, 4, true)]).toEqual(['░░░░', '██▏░', '████'])
})

test('figures have their unit, and money all its digits', () => {
  expect([formatBytes(64), formatBytes(24_048), formatBytes(1_400_000), formatBytes(2.5e9)]).toEqual([
    ...['64 B', '24.0 KB', '1.4 MB', '2.50 GB'],
  ])
  expect([formatSeconds(71.4), formatSeconds(1395)]).toEqual(['71 ms', '1.40 s'])
  expect([400, 59_600, 185_000, 7_800_000].map(formatDuration)).toEqual([
    '0 s',
    '1 min 00 s',
    '3 min 05 s',
    '2 h 10 min',
  ])
  expect([formatCredits(0n), formatCredits(1n), formatCredits(12_345_678n)]).toEqual([
    '0.000000',
    '0.000001',
    '12.345678',
  ])
})

test('a live block leaves the cursor as it was, and nothing of itself', async () => {
  const written: string[] = []
  const terminal = { write: (text: string) => void written.push(text), columns: () => 80, rows: () => 24 }
  const look = { live: true, unicode: true, paint: (_: unknown, text: string) => text }
  const live = new Live({ ...terminal, ...look })
  live.show(() => ['one', 'two'])
  live.above('a note')
  live[Symbol.dispose]()
  live.show(() => ['late'])
  await new Promise((later) => setTimeout(later, 150))
  expect(written.join('')).toBe('\x1b[?25la note\none\ntwo\n\x1b[2A\x1b[J\x1b[?25h')
})
