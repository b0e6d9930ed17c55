import type { PublicDataset } from '#protocol/dataset.ts'
import type { Published } from '../datasets.ts'
import type { ApiDoors } from './doors.ts'
import { datasetView } from './federation-schemas.ts'
import { pageIn } from './paging.ts'
import { inTime } from './problems.ts'
import { pageQuery, problems, type Routes } from './runs.ts'
import { page } from './schemas.ts'
import { nodesOf, operatorsFor } from './tenancy.ts'
import { timeOf } from './views.ts'

/** What nodes say in public of their data, for whoever writes a task for it. */
export function datasetRoutes(routes: Routes, doors: ApiDoors): void {
  const { datasets, clock } = doors
  routes.get(
    '/v1/datasets',
    {
      config: { scope: 'nodes:read' },
      schema: {
        summary: 'What nodes publish of their data, by their ids',
        description: 'The word of each node: names, kinds and shapes, and a power of two below its rows. No value.',
        querystring: pageQuery,
        response: { 200: page(datasetView), ...problems },
      },
    },
    async ({ caller, query }) => {
      const all = await inTime(clock, datasets.all())
      const visible = new Set(
        await nodesOf(
          doors,
          caller,
          all.map(({ node }) => node),
        ),
      )
      const listed = all.filter(({ node }) => visible.has(node))
      const operatorOf = await operatorsFor(doors, caller)
      return pageIn(listed, query, { keyOf: ({ node }) => node, newestFirst: false }, (one) =>
        viewOf(one, one.dataset, operatorOf(one.node)),
      )
    },
  )
}

function viewOf({ node, at }: Published, dataset: PublicDataset, operator: string | null) {
  const { name, kind, rowsAtLeast } = dataset
  return {
    ...{ node, operator, name, kind },
    columns: 'columns' in dataset ? [...dataset.columns] : null,
    shape: 'shape' in dataset ? [...dataset.shape] : null,
    classes: kind === 'image' ? dataset.classes : null,
    ...{ rows_at_least: rowsAtLeast, published_at: timeOf(at) },
  }
}
