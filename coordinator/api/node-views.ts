import { z } from 'zod'
import { populationField } from '#protocol/plan.ts'
import { referenceModelField } from '#protocol/reference-models.ts'
import { verdictField } from '#protocol/spot-check.ts'
import * as example from './examples.ts'
import { text, time } from './schemas.ts'

const speed = z.int().meta({ description: 'samples a second, in thousandths' })
const standing = z.enum(['confirmed', 'unchecked', 'doubted']).meta({
  description: 'what spot checks made of it; nobody is drawn for a round, or paid, by it',
})

export const nodeView = z
  .object({
    id: text('z6Mk…'),
    linked: z.boolean(),
    operator: z.string().nullable().meta({ description: "by the coordinator's list" }),
    drained_at: time.nullable().meta({
      description:
        "RFC 3339: since when it is invited to no new round, by the operator's word; null where it is invited",
    }),
    standing,
    capability: z
      .object({
        backend: z.string(),
        adapter: z.string().meta({ description: 'what the backend runs on; empty where it has no name' }),
        software: z.boolean().meta({ description: 'a graphics interface that a processor imitates' }),
        deterministic: z.boolean(),
        memory_bytes: z.int().meta({ description: 'lent to one task' }),
        version: z.string(),
        population: populationField,
        reported_at: time,
        stale: z.boolean(),
        stale_at: time,
        speeds: z.array(
          z.object({
            model: referenceModelField,
            milli_samples_per_second: speed.meta({ description: "the node's word: samples a second, in thousandths" }),
            measured_at: time.meta({ description: "RFC 3339, by the node's clock" }),
            standing,
            observed_milli_samples_per_second: speed
              .nullable()
              .meta({ description: 'at the last check, by our clock: it was at least so fast' }),
            checked_at: time.nullable(),
          }),
        ),
      })
      .nullable()
      .meta({ description: 'what it says of itself; null where it has said nothing' }),
  })
  .meta({ id: 'Node', examples: [example.NODE] })

export const checkView = z
  .object({
    at: time,
    model: referenceModelField,
    verdict: verdictField,
    claimed_milli_samples_per_second: speed,
    observed_milli_samples_per_second: speed.nullable(),
    elapsed_ms: z.int().nullable().meta({ description: 'from asking to answer, by our clock' }),
    train_ms: z.int().nullable().meta({ description: "by the node's own clock" }),
  })
  .meta({ id: 'SpotCheck' })

export const nodeWithHistoryView = nodeView
  .extend({
    checks: z.array(checkView).meta({ description: 'the newest first' }),
    rounds: z
      .array(
        z.object({
          run: z.string(),
          round: z.int(),
          train_ms: z.int().meta({ description: "by the node's own clock" }),
          elapsed_ms: z.int().meta({ description: 'from its seat to its report, by our clock' }),
        }),
      )
      .meta({ description: 'that it reported in since this process began, the newest first' }),
  })
  .meta({ id: 'NodeWithHistory', examples: [example.NODE_WITH_HISTORY] })
