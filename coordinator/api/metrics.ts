import { z } from 'zod'
import { figureNamesOf } from '#aggregation/metrics/figures.ts'
import { scoringOf } from '#aggregation/metrics/scoring.ts'
import type { Millis } from '#protocol/ids.ts'
import type { Evaluation } from '#protocol/manifest.ts'
import { isQuestion, type Subject } from '#protocol/subject.ts'
import type { Aggregated } from '../curves.ts'
import { downsample } from '../downsample.ts'
import type { Past, Run } from '../run.ts'
import type { ApiDoors } from './doors.ts'
import { METRICS } from './model-examples.ts'
import { inTime, Problem } from './problems.ts'
import { find, problems, type Routes, runParams } from './runs.ts'
import { evaluationOf, timeOf } from './views.ts'

type Value = number | string | null
/** What is known of a model and of the round that made it, by name; `round` 0 is the model that training starts from. */
export type MetricsRow = { readonly round: number; readonly [key: string]: Value }

export const metricsView = z.record(z.string(), z.array(z.union([z.number(), z.string(), z.null()]))).meta({
  id: 'Metrics',
  examples: [METRICS],
  description: 'columns of one length, by name: a row is a model and the round that made it',
})

const NAMES = z
  .string()
  .max(1000)
  .regex(/^[a-z0-9_,-]+$/)
  .transform((text) => text.split(',').filter((key) => key !== ''))

/** A run's curves, as columns. */
export function metricsRoutes(routes: Routes, doors: ApiDoors): void {
  routes.get(
    '/v1/runs/:id/metrics',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'What each round made and took, as columns; as CSV where text/csv is asked for',
        description:
          'Row n is of the model that round n made: what it was worth is known once the next round has tested it. Row 0 is the model that training starts from. Rounds that were aborted made none, and have no row.',
        produces: ['application/json', 'text/csv'],
        params: runParams,
        querystring: z.object({
          keys: NAMES.optional().meta({ description: 'names of columns, with commas; all of them by default' }),
          downsample: z.coerce.number().int().min(3).max(10_000).optional().meta({
            description: 'at most so many rows, by largest triangle three buckets over the first of the keys',
          }),
        }),
        response: { 200: metricsView, ...problems },
      },
    },
    async ({ caller, params, query, headers }, reply) => {
      const run = await find(doors, caller, params.id)
      const { subject } = await doors.orders.of(run)
      const rows = metricsOf(run, subject, await inTime(doors.clock, doors.curves.of(run.spec.run)))
      const keys = keysOf(rows, query.keys)
      const columns = columnsOf(query.downsample === undefined ? rows : fewer(rows, keys, query.downsample), keys)
      // The serialiser is for JSON: a text goes out as it is.
      if (headers.accept?.includes('text/csv'))
        return reply.type('text/csv; charset=utf-8; header=present').send(csvOf(columns) as never)
      return columns
    },
  )
}

/** Of every model that the run has made so far. Columns are those that its task asks for, whether or not anything is in them yet. */
export function metricsOf(run: Run, subject: Subject, aggregated: readonly Aggregated[]): readonly MetricsRow[] {
  const found = new Map(aggregated.map((one) => [one.round, one]))
  const trained = run.past.filter(({ purpose, manifest }) => purpose === 'train' && manifest !== null)
  const names = isQuestion(subject) ? [] : figureNamesOf(scoringOf(subject))
  /** Whoever starts from a model tests it first. */
  const testOf = (round: number) => aggregated.find((later) => later.round > round)?.evaluation ?? null
  const rowOf = (round: number, past: Past | undefined): MetricsRow => ({
    ...{ round, ...testedOf(run, testOf(round), names) },
    ...tookOf(past, found.get(round)?.trainMillis),
  })
  return [rowOf(0, undefined), ...trained.map((past) => rowOf(past.round, past))]
}

function testedOf(run: Run, evaluation: Evaluation | null, names: readonly string[]) {
  const tested = evaluationOf(run, evaluation)
  const figures = names.map((name) => [name, tested?.figures?.find((one) => one.name === name)?.value ?? null] as const)
  const { loss = null, accuracy = null, rows = null, sites = null } = tested ?? {}
  return { loss, accuracy, ...Object.fromEntries(figures), rows, sites }
}

function tookOf(past: Past | undefined, trainMillis: Millis = 0) {
  if (!past)
    return { cohort: null, reports: null, train_ms: null, duration_ms: null, overhead_ms: null, ended_at: null }
  const { cohort, reports, openedAt, endedAt } = past
  const duration = endedAt - openedAt
  const overhead = Math.max(0, duration - trainMillis)
  const times = { train_ms: trainMillis, duration_ms: duration, overhead_ms: overhead, ended_at: timeOf(endedAt) }
  return { cohort, reports, ...times }
}

/** In the order in which they were asked for. */
function keysOf([first]: readonly MetricsRow[], asked: readonly string[] | undefined): readonly string[] {
  const known = Object.keys(first ?? {})
  if (!asked) return known
  const unknown = asked.find((key) => !known.includes(key))
  if (unknown !== undefined)
    throw new Problem(400, 'unknown_key', 'There is no such column', `${unknown} is none of ${known.join(', ')}`)
  return ['round', ...new Set(asked.filter((key) => key !== 'round'))]
}

/** Rows stay whole, so that columns stay of one length: they are those that the first column with a curve needs. */
function fewer(rows: readonly MetricsRow[], keys: readonly string[], to: number): readonly MetricsRow[] {
  if (rows.length <= to) return rows
  const key = keys.find((one) => one !== 'round' && rows.some((row) => typeof row[one] === 'number')) ?? 'round'
  const known = rows.filter((row) => typeof row[key] === 'number')
  return downsample(
    known.map((row) => ({ x: row.round, y: row[key] as number })),
    to,
  ).map((index) => known[index] as MetricsRow)
}

function columnsOf(rows: readonly MetricsRow[], keys: readonly string[]): Record<string, Value[]> {
  return Object.fromEntries(keys.map((key) => [key, rows.map((row) => row[key] ?? null)]))
}

/** RFC 4180; what is not known is an empty field. */
export function csvOf(columns: Readonly<Record<string, readonly Value[]>>): string {
  const names = Object.keys(columns)
  const rows = Array.from({ length: columns[names[0] ?? '']?.length ?? 0 }, (_, row) =>
    names.map((name) => columns[name]?.[row] ?? null),
  )
  return [names, ...rows].map((row) => `${row.map(csvField).join(',')}\r\n`).join('')
}

function csvField(value: Value): string {
  const text = value === null ? '' : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
