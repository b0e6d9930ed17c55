import { z } from 'zod'
import type { Millis } from '#protocol/ids.ts'
import type { Run } from '../run.ts'
import type { ApiDoors } from './doors.ts'
import { instant } from './query.ts'
import { runCountsView, statusField } from './run-views.ts'
import { problems, type Routes } from './runs.ts'
import { runsFor } from './tenancy.ts'
import { statusOf, timeOf } from './views.ts'

const DAY_MILLIS: Millis = 86_400_000

/** How many runs there are: nobody has to read the list for that, which may be of thousands. */
export function countsRoutes(routes: Routes, { runner, clock }: Pick<ApiDoors, 'runner' | 'clock'>): void {
  routes.get(
    '/v1/runs/counts',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'How many runs have each status, and how many rounds have ended lately',
        querystring: z.object({
          since: instant.optional().meta({
            description: 'RFC 3339: rounds that ended later are counted; those of the last 24 hours by default',
          }),
        }),
        response: { 200: runCountsView, ...problems },
      },
    },
    async ({ caller, query }) => {
      const since = query.since ?? clock.now() - DAY_MILLIS
      return countsOf(
        runsFor({ runner }, caller).filter(({ spec }) => spec.purpose === 'train'),
        since,
      )
    },
  )
}

function countsOf(runs: readonly Run[], since: Millis): z.output<typeof runCountsView> {
  const statuses = Object.fromEntries(statusField.options.map((status) => [status, 0])) as Statuses
  const rounds = { closed: 0, aborted: 0 }
  for (const run of runs) {
    statuses[statusOf(run)] += 1
    // From the last one back, as far as it matters: most runs have ended long ago.
    for (let at = run.past.length - 1; at >= 0; at--) {
      const past = run.past[at] as Run['past'][number]
      if (past.endedAt <= since) break
      rounds[past.manifest === null ? 'aborted' : 'closed'] += 1
    }
  }
  return { statuses, rounds, since: timeOf(since) }
}

type Statuses = z.output<typeof runCountsView>['statuses']
