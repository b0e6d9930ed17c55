import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { bar } from '#cli/render/bar.ts'
import { boardLines, type SiteState } from '#cli/render/board.ts'
import { figureLines } from '#cli/render/figures.ts'
import { Live } from '#cli/render/live.ts'
import { plainRow, tableHead, tableRow } from '#cli/render/table.ts'
import { formatBytes, formatSeconds } from '#cli/render/units.ts'
import { type PastRound, type RunProgress, watching } from '#cli/run-progress.ts'
import { formatCredits } from '#protocol/amount.ts'

const past = (round: number, change: Partial<PastRound> = {}): PastRound => ({
  ...{ round, aborted: null, reports: 5, cohort: 5, bytesPerNode: 24_048, trainMillis: 1395, overheadMillis: 71 },
  evaluation: { rows: 2000, sites: null, accuracy: 0.937, loss: 0.227 },
  ...change,
})

const progress: RunProgress = {
  ...watching('run_1'),
  rounds: 8,
  past: [past(1), past(2, { evaluation: undefined, reports: 4 })],
  open: { round: 3, purpose: 'train', invited: 5, joined: 5, reported: 2 },
}

const sites: readonly SiteState[] = [
  { name: 'site-1', doing: 'training', epoch: 1, epochs: 2, loss: 0.21354 },
  { name: 'site-2', doing: 'reported' },
  { name: 'site-3', doing: 'gone', reason: 'SIGKILL' },
  { name: 'site-4', doing: 'waiting', reason: `data-contract: ${'a long reason '.repeat(10)}` },
]

describe('the block of a run', () => {
  test('at 60 columns, without letters beyond ASCII', () => {
    expect(boardLines(progress, sites, { columns: 60, rows: 24, unicode: false })).toEqual([
      ' round  sites     loss     acc   up/site    train  overhead',
      '     1    5/5   0.2270  0.9370   24.0 KB   1.40 s     71 ms',
      '     2    4/5       ..      ..   24.0 KB   1.40 s     71 ms',
      '',
      'round 3/8  [####-----------] 30 %  2/5 reported',
      '  site-1     training [#####-----]  epoch 1/2  loss 0.2135',
      '  site-2     reported',
      '  site-3     gone: SIGKILL',
      '  site-4     waiting: data-contract: a long reason a long ..',
    ])
  })

  test('at 80 columns', () => {
    expect(boardLines(progress, sites, { columns: 80, rows: 24, unicode: true })).toEqual([
      ' round  sites     loss     acc   up/site    train  overhead',
      '     1    5/5   0.2270  0.9370   24.0 KB   1.40 s     71 ms',
      '     2    4/5        …       …   24.0 KB   1.40 s     71 ms',
      '',
      'round 3/8  ██████░░░░░░░░░░░░░░ 30 %  2/5 reported',
      '  site-1     training █████░░░░░  epoch 1/2  loss 0.2135',
      '  site-2     reported',
      '  site-3     gone: SIGKILL',
      '  site-4     waiting: data-contract: a long reason a long reason a long reason …',
    ])
  })

  test('at 120 columns', () => {
    expect(boardLines(progress, sites, { columns: 120, rows: 24, unicode: true }).slice(4)).toEqual([
      'round 3/8  ███████▏░░░░░░░░░░░░░░░░ 30 %  2/5 reported',
      '  site-1     training █████░░░░░  epoch 1/2  loss 0.2135',
      '  site-2     reported',
      '  site-3     gone: SIGKILL',
      '  site-4     waiting: data-contract: a long reason a long reason a long reason a long reason a long reason a long reaso…',
    ])
  })

  test('says how far the last test is, and which round closes', () => {
    const look = { columns: 80, rows: 24, unicode: false }
    const testing = { round: 9, purpose: 'evaluate', invited: 5, joined: 5, reported: 3 }
    expect(boardLines({ ...progress, open: testing }, [], look).at(-1)).toBe(
      'final test  [#####---------------] 3/5 sites',
    )
    expect(boardLines({ ...progress, open: undefined }, [], look).at(-1)).toMatch(/^round 3\/8 .* closing$/)
  })

  test('stays inside the terminal whatever its size and however long the run is', () => {
    const look = fc.record({
      columns: fc.integer({ min: 40, max: 200 }),
      rows: fc.integer({ min: 8, max: 60 }),
      unicode: fc.boolean(),
    })
    fc.assert(
      fc.property(look, fc.nat(300), fc.nat(20), (size, rounds, nodes) => {
        const long = { ...progress, rounds: 300, past: Array.from({ length: rounds }, (_, index) => past(index + 1)) }
        const many = Array.from({ length: nodes }, (_, index) => ({
          ...(sites[index % 4] as SiteState),
          name: `site-${index}`,
        }))
        const lines = boardLines(long, many, size)
        expect(lines.length).toBeLessThan(size.rows)
        expect(Math.max(0, ...lines.map(({ length }) => length))).toBeLessThanOrEqual(size.columns)
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
    const look = { columns: 80, rows: 24, unicode: false }
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
