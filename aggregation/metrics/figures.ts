import { assert } from '#protocol/assert.ts'
import type { Figure, FigureName, Metric } from '#protocol/metrics.ts'
import type { RingVector } from '../vector.ts'
import { countOf, edgesOf } from './bins.ts'
import { calibrationError } from './calibration.ts'
import { balancedAccuracy, macroF1, meanOf } from './classes.ts'
import { r2 } from './errors.ts'
import { decodeScores, labelledIn } from './lanes.ts'
import { auprc, auroc, type Bounded, bestF1, f1, outcomesAt, type Ranked, sensitivity, specificity } from './ranking.ts'
import { type Scoring, type Summand, scoreLanesOf, type Tallies, talliedIn } from './scoring.ts'

/**
 * What a sum's score lanes say, in the order of the metrics. Of whole numbers and in float64, with + − × ÷ √ alone and from the
 * first bin to the last, so that everybody gets the same bits; then rounded to millionths.
 */
export function figuresOf(scoring: Scoring, lanes: RingVector, rows: number): readonly Figure[] {
  const tallies = decodeScores(scoring, lanes)
  return scoring.metrics.flatMap((metric) => figuresFor(metric, { scoring, tallies, rows }))
}

/** The figures that such a task's sums tell. */
export function figureNamesOf(scoring: Scoring): readonly FigureName[] {
  return figuresOf(scoring, new Uint32Array(scoreLanesOf(scoring)), 0).map(({ name }) => name)
}

type Summed = { readonly scoring: Scoring; readonly tallies: Tallies; readonly rows: number }

function figuresFor(metric: Metric, summed: Summed): readonly Figure[] {
  const labels = labelsOf(summed)
  if (labels) return overLabels(labels.map((label) => figuresFor(metric, label)))
  const binary = binaryOf(summed)
  switch (metric) {
    case 'auroc':
      return [bounded('auroc', overClasses(summed, auroc))]
    case 'auprc':
      return [bounded('auprc', overClasses(summed, auprc))]
    case 'f1':
      return binary ? f1Of(binary) : [exact('f1', macroF1(confusionOf(summed)))]
    case 'sensitivity':
      return [exact('sensitivity', binary && sensitivity(atHalf(binary)))]
    case 'specificity':
      return [exact('specificity', binary && specificity(atHalf(binary)))]
    case 'balanced-accuracy':
      return [exact('balanced-accuracy', binary ? balanced(binary) : balancedAccuracy(confusionOf(summed)))]
    case 'calibration':
      return [bounded('calibration-error', calibrationOf(summed))]
    case 'brier':
      return [exact('brier', meanSum(summed, 'squared-miss'))]
    case 'mae':
      return [exact('mae', inUnits(summed, meanSum(summed, 'absolute-error')))]
    case 'rmse':
      return [exact('rmse', inUnits(summed, rootOf(meanSum(summed, 'squared-error'))))]
    case 'r2':
      return [exact('r2', determinationOf(summed))]
  }
}

/** Each of several labels as two classes of the rows of which it is known. */
function labelsOf({ scoring, tallies }: Summed): readonly Summed[] | undefined {
  const found = talliedIn(scoring, tallies, 'labels')
  if (!found) return undefined
  const { bins } = found.block
  return labelledIn(found.block, found.cells).map(({ cells, known }, of) => {
    const sums = scoring.blocks.slice(of + 1, of + 2)
    return {
      scoring: { ...scoring, blocks: [{ kind: 'probabilities', bins }, ...sums] },
      tallies: [cells, ...tallies.slice(of + 1, of + 2)],
      rows: known,
    }
  })
}

/** The mean over the labels that have one (macro average), beside those of each. No threshold is that of all labels. */
function overLabels(labels: readonly (readonly Figure[])[]): readonly Figure[] {
  return of(labels[0]).map(({ name }, at) => {
    const each = labels.map((figures) => of(figures[at]))
    const byLabel = each.map(({ micro, withinMicro }) => [micro, withinMicro] as const)
    const defined = each.filter(({ micro }) => micro !== null)
    const mean = name === 'f1-best-threshold' ? null : meanOf(defined.map(({ micro }) => micro))
    const within = mean === null ? null : meanOf(defined.map(({ withinMicro }) => withinMicro))
    return { name, micro: mean && Math.round(mean), withinMicro: Math.ceil(within ?? 0), byLabel }
  })
}

