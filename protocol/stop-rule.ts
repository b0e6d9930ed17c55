import { z } from 'zod'
import { count } from './codec.ts'
import type { Evaluation } from './manifest.ts'
import { betterOf } from './merit.ts'
import { figureField } from './metrics.ts'

/** What a rule may watch: accuracy and loss, which every round tells, or a figure of a metric that the task asks for. */
export const watchedField = z.union([z.enum(['accuracy', 'loss']), figureField.exclude(['f1-best-threshold'])])
export type Watched = z.output<typeof watchedField>

const micro = z.int()
const ROUNDS_OF_PATIENCE_MAX = 1000

/**
 * When a run has trained enough, though not all its planned rounds: once a figure has got somewhere, or once it has not got
 * better by more than `minDeltaMicro` for so many rounds in a row. In millionths, since nothing that is signed holds floats.
 */
export const stopRuleSchema = z.union([
  z.strictObject({
    metric: watchedField,
    patience: count(ROUNDS_OF_PATIENCE_MAX, 1),
    minDeltaMicro: count(Number.MAX_SAFE_INTEGER),
  }),
  z.strictObject({ metric: watchedField, atLeastMicro: micro }),
  z.strictObject({ metric: watchedField, atMostMicro: micro }),
])
export type StopRule = z.output<typeof stopRuleSchema>

/** What the rounds have shown so far. */
export type Shown = {
  /** The best figure so far; null before there is one. */
  readonly bestMicro: number | null
  /** Rounds in a row that did not better it. */
  readonly stale: number
  /** Why the run has trained enough; null while it has not, and the first reason from then on. */
  readonly met: string | null
}

export const NOTHING_SHOWN: Shown = { bestMicro: null, stale: 0, met: null }

/** How to mend it; undefined where the rule can be met. A bound on the wrong side would be met at once or never. */
export function mistakeInStopRule(rule: StopRule): string | undefined {
  const isError = betterOf(rule.metric) === 'least'
  if ('atLeastMicro' in rule && isError) return `a smaller ${rule.metric} is better: say atMost`
  if ('atMostMicro' in rule && !isError) return `a larger ${rule.metric} is better: say atLeast`
  return undefined
}

/**
 * What is shown after one more closed training round. Whole numbers alone are compared, so everybody who has the record comes
 * to the same. A round that tested nothing shows nothing, and tries nobody's patience.
 */
export function show(rule: StopRule, shown: Shown, evaluation: Evaluation): Shown {
  const value = watched(rule.metric, evaluation)
  if (shown.met !== null || value === undefined) return shown
  const sign = betterOf(rule.metric) === 'least' ? -1 : 1
  const { bestMicro: best } = shown
  const isBetter = best === null || sign * (value - best) > ('patience' in rule ? rule.minDeltaMicro : 0)
  const next = isBetter ? { bestMicro: value, stale: 0 } : { bestMicro: best, stale: shown.stale + 1 }
  return { ...next, met: reasonAt(rule, value, next.stale) }
}

function reasonAt(rule: StopRule, value: number, stale: number): string | null {
  const { metric } = rule
  if ('patience' in rule)
    return stale >= rule.patience
      ? `${metric} has not got better in ${stale === 1 ? '1 round' : `${stale} rounds`}`
      : null
  if ('atLeastMicro' in rule)
    return value >= rule.atLeastMicro ? `${metric} is at least ${inReals(rule.atLeastMicro)}` : null
  return value <= rule.atMostMicro ? `${metric} is at most ${inReals(rule.atMostMicro)}` : null
}

/** In millionths, rounded down; undefined where it was not measured. */
function watched(metric: Watched, { rows, correct, lossQ16, figures }: Evaluation): number | undefined {
  if (metric === 'accuracy') return rows === 0 ? undefined : Number((BigInt(correct) * 1_000_000n) / BigInt(rows))
  if (metric === 'loss')
    return rows === 0 ? undefined : Number((BigInt(lossQ16) * 1_000_000n) / (65_536n * BigInt(rows)))
  return figures?.find(({ name }) => name === metric)?.micro ?? undefined
}

function inReals(micro: number): string {
  return String(micro / 1_000_000)
}
