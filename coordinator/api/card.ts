import { z } from 'zod'
import { shapeOf } from '#protocol/architecture.ts'
import { assert } from '#protocol/assert.ts'
import { taskSchema } from '#protocol/task.ts'
import { type Ancestry, cardOf } from '../card.ts'
import { readBlock } from '../record.ts'
import type { Run } from '../run.ts'
import { type Caller, sees } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { metricsOf } from './metrics.ts'
import { addressed, modelOf } from './models.ts'
import { inTime } from './problems.ts'
import { find, problems, type Routes, runParams } from './runs.ts'

/** Forks of forks that a card tells of. */
const FORKS_MAX = 64

export function cardRoutes(routes: Routes, doors: ApiDoors): void {
  routes.get(
    '/v1/runs/:id/card',
    {
      config: { scope: 'models:read' },
      schema: {
        summary: "A model card of the run's last model, for the Hugging Face Hub",
        description:
          'Markdown with metadata in YAML: what it is for, how it was trained and tested, and how to verify that.',
        produces: ['text/markdown'],
        params: runParams,
        response: { 200: z.string().meta({ examples: ['# outcome from age and sex\n'] }), ...problems },
      },
    },
    async ({ caller, params }, reply) => {
      const run = await find(doors, caller, params.id)
      const { manifest: model, architecture } = await addressed(doors.blobs, await modelOf(doors, run, undefined))
      const shape = shapeOf(architecture)
      assert(shape.ok, 'an architecture is checked before its run is made')
      const task = await readBlock(doors.blobs, run.spec.task, taskSchema)
      const aggregated = await inTime(doors.clock, doors.curves.of(run.spec.run))
      const card = cardOf({
        ...{ run, task, model, architecture, shape: shape.value, coordinator: doors.coordinator },
        ancestry: ancestryOf(doors, caller, run),
        rows: metricsOf(run, task, aggregated),
        rounds: aggregated.filter(({ round }) => run.past[round - 1]?.manifest),
      })
      return reply.type('text/markdown; charset=utf-8').send(card)
    },
  )
}

/** Back to the first run, through those that are there for the caller: a fork starts from the very model of its origin. */
function ancestryOf({ runner }: Pick<ApiDoors, 'runner'>, caller: Caller, { spec }: Run): Ancestry {
  const forks: Ancestry['forks'][number][] = []
  for (let child = spec; child.origin; ) {
    forks.push({ ...child.origin, model: child.genesis })
    const parent = runner.run(child.origin.run)
    if (!parent || !sees(caller, parent.spec.federation) || forks.length === FORKS_MAX) return { forks, isWhole: false }
    child = parent.spec
  }
  return { forks, isWhole: true }
}
