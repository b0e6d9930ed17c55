import { z } from 'zod'
import { nameField } from '#protocol/codec.ts'
import { LABELS_MAX, labelKeyField, labelValueField } from '../labels.ts'
import type { ApiDoors } from './doors.ts'
import { etagOf, ifMatch, preconditionFailed } from './etag.ts'
import { LABELLED } from './examples.ts'
import { inTime, Problem } from './problems.ts'
import { runView } from './run-views.ts'
import { find, problems, type Routes, runParams } from './runs.ts'
import { problemView } from './schemas.ts'
import { runOf } from './views.ts'

const labelsField = z
  .record(labelKeyField, labelValueField.nullable())
  .refine((labels) => Object.keys(labels).length <= 2 * LABELS_MAX, `must be at most ${2 * LABELS_MAX}`)

const relabelSchema = z
  .strictObject({
    name: nameField.nullable().optional().meta({ description: "what people call it; null: its task's name again" }),
    labels: labelsField.optional().meta({
      description: `what is named here is set, or taken off where it is null; at most ${LABELS_MAX} stand then`,
    }),
  })
  .meta({ id: 'RelabelRun', examples: [LABELLED] })

/** What people call a run. It changes nothing of the run, and is in no record of its. */
export function labelRoutes(routes: Routes, doors: ApiDoors): void {
  const { labels, orders, retention, clock } = doors

  routes.patch(
    '/v1/runs/:id',
    {
      config: { scope: 'runs:write' },
      schema: {
        summary: 'Name a run, and label it',
        description:
          'A merge: what is left out stays. It may be said again and changes nothing then. If-Match takes the ETag of GET /v1/runs/{id}, which changes as the run goes on.',
        params: runParams,
        body: relabelSchema,
        response: { 200: runView, ...problems, 412: problemView },
      },
    },
    async (request, reply) => {
      const run = await find(doors, request.caller, request.params.id)
      const { subject } = await orders.of(run)
      const isMet = ifMatch(request)
      const changed = await inTime(
        clock,
        labels.change(run.spec.run, request.body, (standing) => isMet(runOf(run, subject, standing, retention))),
      )
      if (!changed.ok) throw refused(changed.refusal)
      const view = runOf(run, subject, changed.value, retention)
      return reply.header('etag', etagOf(view)).send(view)
    },
  )
}

function refused(refusal: 'stale' | 'too-many-labels' | 'too-many-changes'): Problem {
  switch (refusal) {
    case 'stale':
      return preconditionFailed()
    case 'too-many-labels': {
      const errors = [{ pointer: '/labels', message: `would be more than ${LABELS_MAX}: take some off with null` }]
      return new Problem(422, 'too_many_labels', 'So many labels are too many', `/labels ${errors[0]?.message}`, {
        errors,
      })
    }
    case 'too-many-changes':
      return new Problem(
        409,
        'too_many_changes',
        'No run is labelled any more',
        'the list of all labels ever given is full',
      )
  }
}
