import type { z } from 'zod'
import { figureNamesOf } from '#aggregation/metrics/figures.ts'
import { scoringOf } from '#aggregation/metrics/scoring.ts'
import { isOfNumbers } from '#protocol/accuracy.ts'
import { mistakeInStopRule, type StopRule } from '#protocol/stop-rule.ts'
import type { stopWhenField } from './api/stop-when.ts'

/** As a request says it, in reals; as it is kept, in millionths. */
export function stopRuleOf(asked: z.output<typeof stopWhenField>): StopRule {
  const { metric } = asked
  if ('patience' in asked) return { metric, patience: asked.patience, minDeltaMicro: micro(asked.minDelta) }
  return 'atLeast' in asked
    ? { metric, atLeastMicro: micro(asked.atLeast) }
    : { metric, atMostMicro: micro(asked.atMost) }
}

/** How to mend it; undefined where the rounds of such a task tell the figure that the rule watches. */
export function mistakeInStopWhen(rule: StopRule, task: Parameters<typeof scoringOf>[0]): string | undefined {
  const accuracy = isOfNumbers(task) ? [] : ['accuracy']
  const figures = [...accuracy, 'loss', ...figureNamesOf(scoringOf(task))]
  if (!figures.includes(rule.metric))
    return `${rule.metric} is not told by its rounds: ask for it in task.metrics, or watch ${figures.join(', ')}`
  return mistakeInStopRule(rule)
}

/** The rule as views show it. */
export function shownRule(rule: StopRule) {
  const { metric } = rule
  if ('patience' in rule) return { metric, patience: rule.patience, min_delta: rule.minDeltaMicro / 1_000_000 }
  return 'atLeastMicro' in rule
    ? { metric, at_least: rule.atLeastMicro / 1_000_000 }
    : { metric, at_most: rule.atMostMicro / 1_000_000 }
}

function micro(real: number): number {
  return Math.round(real * 1_000_000)
}
