import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Payload } from '#aggregation/vector.ts'
import { parseRunId } from '#protocol/ids.ts'
import { createRun } from '../create.ts'
import type { Lookup } from '../labels.ts'
import type { Run } from '../run.ts'
import type { RunSpec } from '../run-spec.ts'
import { type Caller, sees } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { tagged } from './etag.ts'
import type { EventStreams } from './event-stream.ts'
import { streamEvents } from './events.ts'
import { checkSpending, idempotencyHeaders } from './idempotency.ts'
import type { Launcher } from './launch.ts'
import { pageIn } from './paging.ts'
import { inTime, notFound, Problem } from './problems.ts'
import { instant, listOf } from './query.ts'
import { wholeOf } from './request.ts'
import { launchRunSchema } from './run-schemas.ts'
import { runView, statusField } from './run-views.ts'
import { eventView, page, problemView } from './schemas.ts'
import { placeOf, runsFor } from './tenancy.ts'
import { eventOf, runOf, statusOf } from './views.ts'

export type Routes = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

export const runParams = z.object({
  id: z.string().meta({ description: 'a run id, or the start of one that no other run has' }),
})
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  after: z.string().optional(),
})
const runsQuery = pageQuery.extend({
  label: z
    .string()
    .max(200)
    .regex(/^[^:]+:.+$/)
    .optional()
    .meta({ description: 'key:value: those with this label alone' }),
  status: listOf(statusField, statusField.options.length)
    .optional()
    .meta({ description: `those of these alone, with commas or given again: ${statusField.options.join(', ')}` }),
  created_after: instant.optional().meta({ description: 'RFC 3339: those that were launched later' }),
})
type RunsQuery = z.output<typeof pageQuery> &
  Pick<Partial<z.output<typeof runsQuery>>, 'label' | 'status' | 'created_after'>

export const problems = {
  400: problemView,
  401: problemView,
  403: problemView,
  404: problemView,
  409: problemView,
  422: problemView,
  /** Not now: `Retry-After` says when. */
  ...{ 429: problemView, 503: problemView },
}

export function runRoutes(
  routes: Routes,
  doors: ApiDoors,
  { launcher, streams }: { readonly launcher: Launcher; readonly streams: EventStreams },
): void {
  const { runner, blobs, orders, labels, retention } = doors
  const viewOf = async (run: Run, labelledOf: Lookup) =>
    runOf(run, (await orders.of(run)).subject, labelledOf(run.spec.run), retention)

  routes.post(
    '/v1/runs',
    {
      config: { scope: 'runs:write' },
      schema: {
        summary: 'Launch a run',
        description:
          'An Idempotency-Key makes a repeat answer the first run instead of launching another; where there is a budget it takes one.',
        headers: idempotencyHeaders,
        body: launchRunSchema,
        response: { 200: runView, 201: runView, ...problems },
      },
    },
    async (request, reply) => {
      checkSpending(request, request.body.budget)
      const { federation, populationSize } = await placeOf(doors, request.caller, request.body.federation)
      const run = await launcher.launch(request, 'train', reply, async (id, idempotency) => {
        const { request: order, origin } = await wholeOf(doors, request.caller, request.body)
        return createRun(blobs, id, { ...order, federation }, idempotency, populationSize, origin)
      })
      return reply.header('location', `/v1/runs/${run.spec.run}`).send(await viewOf(run, await labels.lookup()))
    },
  )

  routes.get(
    '/v1/runs',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'Runs, the newest first',
        querystring: runsQuery,
        response: { 200: page(runView), ...problems },
      },
    },
    ({ caller, query }) => pageOf(doors, caller, query, 'train', viewOf),
  )

  routes.get(
    '/v1/runs/:id',
    {
      config: { scope: 'runs:read' },
      schema: { summary: 'One run', params: runParams, response: { 200: runView, 304: z.undefined(), ...problems } },
    },
    async (request, reply) => {
      const run = await find(doors, request.caller, request.params.id)
      return tagged(request, reply, await viewOf(run, await labels.lookup()))
    },
  )

  routes.get(
    '/v1/runs/:id/events',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'What happened, and what happens',
        description:
          'Server-sent events when asked for text/event-stream: resumes after Last-Event-ID or ?after, ends with the run; 204 where that has ended and nothing follows. Otherwise a page of JSON. After what has not happened yet: 400, invalid_cursor.',
        params: runParams,
        querystring: z.object({
          after: z.coerce.number().int().min(-1).default(-1).meta({ description: 'the last seq already seen' }),
          limit: z.coerce.number().int().min(1).max(1000).default(200),
        }),
        response: { 200: page(eventView), 204: z.undefined(), ...problems },
      },
    },
    async (request, reply) => {
      const run = await find(doors, request.caller, request.params.id)
      const id = run.spec.run
      const { payload } = await orders.of(run)
      const from = lastSeen(request, request.query.after) + 1
      const head = await headFrom(doors, run, from)
      if (request.headers.accept?.includes('text/event-stream')) {
        // Whoever resumes at the end would get an empty stream, and resume for ever.
        if (from === head && runner.run(id)?.phase === 'ended') return reply.code(204).send(undefined)
        return streamEvents(doors, id, from, payload, streams, request, reply)
      }
      const to = Math.min(head, from + request.query.limit)
      const data = await inTime(doors.clock, eventsOf(doors, run, { from, to }, payload))
      const last = data.at(-1)?.seq ?? from - 1
      return { data, has_more: last + 1 < head, next: last + 1 < head ? String(last) : null }
    },
  )
}

