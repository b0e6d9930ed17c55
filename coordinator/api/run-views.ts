import { z } from 'zod'
import { figureField } from '#protocol/metrics.ts'
import { maskingField, populationField, purposeField } from '#protocol/plan.ts'
import * as example from './examples.ts'
import { amount, cid, text, time } from './schemas.ts'
import { originView, stopRuleView } from './stop-when.ts'

const figureView = {
  value: z.number().nullable().meta({ description: 'null where it is not defined: no rows of a class, say' }),
  within: z.number().meta({ description: 'how far that of the unbinned rows can be from it' }),
}

/** As the command line prints them too. */
export const figuresView = z.array(
  z.object({
    name: figureField,
    ...figureView,
    by_label: z
      .array(z.object(figureView))
      .optional()
      .meta({ description: 'of several labels, in the order of the contract; the figure itself is their mean' }),
  }),
)

const evaluationView = z
  .object({
    rows: z.int().nullable().meta({ description: 'held-out rows of all sites; null under masks' }),
    sites: z.int().nullable().meta({ description: 'under masks: sites, each of which counts alike; else null' }),
    accuracy: z.number(),
    loss: z.number().meta({ description: 'nats per row' }),
    figures: figuresView.optional().meta({ description: 'where the task asks for metrics' }),
  })
  .meta({ id: 'Evaluation' })

const called = {
  name: z
    .string()
    .meta({ description: 'what people call it: that of its task, or question, unless they have named it' }),
  labels: z.record(z.string(), z.string()),
}

export const statusField = z.enum(['funding', 'running', 'paused', 'finishing', 'completed', 'failed', 'stopped'])
export type RunStatus = z.output<typeof statusField>

export const statsQueryView = z
  .object({
    id: text('run_ and a ULID: its events and its bundle are under /v1/runs'),
    status: statusField,
    reason: z.string().nullable(),
    created_at: time,
    ...called,
    population: populationField,
    federation: z.string().nullable(),
    question: cid,
    min_cell: z.int(),
    min_cohort: z.int(),
    round: z.int().nullable().meta({ description: 'the open round' }),
    phase: z.string().nullable(),
    manifest: cid.nullable().meta({ description: 'root of the bundle, from which the answer is recomputed' }),
  })
  .meta({ id: 'StatsQuery', examples: [example.ASK] })

export const runView = z
  .object({
    id: text('run_ and a ULID'),
    status: statusField,
    reason: z.string().nullable().meta({ description: 'why it is paused, failed or was stopped' }),
    created_at: time,
    purpose: z.enum(['train', 'ask']),
    ...called,
    population: populationField,
    federation: z.string().nullable().meta({ description: 'whose members alone are invited' }),
    masking: maskingField,
    rounds: z.int().meta({ description: 'training rounds that are to close, extensions and all' }),
    closed: z.int().meta({ description: 'training rounds that have closed' }),
    over: z.int().meta({ description: 'rounds of any purpose that are over, however they ended' }),
    round: z.int().nullable().meta({ description: 'the open round' }),
    phase: z.string().nullable(),
    task: cid.meta({ description: 'the task, or the question' }),
    model: cid,
    manifest: cid.nullable().meta({ description: 'root of the bundle, once the run has ended' }),
    vectors: z
      .enum(['kept', 'expired'])
      .meta({ description: 'expired: deleted here, so that only their hashes and lengths can be checked' }),
    vectors_until: time.nullable().meta({
      description: 'when they expire; null while the run goes on, where they are kept for ever, and once they have',
    }),
    evaluation: evaluationView.nullable().meta({ description: 'of the final model' }),
    stop_when: stopRuleView.nullable().meta({ description: 'when it has trained enough' }),
    origin: originView.nullable().meta({ description: 'the closed round of another run whose model it started from' }),
    budget: amount.meta({ description: 'of the order and all extensions: micro-credits, as a decimal text' }),
    paid: amount,
    released: amount,
  })
  .meta({ id: 'Run', examples: [example.RUN] })

export const runCountsView = z
  .object({
    statuses: z
      .record(statusField, z.int())
      .meta({ description: 'training runs by what they are at; those of no status at 0' }),
    rounds: z
      .object({ closed: z.int(), aborted: z.int() })
      .meta({ description: 'of training runs, those that ended after since' }),
    since: time,
  })
  .meta({ id: 'RunCounts', examples: [example.RUN_COUNTS] })

export const roundView = z
  .object({
    round: z.int(),
    purpose: purposeField,
    outcome: z.enum(['open', 'closed', 'aborted']),
    phase: z.string().nullable().meta({ description: 'of an open round; of an aborted one that in which it failed' }),
    reason: z.string().nullable().meta({ description: 'why it came to nothing' }),
    cohort: z.int().meta({ description: 'seats; none before they are drawn' }),
    reports: z.int(),
    opened_at: time,
    ended_at: time.nullable(),
    record: cid.nullable().meta({ description: 'the sealed manifest of a closed round, or record of an aborted one' }),
    evaluation: evaluationView.nullable().meta({ description: 'of the model that a closed round started from' }),
  })
  .meta({ id: 'Round', examples: [example.ROUND] })

export const seatView = z
  .object({
    seat: z.int(),
    node: text('z6Mk…'),
    outcome: z.enum(['waiting', 'reported', 'gone']),
    reason: z.string().nullable().meta({ description: 'why it is gone; or what it did not do after it reported' }),
    update: cid.nullable(),
    reported_at: time.nullable().meta({ description: 'while the round is open' }),
    train_ms: z.int().nullable().meta({ description: "by the node's own clock; null where nobody tells any more" }),
  })
  .meta({ id: 'Seat' })

export const roundWithSeatsView = roundView
  .extend({ seats: z.array(seatView) })
  .meta({ id: 'RoundWithSeats', examples: [example.ROUND_WITH_SEATS] })
