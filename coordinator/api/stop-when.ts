import { z } from 'zod'
import { stopRuleSchema, watchedField } from '#protocol/stop-rule.ts'

/** When a run has trained enough, as requests say it and views show it: in reals. */
const [real, delta] = [z.number().min(-1e9).max(1e9), z.number().min(0).max(1e9)]
export const stopWhenField = z
  .union([
    z.strictObject({
      metric: watchedField,
      patience: stopRuleSchema.options[0].shape.patience.meta({
        description: 'rounds in a row without a better figure',
      }),
      minDelta: delta.default(0).meta({ description: 'better by more than this, to a millionth' }),
    }),
    z.strictObject({ metric: watchedField, atLeast: real }),
    z.strictObject({ metric: watchedField, atMost: real }),
  ])
  .meta({
    description:
      'when the run has trained enough before all its rounds have closed: by the figures of the models that its rounds start from. It then evaluates, is completed with that reason, and the rest of the budget is released',
  })

export const stopRuleView = z
  .object({
    metric: z.string(),
    patience: z.int().optional(),
    min_delta: z.number().optional(),
    at_least: z.number().optional(),
    at_most: z.number().optional(),
  })
  .meta({ id: 'StopRule' })

export const originView = z.object({ run: z.string(), round: z.int(), manifest: z.string() }).meta({ id: 'Origin' })
