import { z } from 'zod'
import { parseCid } from '#protocol/cid.ts'
import { count, nameField } from '#protocol/codec.ts'
import type { Cid } from '#protocol/ids.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import * as example from './examples.ts'
import { createRunSchema } from './schemas.ts'

/** Unchanged by parsing: a schema that transforms would lose its example. */
const taskCid = z.string().refine((text) => parseCid(text).ok, 'must be the CID of a task') as unknown as z.ZodType<
  Cid,
  string
>

/** The same as a request says it: a task may be named that is kept here, and a model to start from. */
export const launchRunSchema = createRunSchema
  .extend({
    task: z.union([
      createRunSchema.shape.task,
      z.strictObject({
        cid: taskCid,
      }),
    ]),
    fork: z
      .strictObject({ run: z.string(), round: count(ROUNDS_MAX, 1) })
      .optional()
      .meta({
        description:
          'start from the model of this closed round of another run instead of task.weights or the seed; the strategy begins without memory',
      }),
  })
  .meta({ id: 'CreateRun', examples: [example.CREATE_RUN] })

export const pauseSchema = z
  .strictObject({ reason: nameField.meta({ description: 'why, for those who wait' }) })
  .meta({ id: 'PauseRun', examples: [example.PAUSE] })

export const extendSchema = z
  .strictObject({
    rounds: count(ROUNDS_MAX - 1, 1).meta({ description: 'training rounds that are added' }),
    budget: createRunSchema.shape.budget.meta({
      description: 'for these rounds alone: micro-credits, as a decimal text',
    }),
  })
  .meta({ id: 'ExtendRun', examples: [example.EXTEND] })

export const stopSchema = z
  .strictObject({ reason: nameField.meta({ description: 'why, for the record' }) })
  .meta({ id: 'StopRun', examples: [example.STOP] })
