import { z } from 'zod'
import type { Predicting } from '#protocol/accuracy.ts'
import type { Evaluation } from '#protocol/manifest.ts'
import { siteEvaluations } from '../matrix.ts'
import type { Run } from '../run.ts'
import type { ApiDoors } from './doors.ts'
import { MATRIX_ROW } from './model-examples.ts'
import { inTime } from './problems.ts'
import { find, problems, type Routes, runParams } from './runs.ts'
import { page } from './schemas.ts'
import { evaluationOf } from './views.ts'

const figures = {
  rows: z.int().nullable(),
  correct: z.int().nullable(),
  accuracy: z.number().nullable(),
  loss: z.number().nullable(),
}

export const matrixRowView = z
  .object({
    round: z
      .int()
      .meta({ description: 'the training round that made the model; 0: the model that training starts from' }),
    model: z.string(),
    tested_in: z.int().meta({ description: 'the round in which sites tested it, before they trained on' }),
    all: z
      .object({
        rows: z.int().nullable(),
        sites: z.int().nullable(),
        accuracy: z.number().nullable(),
        loss: z.number(),
      })
      .nullable(),
    sites: z.array(z.object({ node: z.string(), ...figures })).nullable(),
    why: z.enum(['masked', 'expired']).nullable().meta({
      description:
        'why there is nothing by site: masked, so that nobody knows; or expired, so that nobody knows any more',
    }),
  })
  .meta({ id: 'MatrixRow', examples: [MATRIX_ROW] })

/** How each model did at each site: what every update tells of the model that it started from. */
export function matrixRoutes(routes: Routes, doors: ApiDoors): void {
  routes.get(
    '/v1/runs/:id/matrix',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'Each model of a run at each site, as its held-out rows have it',
        description:
          'Rows are models, in the order in which they were made. Under masks there is the column of all sites alone.',
        params: runParams,
        querystring: z.object({
          after: z.coerce
            .number()
            .int()
            .min(0)
            .default(0)
            .meta({ description: 'tested_in of the last row already seen' }),
          limit: z.coerce.number().int().min(1).max(50).default(20),
        }),
        response: { 200: page(matrixRowView), ...problems },
      },
    },
    async ({ caller, params, query: { after, limit } }) => {
      const run = await find(doors, caller, params.id)
      const { subject, payload } = await doors.orders.of(run)
      const aggregated = run.spec.purpose === 'ask' ? [] : await inTime(doors.clock, doors.curves.of(run.spec.run))
      const known = aggregated.map((one, index) => ({ ...one, tested: aggregated[index - 1] }))
      const left = known.filter(({ round }) => round > after)
      const data = await Promise.all(
        left.slice(0, limit).map(async ({ round, manifest, evaluation, tested }) => {
          const all = evaluationOf(run, subject, evaluation)
          const sites = run.spec.masking === 'none' ? await siteEvaluations(doors.blobs, manifest, payload) : []
          const isExpired = sites.some((site) => site.evaluation === null)
          return {
            ...{ round: tested?.round ?? 0, model: tested?.model ?? run.spec.genesis, tested_in: round },
            all: all && { rows: all.rows, sites: all.sites, accuracy: all.accuracy, loss: all.loss },
            sites: whyNot(run, isExpired)
              ? null
              : sites.map(({ node, evaluation }) => ({ node, ...siteOf(run, subject, evaluation) })),
            why: whyNot(run, isExpired),
          }
        }),
      )
      const more = left.length > data.length
      return { data, has_more: more, next: more ? String(data.at(-1)?.tested_in ?? after) : null }
    },
  )
}

function whyNot({ spec }: Run, isExpired: boolean): 'masked' | 'expired' | null {
  if (spec.masking !== 'none') return 'masked'
  return isExpired ? 'expired' : null
}

/** A site that keeps its figures back, or holds nothing out, has none. */
function siteOf(run: Run, subject: Predicting, evaluation: Evaluation | null) {
  const tested = evaluationOf(run, subject, evaluation)
  if (!evaluation || !tested) return { rows: 0, correct: null, accuracy: null, loss: null }
  const { accuracy, loss } = tested
  return { rows: evaluation.rows, correct: accuracy === null ? null : evaluation.correct, accuracy, loss }
}