function binaryOf({ scoring, tallies }: Summed): (Ranked & { readonly edges: Float64Array }) | undefined {
  const found = talliedIn(scoring, tallies, 'probabilities')
  if (!found) return undefined
  const { block, cells } = found
  const width = countOf(block.bins)
  return { negatives: cells.subarray(0, width), positives: cells.subarray(width), edges: edgesOf(block.bins) }
}

/** A row is taken for class 1 where its probability is above a half, as accuracy has it. */
function atHalf(ranked: Ranked) {
  return outcomesAt(ranked, ranked.positives.length / 2)
}

/** Both classes count alike, where rows are of both. */
function balanced(ranked: Ranked): number | null {
  return meanOf([sensitivity(atHalf(ranked)), specificity(atHalf(ranked))])
}

function f1Of(ranked: Ranked & { readonly edges: Float64Array }): readonly Figure[] {
  const best = bestF1(ranked)
  const threshold = best.threshold === null ? null : (ranked.edges[best.threshold] as number)
  return [exact('f1', f1(atHalf(ranked))), bounded('f1-best', best.f1), exact('f1-best-threshold', threshold)]
}

/** Of many classes each against the rest, and the mean over those that have rows and leave some (macro average). */
function overClasses(summed: Summed, curve: (ranked: Ranked) => Bounded): Bounded {
  const binary = binaryOf(summed)
  if (binary) return curve(binary)
  const { block, cells } = of(talliedIn(summed.scoring, summed.tallies, 'one-vs-rest'))
  const width = countOf(block.bins)
  const each = Array.from({ length: block.classes }, (_, one) => {
    const rest = 2 * one * width
    return curve({
      negatives: cells.subarray(rest, rest + width),
      positives: cells.subarray(rest + width, rest + 2 * width),
    })
  })
  const value = meanOf(each.map((one) => one?.value ?? null))
  const within = meanOf(each.map((one) => one?.within ?? null))
  return value === null || within === null ? null : { value, within }
}

function confusionOf({ scoring, tallies }: Summed) {
  const { block, cells } = of(talliedIn(scoring, tallies, 'confusion'))
  return { classes: block.classes, cells }
}

function calibrationOf(summed: Summed): Bounded {
  const ranked = talliedIn(summed.scoring, summed.tallies, 'probabilities')
  const { block, cells } = ranked ?? of(talliedIn(summed.scoring, summed.tallies, 'confidence'))
  const width = countOf(block.bins)
  return calibrationError(block.bins, cells.subarray(width), cells.subarray(0, width))
}

function sumOf({ scoring: { blocks }, tallies }: Summed, summand: Summand): number {
  const at = blocks.findIndex((block) => block.kind === 'sum' && block.of === summand)
  return of(tallies[at])[0] as number
}

function meanSum(summed: Summed, summand: Summand): number | null {
  return summed.rows === 0 ? null : sumOf(summed, summand) / summed.rows
}

function determinationOf(summed: Summed): number | null {
  const { rows } = summed
  const [squares, labels, squaredLabels] = [
    sumOf(summed, 'squared-error'),
    sumOf(summed, 'label'),
    sumOf(summed, 'squared-label'),
  ]
  return r2({ rows, squares, labels, squaredLabels })
}

function inUnits({ scoring }: Summed, value: number | null): number | null {
  return value === null ? null : value * (scoring.unitMicro / 1_000_000)
}

function rootOf(value: number | null): number | null {
  return value === null ? null : Math.sqrt(value)
}

/** What the metrics of a scoring need is among its blocks. */
function of<T>(found: T | undefined): T {
  assert(found !== undefined, 'a metric has the block that it needs')
  return found
}

function exact(name: FigureName, value: number | null | undefined): Figure {
  return { name, micro: value === null || value === undefined ? null : microOf(value), withinMicro: 0 }
}

function bounded(name: FigureName, figure: Bounded): Figure {
  if (!figure) return { name, micro: null, withinMicro: 0 }
  return { name, micro: microOf(figure.value), withinMicro: Math.ceil(figure.within * 1_000_000) }
}

/** A figure that no number of millionths holds is told as the last that one does. */
function microOf(value: number): number {
  return Math.round(Math.min(Math.max(value * 1_000_000, -Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER))
}
