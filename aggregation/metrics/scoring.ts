import { assert } from '#protocol/assert.ts'
import { SCORE_LANES_MAX } from '#protocol/limits.ts'
import type { Metric, Predicted } from '#protocol/metrics.ts'
import { predictedOf, type Task } from '#protocol/task.ts'
import { type Bins, COARSE, countOf, FINE } from './bins.ts'

/** What a vector's score lanes hold, block after block. None where a task asks for no metrics. */
export type Scoring = {
  readonly metrics: readonly Metric[]
  readonly blocks: readonly Block[]
  /** Millionths of what a label's column has, that errors are counted in; 0 where labels are classes. */
  readonly unitMicro: number
}

export type Block =
  /** Rows by bin of the probability of class 1: those of class 0, then those of class 1. */
  | { readonly kind: 'probabilities'; readonly bins: Bins }
  /** Rows by class, and by the class that they are taken for: a row of the matrix is a class. */
  | { readonly kind: 'confusion'; readonly classes: number }
  /** Class after class, rows by bin of its probability: those of other classes, then its own. */
  | { readonly kind: 'one-vs-rest'; readonly classes: number; readonly bins: Bins }
  /** Label after label, the rows of which it is known by bin of its probability: those that lack it, then those that have it. */
  | { readonly kind: 'labels'; readonly labels: number; readonly bins: Bins }
  /** Rows by bin of the largest probability: those taken for another class, then those taken for their own. */
  | { readonly kind: 'confidence'; readonly bins: Bins }
  /** A real number, summed over rows. */
  | { readonly kind: 'sum'; readonly of: Summand; readonly perRowMax: number }

/** `squared-miss`: of probabilities, Σ over classes (of two, over one); of several labels a sum each, in their order. Labels are shifted by their least, to be no less than 0. */
export type Summand = 'squared-miss' | 'absolute-error' | 'squared-error' | 'label' | 'squared-label'

/** Largest error and largest label that a sum counts, either way and in units of the label; those beyond are counted as this. */
export const UNITS_MAX = 32

/** Lanes of a sum: its fixed-point number's low 16 bits, the next 16, and the rest. */
export const SUM_LANES = 3

export const NO_SCORES: Scoring = { metrics: [], blocks: [], unitMicro: 0 }

/** Which lanes a task's metrics take. A function of the task alone, so that everybody lays vectors out alike. */
export function scoringOf(task: Pick<Task, 'metrics' | 'data'>): Scoring {
  return task.metrics ? scoringFor(task.metrics, predictedOf(task)) : NO_SCORES
}

export function scoringFor(metrics: readonly Metric[], predicted: Predicted): Scoring {
  const asks = (...names: readonly Metric[]) => metrics.some((metric) => names.includes(metric))
  const blocks: Block[] = []
  if (predicted.kind === 'binary') blocks.push({ kind: 'probabilities', bins: FINE })
  if (predicted.kind === 'classes') {
    const { classes } = predicted
    blocks.push({ kind: 'confusion', classes })
    if (asks('auroc', 'auprc')) blocks.push({ kind: 'one-vs-rest', classes, bins: COARSE })
    if (asks('calibration')) blocks.push({ kind: 'confidence', bins: FINE })
  }
  if (predicted.kind === 'labels') {
    const { labels } = predicted
    blocks.push({ kind: 'labels', labels, bins: FINE })
    if (asks('brier'))
      for (let of = 0; of < labels; of++) blocks.push({ kind: 'sum', of: 'squared-miss', perRowMax: 1 })
  } else if (asks('brier'))
    blocks.push({ kind: 'sum', of: 'squared-miss', perRowMax: predicted.kind === 'binary' ? 1 : 2 })
  if (asks('mae')) blocks.push({ kind: 'sum', of: 'absolute-error', perRowMax: UNITS_MAX })
  if (asks('rmse', 'r2')) blocks.push({ kind: 'sum', of: 'squared-error', perRowMax: UNITS_MAX ** 2 })
  if (asks('r2')) {
    blocks.push({ kind: 'sum', of: 'label', perRowMax: 2 * UNITS_MAX })
    blocks.push({ kind: 'sum', of: 'squared-label', perRowMax: UNITS_MAX ** 2 })
  }
  const scoring = { metrics, blocks, unitMicro: predicted.kind === 'number' ? predicted.unitMicro : 0 }
  assert(scoreLanesOf(scoring) <= SCORE_LANES_MAX, 'metrics of few enough classes were asked for')
  return scoring
}

/** Lanes that scores add to a vector. */
export function scoreLanesOf({ blocks }: Pick<Scoring, 'blocks'>): number {
  return blocks.reduce((lanes, block) => lanes + (block.kind === 'sum' ? SUM_LANES : cellsOf(block)), 0)
}

/** Numbers that a site counts for a block. */
export function cellsOf(block: Block): number {
  switch (block.kind) {
    case 'probabilities':
    case 'confidence':
      return 2 * countOf(block.bins)
    case 'confusion':
      return block.classes ** 2
    case 'one-vs-rest':
      return block.classes * 2 * countOf(block.bins)
    case 'labels':
      return block.labels * 2 * countOf(block.bins)
    case 'sum':
      return 1
  }
}

/** A site's numbers or a sum's, block by block: rows in cells, and the sums as reals. */
export type Tallies = readonly Float64Array[]

/** The numbers of the block of this kind, which the metrics that need it made part of the scoring. */
export function talliedIn<K extends Block['kind']>(
  { blocks }: Pick<Scoring, 'blocks'>,
  tallies: Tallies,
  kind: K,
): { readonly block: Extract<Block, { readonly kind: K }>; readonly cells: Float64Array } | undefined {
  const at = blocks.findIndex((block) => block.kind === kind)
  const [block, cells] = [blocks[at], tallies[at]]
  return block && cells && { block: block as Extract<Block, { readonly kind: K }>, cells }
}
