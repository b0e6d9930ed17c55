import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { figuresOf } from '#aggregation/metrics/figures.ts'
import { encodeScores } from '#aggregation/metrics/lanes.ts'
import { encodeEvent } from '#coordinator/run-events.ts'
import type { Millis, Round } from '#protocol/ids.ts'
import { LABELS_MAX } from '#protocol/limits.ts'
import { type Figure, shown } from '#protocol/metrics.ts'
import { cid } from '#test/coordinator/fixture.ts'
import { binary, labels, measured, type Rows } from './given.ts'

const told = (scoring: typeof binary, rows: Rows) => {
  const { tallies, rows: count } = measured(scoring, rows)
  return figuresOf(scoring, encodeScores(scoring, tallies), count)
}

test('each label has the figures of the rows of which it is known, and a figure is the mean of those that have it', () => {
  const row = fc.array(fc.tuple(fc.float({ min: -9, max: 9, noNaN: true }), fc.constantFrom(0, 1, Number.NaN)), {
    minLength: 3,
    maxLength: 3,
  })
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 30 }), (rows) => {
      const known = rows.filter((each) => each.some(([, label]) => !Number.isNaN(label)))
      const all: Rows = { given: known.flat().map(([z]) => z), labels: known.flat().map(([, label]) => label) }
      const found = told(labels(3), all)
      const alone = [0, 1, 2].map((of) => {
        const own = known.flatMap((each) => each.filter(([, label], at) => at === of && !Number.isNaN(label)))
        return told(binary, { given: own.map(([z]) => z), labels: own.map(([, label]) => label) })
      })
      for (const [at, { name, micro, byLabel }] of found.entries()) {
        const each = alone.map((figures) => figures[at] as Figure)
        expect(byLabel).toEqual(each.map(({ micro, withinMicro }) => [micro, withinMicro]))
        const defined = each.flatMap((one) => one.micro ?? [])
        const mean = defined.reduce((sum, one) => sum + one, 0) / defined.length
        if (defined.length === 0 || name === 'f1-best-threshold') expect(micro).toBeNull()
        else expect(Math.abs((micro as number) - mean)).toBeLessThanOrEqual(0.5)
      }
    }),
    { numRuns: 30 },
  )
})

test('two labels by hand: one known of every row, one of two', () => {
  const [x, o] = [Number.NaN, 0]
  const rows: Rows = { given: [2, o, -2, 3, 1, o, -1, -3], labels: [1, x, 0, 1, 0, x, 1, 0] }
  const figures = new Map(told(labels(2), rows).map((figure) => [figure.name, shown(figure)]))
  // Of the first the highest is there, and the other two tie with nothing: three of four pairs; of the second all.
  expect(figures.get('auroc')).toMatchObject({ value: 0.875, by_label: [{ value: 0.75 }, { value: 1 }] })
  expect(figures.get('sensitivity')).toMatchObject({ value: 0.75, by_label: [{ value: 0.5 }, { value: 1 }] })
  expect(measured(labels(2), rows)).toMatchObject({ rows: 4, correct: 2 })
})

test('an event has room for all figures of as many labels as there may be', () => {
  const many = labels(LABELS_MAX)
  const figures = told(many, { given: [], labels: [] }).map(({ name }) => ({
    ...{ name, micro: 1_000_000, withinMicro: 1_000_000 },
    byLabel: Array.from({ length: LABELS_MAX }, () => [1_000_000, 1_000_000] as const),
  }))
  const count = Number.MAX_SAFE_INTEGER
  const [manifest, model, memory] = ['manifest', 'model', 'memory'].map(cid) as [
    ReturnType<typeof cid>,
    ReturnType<typeof cid>,
    ReturnType<typeof cid>,
  ]
  const bytes = encodeEvent({
    ...{ kind: 'aggregated', at: (2 ** 41) as Millis, round: 4096 as Round, manifest, model, memory, reports: 4096 },
    evaluation: { rows: count, correct: count, lossQ16: count, figures },
  })
  expect(bytes.length).toBeLessThan(4096)
})
