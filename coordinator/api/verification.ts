import { z } from 'zod'
import type { Cid, Millis } from '#protocol/ids.ts'
import { within } from '../pause.ts'
import type { Run } from '../run.ts'
import type { Verification } from '../verifications.ts'
import type { ApiDoors } from './doors.ts'
import { VERIFICATION } from './model-examples.ts'
import { inTime, later, Problem } from './problems.ts'
import { find, problems, type Routes, runParams } from './runs.ts'
import { tenantOf } from './tenancy.ts'
import { timeOf } from './views.ts'

/** A request waits so long for what may take minutes; then it is to be asked for. */
const WAIT_MILLIS: Millis = 20_000

const tally = z.int()
export const verificationView = z
  .object({
    verdict: z.enum(['proved', 'refuted', 'running']),
    run: z.string(),
    root: z.string().meta({ description: "CID of the run's record" }),
    checked_at: z.string().nullable().meta({ description: 'RFC 3339; null while it runs' }),
    took_ms: z.int().nullable(),
    figures: z
      .object({
        rounds_closed: tally,
        rounds_aborted: tally,
        sums_recomputed: tally,
        sums_committed: tally.meta({
          description: 'of masked vectors that are not public: as the coordinator signed them',
        }),
        sums_expired: tally.meta({ description: 'of vectors that are kept no more: as the coordinator signed them' }),
        nodes: tally,
        ...{ blocks: tally, bytes: tally, signatures: tally },
      })
      .nullable()
      .meta({ description: 'of a record that holds' }),
    failure: z
      .object({ step: z.string(), round: z.int().nullable(), detail: z.string() })
      .nullable()
      .meta({ description: 'the first step that does not hold' }),
  })
  .meta({ id: 'Verification', examples: [VERIFICATION] })

/** Records done again here, as consilium verify does anywhere else. */
export function verificationRoutes(routes: Routes, doors: ApiDoors): void {
  const { clock, verifications } = doors

  routes.post(
    '/v1/runs/:id/verification',
    {
      config: { scope: 'runs:write' },
      schema: {
        summary: "Redo a run's record: every hash, signature, sum, model, figure and payment",
        description:
          'Once for each record: a repeat answers what came of it. What takes long is answered as running (202), and then asked for by GET.',
        params: runParams,
        response: { 200: verificationView, 202: verificationView, ...problems },
      },
    },
    async ({ caller, params }, reply) => {
      const run = await find(doors, caller, params.id)
      const root = rootOf(run)
      const asked = await inTime(
        clock,
        verifications.ask({ run: run.spec.run, root, allowExpired: run.expired > 0, by: tenantOf(caller) }),
      )
      if (!asked.ok) throw later(503, 'too_many_verifications', asked.detail ?? asked.refusal, { seconds: 30 })
      const made = await within(clock, WAIT_MILLIS, asked.value)
      return reply.code(made ? 200 : 202).send(made ? viewOf(made) : runningView(run, root))
    },
  )

  routes.get(
    '/v1/runs/:id/verification',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'What came of the last verification here',
        params: runParams,
        response: { 200: verificationView, ...problems },
      },
    },
    async ({ caller, params }) => {
      const run = await find(doors, caller, params.id)
      const root = rootOf(run)
      const known = await inTime(clock, verifications.of(root))
      if (known) return viewOf(known)
      if (verifications.isRunning(root)) return runningView(run, root)
      throw new Problem(
        404,
        'not_verified',
        'Nobody has asked for it here',
        `POST verifies the record ${root}; so does consilium verify, anywhere`,
      )
    },
  )
}

function rootOf({ manifest }: Run): Cid {
  if (manifest) return manifest
  throw new Problem(409, 'run_not_ended', 'The run has not ended', 'its record is sealed when it ends; follow /events')
}

function runningView({ spec }: Run, root: Cid): z.output<typeof verificationView> {
  return { verdict: 'running', run: spec.run, root, checked_at: null, took_ms: null, figures: null, failure: null }
}

function viewOf(made: Verification): z.output<typeof verificationView> {
  const { verdict, run, root, at, tookMillis } = made
  const head = { verdict, run, root, checked_at: timeOf(at), took_ms: tookMillis }
  if (made.verdict === 'refuted') {
    const { step, round, detail } = made
    return { ...head, figures: null, failure: { step, round, detail } }
  }
  const { closed, aborted, recomputed, committed, expired, nodes, blocks, bytes, signatures } = made
  const sums = { sums_recomputed: recomputed, sums_committed: committed, sums_expired: expired }
  const figures = { rounds_closed: closed, rounds_aborted: aborted, ...sums, nodes, blocks, bytes, signatures }
  return { ...head, figures, failure: null }
}
