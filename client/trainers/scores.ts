import { type Bins, binOf, countOf } from '#aggregation/metrics/bins.ts'
import {
  type Block,
  cellsOf,
  type Scoring,
  type Summand,
  type Tallies,
  UNITS_MAX,
} from '#aggregation/metrics/scoring.ts'

/** Counts for a task's metrics, row by row. */
export type Scorer = {
  /**
   * @param given what a model gives of all rows, one after another: logits; or numbers, in units of the label
   * @param labels classes; numbers, in units of the label; or of each row several, 1, 0 or NaN where it is not known
   */
  add(given: ArrayLike<number>, labels: ArrayLike<number>): void
  readonly tallies: Tallies
}

/**
 * Probabilities are worked out in float64, each with its rest, 1 − p, by itself, so that neither loses its digits near 1: of one
 * logit z they are e^−|z| ÷ (1 + e^−|z|), of two the same with z₁ − z₀, of many softmax(z). What a row is taken for is read
 * off the logits, as accuracy does: 1 where z > 0, else 0; the first of the largest.
 */
export function scorerOf({ blocks, unitMicro }: Scoring): Scorer {
  const tallies = blocks.map((block) => new Float64Array(cellsOf(block)))
  const [first] = blocks
  if (first?.kind === 'labels') return labelScorer(first, tallies)
  const score = unitMicro > 0 ? scoreNumber : scoreClass
  return {
    tallies,
    add(given, labels) {
      const width = given.length / labels.length
      for (let row = 0; row < labels.length; row++) {
        const outputs = Array.from({ length: width }, (_, at) => given[row * width + at] as number)
        score(blocks, tallies, outputs, labels[row] as number)
      }
    },
  }
}

/** Each label that is known of a row is one row of two classes. */
function labelScorer(block: Extract<Block, { readonly kind: 'labels' }>, tallies: readonly Float64Array[]): Scorer {
  const [all, ...misses] = tallies as [Float64Array, ...Float64Array[]]
  const [first, width] = [{ kind: 'probabilities', bins: block.bins } as const, 2 * countOf(block.bins)]
  return {
    tallies,
    add(given, labels) {
      for (let at = 0; at < labels.length; at++) {
        const label = labels[at] as number
        if (Number.isNaN(label)) continue
        const [said, of] = [ofTwo([given[at] as number]), at % block.labels]
        count(first, all.subarray(of * width, (of + 1) * width), said, label)
        const sum = misses[of]
        if (sum) add(sum, 0, missOf(said.odds, label))
      }
    },
  }
}

function scoreClass(blocks: readonly Block[], tallies: Tallies, logits: readonly number[], label: number): void {
  const said = logits.length <= 2 ? ofTwo(logits) : ofMany(logits)
  for (const [at, block] of blocks.entries()) count(block, tallies[at] as Float64Array, said, label)
}

/** What is further out than a sum counts is counted as its end. */
function scoreNumber(blocks: readonly Block[], tallies: Tallies, [given = 0]: readonly number[], label: number): void {
  const [error, bounded] = [Math.min(Math.abs(given - label), UNITS_MAX), within(label)]
  for (const [at, block] of blocks.entries())
    if (block.kind === 'sum') add(tallies[at] as Float64Array, 0, summandOf(block.of, error, bounded))
}

function within(label: number): number {
  return Math.max(-UNITS_MAX, Math.min(label, UNITS_MAX))
}

function summandOf(of: Summand, error: number, label: number): number {
  switch (of) {
    case 'absolute-error':
      return error
    case 'squared-error':
      return error ** 2
    case 'label':
      return label + UNITS_MAX
    case 'squared-label':
      return label ** 2
    case 'squared-miss':
      return 0
  }
}

/** @property odds of each class: its probability and what is left of 1 */
type Said = { readonly taken: number; readonly odds: readonly Odds[] }
type Odds = { readonly p: number; readonly rest: number }

function ofTwo([first = 0, second]: readonly number[]): Said {
  const z = second === undefined ? first : second - first
  const small = Math.exp(-Math.abs(z))
  const [less, more] = [small / (1 + small), 1 / (1 + small)]
  const isOne = z > 0
  const one = isOne ? { p: more, rest: less } : { p: less, rest: more }
  return { taken: isOne ? 1 : 0, odds: [{ p: one.rest, rest: one.p }, one] }
}

function ofMany(logits: readonly number[]): Said {
  const top = Math.max(...logits)
  const weights = logits.map((z) => Math.exp(z - top))
  const all = weights.reduce((sum, weight) => sum + weight, 0)
  const odds = weights.map((weight, of) => ({ p: weight / all, rest: restOf(weights, of) / all }))
  return { taken: logits.indexOf(top), odds }
}

/** By addition where little is left, since a difference would be nothing but rounding. */
function restOf(weights: readonly number[], of: number): number {
  return weights.reduce((sum, weight, at) => (at === of ? sum : sum + weight), 0)
}

function count(block: Block, cells: Float64Array, { taken, odds }: Said, label: number): void {
  switch (block.kind) {
    case 'probabilities':
      return add(cells, label * countOf(block.bins) + bin(block.bins, odds[1] as Odds, taken === 1))
    case 'confusion':
      return add(cells, label * block.classes + taken)
    case 'one-vs-rest': {
      const width = countOf(block.bins)
      for (const [of, one] of odds.entries())
        add(cells, (2 * of + (label === of ? 1 : 0)) * width + bin(block.bins, one, one.p > one.rest))
      return
    }
    case 'confidence': {
      const one = odds[taken] as Odds
      return add(cells, (taken === label ? 1 : 0) * countOf(block.bins) + bin(block.bins, one, one.p > one.rest))
    }
    case 'labels':
      return
    case 'sum':
      return add(cells, 0, missOf(odds, label))
  }
}

/** @param isYes whether p counts as the larger of the two; they may both be a half by rounding */
function bin(bins: Bins, { p, rest }: Odds, isYes: boolean): number {
  return binOf(bins, Math.min(p, rest, 0.5), isYes)
}

/** The squared miss of Brier (1950): of two classes that of one probability, of many the sum over all. */
function missOf(odds: readonly Odds[], label: number): number {
  const each = odds.map(({ p, rest }, of) => (of === label ? rest : p) ** 2)
  return odds.length === 2 ? (each[1] as number) : each.reduce((sum, miss) => sum + miss, 0)
}

function add(cells: Float64Array, at: number, by = 1): void {
  cells[at] = (cells[at] as number) + by
}
