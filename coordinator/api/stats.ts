import { assert } from '#protocol/assert.ts'
import { isQuestion } from '#protocol/subject.ts'
import { createAsk } from '../ask.ts'
import type { Lookup } from '../labels.ts'
import type { Run } from '../run.ts'
import type { ApiDoors } from './doors.ts'
import { idempotencyHeaders } from './idempotency.ts'
import type { Launcher } from './launch.ts'
import { notFound } from './problems.ts'
import { statsQueryView } from './run-views.ts'
import { find, pageOf, pageQuery, problems, type Routes, runParams } from './runs.ts'
import { createAskSchema, page } from './schemas.ts'
import { placeOf } from './tenancy.ts'
import { queryOf } from './views.ts'

/** Questions to the federation. Each is a run: its events and its bundle are where those of runs are. */
export function statsRoutes(routes: Routes, doors: ApiDoors, launcher: Launcher): void {
  const { labels, orders } = doors
  const viewOf = async (run: Run, labelledOf: Lookup) => {
    const { subject } = await orders.of(run)
    assert(isQuestion(subject), 'an ask is about a question')
    return queryOf(run, subject, labelledOf(run.spec.run))
  }

  routes.post(
    '/v1/stats-queries',
    {
      config: { scope: 'runs:write' },
      schema: {
        summary: 'Ask a question about the data of all sites',
        description:
          'Counts, moments, histograms and categories from one masked sum. The bundle, once it is there, gives the answer. An Idempotency-Key makes a repeat answer the first request instead of asking again.',
        headers: idempotencyHeaders,
        body: createAskSchema,
        response: { 200: statsQueryView, 201: statsQueryView, ...problems },
      },
    },
    async (request, reply) => {
      const { federation, populationSize } = await placeOf(doors, request.caller, request.body.federation)
      const run = await launcher.launch(request, 'ask', reply, (id, idempotency) =>
        createAsk(doors.blobs, id, { ...request.body, federation }, idempotency, populationSize),
      )
      return reply
        .header('location', `/v1/stats-queries/${run.spec.run}`)
        .send(await viewOf(run, await labels.lookup()))
    },
  )

  routes.get(
    '/v1/stats-queries',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'Questions, the newest first',
        querystring: pageQuery,
        response: { 200: page(statsQueryView), ...problems },
      },
    },
    ({ caller, query }) => pageOf(doors, caller, query, 'ask', viewOf),
  )

  routes.get(
    '/v1/stats-queries/:id',
    {
      config: { scope: 'runs:read' },
      schema: { summary: 'One question', params: runParams, response: { 200: statsQueryView, ...problems } },
    },
    async ({ caller, params }) => {
      const run = await find(doors, caller, params.id)
      if (run.spec.purpose !== 'ask') throw notFound('stats query', params.id.slice(0, 100))
      return viewOf(run, await labels.lookup())
    },
  )
}