/**
 * How many events a run has.
 *
 * @param from what somebody wants to hear from
 * @throws {Problem} 400 where not even the one before it has happened
 */
async function headFrom({ runner, clock }: ApiDoors, { spec }: Run, from: number): Promise<number> {
  // Another process may have told of more than has been heard of here.
  if (from > runner.position(spec.run)) await inTime(clock, runner.hear(spec.run))
  const head = runner.position(spec.run)
  if (from <= head) return head
  const has = `${spec.run} has ${head} events, and number ${from - 1} is none of them`
  throw new Problem(400, 'invalid_cursor', 'That has not happened yet', `${has}: begin anew, without after`)
}

async function eventsOf(
  { runner }: ApiDoors,
  { spec }: Run,
  { from, to }: { readonly from: number; readonly to: number },
  payload: Payload,
): Promise<z.output<typeof eventView>[]> {
  const data: z.output<typeof eventView>[] = []
  if (from >= to) return data
  for await (const advanced of runner.follow(spec.run, from, new AbortController().signal)) {
    data.push(eventOf(advanced, payload) as z.output<typeof eventView>)
    if (advanced.position + 1 >= to) break
  }
  return data
}

/** Runs of one purpose, the newest first. */
export async function pageOf<V>(
  { runner, labels }: ApiDoors,
  caller: Caller,
  { label, status, created_after: createdAfter, ...query }: RunsQuery,
  purpose: RunSpec['purpose'],
  viewOf: (run: Run, labelledOf: Lookup) => Promise<V>,
): Promise<{ data: V[]; has_more: boolean; next: string | null }> {
  const labelledOf = await labels.lookup()
  const [, key = '', value] = label === undefined ? [] : (/^([^:]+):(.+)$/.exec(label) ?? [])
  const isAskedFor = (run: Run) =>
    run.spec.purpose === purpose &&
    (label === undefined || labelledOf(run.spec.run).labels[key] === value) &&
    (status === undefined || status.includes(statusOf(run))) &&
    (createdAfter === undefined || run.createdAt > createdAfter)
  const runs = runsFor({ runner }, caller).filter(isAskedFor)
  const keyOf = ({ spec }: Run) => spec.run
  return pageIn(runs.toReversed(), query, { keyOf, newestFirst: true }, (run) => viewOf(run, labelledOf))
}

/** Of the runs that exist for the caller one, by id or by a start of it that no other has, like git. */
export async function find({ runner, clock }: ApiDoors, caller: Caller, id: string): Promise<Run> {
  const exact = parseRunId(id)
  // One that another process has just launched may not have been heard of here.
  if (exact.ok && !runner.run(exact.value)) await inTime(clock, runner.hear(exact.value))
  const known = exact.ok ? runner.run(exact.value) : undefined
  if (known && sees(caller, known.spec.federation)) return known
  const matching =
    id.length >= 4
      ? runsFor({ runner }, caller).filter(({ spec }) => spec.run.startsWith(id) || spec.run.startsWith(`run_${id}`))
      : []
  if (matching.length > 1)
    throw new Problem(
      409,
      'ambiguous_id',
      'Several runs start like this',
      matching.map(({ spec }) => spec.run).join(', '),
    )
  if (!matching[0]) throw notFound('run', id.slice(0, 100))
  return matching[0]
}

function lastSeen(request: FastifyRequest, after: number): number {
  const header = request.headers['last-event-id']
  const last = typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : after
  return last
}
