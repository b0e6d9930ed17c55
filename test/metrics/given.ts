import { figuresOf } from '#aggregation/metrics/figures.ts'
import { encodeScores } from '#aggregation/metrics/lanes.ts'
import { type Scoring, scoringFor } from '#aggregation/metrics/scoring.ts'
import { scoreRows } from '#client/trainers/loss.ts'
import { scorerOf } from '#client/trainers/scores.ts'
import type { FigureName, Metric } from '#protocol/metrics.ts'

export const BINARY: readonly Metric[] = [
  ...(['auroc', 'auprc', 'f1', 'sensitivity', 'specificity', 'balanced-accuracy', 'calibration', 'brier'] as const),
]
export const CLASSES: readonly Metric[] = ['auroc', 'auprc', 'f1', 'balanced-accuracy', 'calibration', 'brier']
const NUMBER: readonly Metric[] = ['mae', 'rmse', 'r2']

export const binary = scoringFor(BINARY, { kind: 'binary' })
export const classes = (count: number) => scoringFor(CLASSES, { kind: 'classes', classes: count })
export const labels = (count: number) => scoringFor(BINARY, { kind: 'labels', labels: count })
export const numbers = (unitMicro: number) => scoringFor(NUMBER, { kind: 'number', unitMicro })

/** Rows of a site, as its model gives and its data have them; of several labels as many as outputs, row after row. */
export type Rows = { readonly given: readonly number[]; readonly labels: readonly number[] }

/** What a site counts, and how many of its rows are right. */
export function measured(scoring: Scoring, { given, labels }: Rows) {
  const scorer = scorerOf(scoring)
  if (labels.length > 0) scorer.add(given, labels)
  const [first] = scoring.blocks
  if (first?.kind === 'labels') {
    const rows = labels.length / first.labels
    const { correct } = scoreRows('sigmoid-cross-entropy', given, labels, Array(first.labels).fill(1))
    return { rows, correct, lossSumNats: 0, tallies: scorer.tallies }
  }
  const width = given.length / labels.length
  const taken = labels.map((_, row) => {
    const logits = given.slice(row * width, (row + 1) * width)
    return logits.length === 1 ? Number((logits[0] as number) > 0) : logits.indexOf(Math.max(...logits))
  })
  const correct = taken.filter((one, row) => one === labels[row]).length
  return { rows: labels.length, correct, lossSumNats: 0, tallies: scorer.tallies }
}

/** Figures by name, as reals. */
export function figured(
  scoring: Scoring,
  rows: Rows,
): Readonly<Partial<Record<FigureName, readonly [number | null, number]>>> {
  const { tallies } = measured(scoring, rows)
  const figures = figuresOf(scoring, encodeScores(scoring, tallies), rows.labels.length)
  return Object.fromEntries(
    figures.map(({ name, micro, withinMicro }) => [name, [micro === null ? null : micro / 1e6, withinMicro / 1e6]]),
  )
}
