import { Readable } from 'node:stream'
import { z } from 'zod'
import { bundleOf, walkBundle } from '#protocol/bundle.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import type { Run } from '../run.ts'
import type { ApiDoors } from './doors.ts'
import { notFound, Problem } from './problems.ts'
import { find, problems, type Routes, runParams } from './runs.ts'
import { problemView } from './schemas.ts'

/** Records as files. */
export function bundleRoutes(routes: Routes, doors: ApiDoors): void {
  routes.get(
    '/v1/runs/:id/bundle',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'The whole record, or one round, as one CAR file, for consilium verify',
        description: 'Without vectors it is shorter, has the same root, and proves all but the sums.',
        produces: ['application/vnd.ipld.car'],
        params: runParams,
        querystring: z.object({
          round: z.coerce
            .number()
            .int()
            .min(1)
            .max(ROUNDS_MAX)
            .optional()
            .meta({ description: 'a round that has ended, also while the run goes on' }),
          vectors: z.enum(['yes', 'no']).default('yes'),
        }),
        response: { 200: z.any(), ...problems, 410: problemView },
      },
    },
    async ({ caller, params, query }, reply) => {
      const run = await find(doors, caller, params.id)
      const root = rootOf(run, query.round)
      const vectors = query.vectors === 'yes'
      const block = (cid: Cid) => doors.blobs.getBlock(cid, BLOCK_BYTES_MAX)
      // What has expired may be on its way out just now.
      if (vectors && (run.expired > 0 || (await lacksVectors(doors, root, block))))
        throw new Problem(410, 'vectors_expired', 'Vectors are kept no more', 'ask with ?vectors=no for all the rest')
      const name = [
        run.spec.run,
        ...(query.round ? [`round-${query.round}`] : []),
        ...(vectors ? [] : ['without-vectors']),
      ]
      return reply
        .type('application/vnd.ipld.car; version=1; order=dfs; dups=n')
        .header('content-disposition', `attachment; filename="${name.join('-')}.car"`)
        .send(Readable.from(bundleOf(root, block, { vectors })))
    },
  )
}

function rootOf({ manifest, past, round: open }: Run, round: number | undefined): Cid {
  const over = round === undefined ? undefined : past[round - 1]
  const root = round === undefined ? manifest : (over?.manifest ?? over?.aborted)
  if (root) return root
  if (round !== undefined && round !== open?.round) throw notFound('round', String(round))
  throw new Problem(
    409,
    round === undefined ? 'run_not_ended' : 'round_not_ended',
    round === undefined ? 'The run has not ended' : 'The round has not ended',
    'its record is sealed when it ends; follow /events',
  )
}

/** A walk comes upon a vector early, or there is none: of what is not public no record has any. */
const LOOKED_THROUGH = 4096

/** One stands for all; looked for before anything is sent. */
async function lacksVectors({ blobs }: ApiDoors, root: Cid, block: (cid: Cid) => Promise<Bytes>): Promise<boolean> {
  const first = await firstVectorOf(root, block)
  return first !== undefined && !(await blobs.has(first))
}

async function firstVectorOf(root: Cid, block: (cid: Cid) => Promise<Bytes>): Promise<Cid | undefined> {
  let first: Cid | undefined
  const walked = walkBundle(root, block, (vector) => {
    first ??= vector
    return false
  })
  let blocks = 0
  for await (const _ of walked) if (first !== undefined || ++blocks === LOOKED_THROUGH) break
  return first
}
