import { z } from 'zod'
import { readAbreast } from '#protocol/abreast.ts'
import type { Cid } from '#protocol/ids.ts'
import { type SeatRecord, seatListSchema } from '#protocol/manifest.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { accept } from '#protocol/result.ts'
import { readBlock, readRecord } from '../record.ts'
import { hasReported, type Round } from '../round/round.ts'
import type { Past, Run } from '../run.ts'
import type { ApiDoors } from './doors.ts'
import { notFound } from './problems.ts'
import { roundView, roundWithSeatsView, type seatView } from './run-views.ts'
import { find, problems, type Routes, runParams } from './runs.ts'
import { page } from './schemas.ts'
import { evaluationOf, timeOf } from './views.ts'

type RoundView = z.output<typeof roundView>
type SeatView = z.output<typeof seatView>

/** The rounds of a run, over or open: how each ended and why, and what became of every seat. */
export function roundRoutes(routes: Routes, doors: ApiDoors): void {
  routes.get(
    '/v1/runs/:id/rounds',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'The rounds of a run, the first one first',
        params: runParams,
        querystring: z.object({
          after: z.coerce.number().int().min(0).default(0).meta({ description: 'the last round already seen' }),
          limit: z.coerce.number().int().min(1).max(200).default(50),
        }),
        response: { 200: page(roundView), ...problems },
      },
    },
    async ({ caller, params, query: { after, limit } }) => {
      const run = await find(doors, caller, params.id)
      const { past, round } = run
      const over = await readAbreast(past.slice(after, after + limit), async (one) =>
        accept(await overOf(doors, run, one)),
      )
      const data = over.ok ? [...over.value] : []
      if (round && round.round > after && data.length < limit) data.push(openOf(round))
      const last = after + data.length
      const more = last < past.length + (round ? 1 : 0)
      return { data, has_more: more, next: more ? String(last) : null }
    },
  )

  routes.get(
    '/v1/runs/:id/rounds/:round',
    {
      config: { scope: 'runs:read' },
      schema: {
        summary: 'One round, with what became of every seat',
        params: runParams.extend({ round: z.coerce.number().int().min(1) }),
        response: { 200: roundWithSeatsView, ...problems },
      },
    },
    async ({ caller, params }) => {
      const run = await find(doors, caller, params.id)
      const seats = await seatsOf(doors.blobs, run, params.round)
      const view = await viewOf(doors, run, params.round)
      if (!view || !seats) throw notFound('round', String(params.round))
      return { ...view, seats }
    },
  )
}

async function viewOf(
  doors: Pick<ApiDoors, 'blobs' | 'orders'>,
  run: Run,
  number: number,
): Promise<RoundView | undefined> {
  if (run.round?.round === number) return openOf(run.round)
  const over = run.past[number - 1]
  return over && overOf(doors, run, over)
}

/** What was measured in it is in its record alone: a run's state would grow by it with every round. */
async function overOf({ blobs, orders }: Pick<ApiDoors, 'blobs' | 'orders'>, run: Run, past: Past): Promise<RoundView> {
  const { round, purpose, manifest, aborted, reason, endedIn, cohort, reports, openedAt, endedAt } = past
  return {
    ...{ round, purpose, outcome: manifest ? 'closed' : 'aborted', phase: endedIn, reason },
    ...{ cohort, reports, opened_at: timeOf(openedAt), ended_at: timeOf(endedAt), record: manifest ?? aborted },
    evaluation:
      manifest &&
      evaluationOf(run, (await orders.of(run)).subject, (await readRecord(blobs, manifest, 'round')).evaluation),
  }
}

function openOf(round: Round): RoundView {
  const seats = ('seats' in round && round.seats) || []
  return {
    ...{ round: round.round, purpose: round.purpose, outcome: 'open', phase: round.phase },
    // A session that is being abandoned has failed already.
    reason: round.phase === 'abandonment' ? round.reason : null,
    ...{ cohort: seats.length, reports: seats.filter(hasReported).length },
    ...{ opened_at: timeOf(round.openedAt), ended_at: null, record: null, evaluation: null },
  }
}

/** Undefined where there is no such round. */
async function seatsOf(blobs: BlobStore, run: Run, number: number): Promise<SeatView[] | undefined> {
  const { round, past, unrecorded, spec } = run
  for (const kept of [round, unrecorded]) if (kept?.round === number) return keptSeats(kept)
  const over = past[number - 1]
  if (!over) return undefined
  const seats = over.manifest
    ? await readBlock(blobs, (await readRecord(blobs, over.manifest, 'round')).seats, seatListSchema)
    : (await readRecord(blobs, over.aborted as Cid, 'aborted')).seats
  const times = spec.masking === 'none' ? await timesOf(blobs, seats) : []
  return seats.map(({ node, update, reason }, seat) => ({
    ...{ seat, node, outcome: update ? 'reported' : 'gone', reason },
    ...{ update, reported_at: null, train_ms: times[seat] ?? null },
  }))
}

/** Of a round that is still in the run's state. */
function keptSeats(round: Round): SeatView[] {
  if (!('cohort' in round) || !round.cohort || !round.seats) return []
  const { cohort, seats } = round
  return cohort.map((node, seat) => {
    const state = seats[seat] ?? 'waiting'
    if (state === 'waiting') return { seat, node, outcome: 'waiting', ...NOTHING, reason: null }
    if (!hasReported(state)) return { seat, node, outcome: 'gone', ...NOTHING, reason: state.gone }
    const { update, at, trainMillis } = state
    const reason = ('lapses' in round && round.lapses[seat]) || null
    return { seat, node, outcome: 'reported', reason, update, reported_at: timeOf(at), train_ms: trainMillis }
  })
}

const NOTHING = { update: null, reported_at: null, train_ms: null } as const

/** How long each trained by its own clock: a plain report says it. */
async function timesOf(blobs: BlobStore, seats: readonly SeatRecord[]): Promise<readonly (number | null)[]> {
  const times = await readAbreast(seats, async ({ update }) =>
    accept(update && (await readRecord(blobs, update, 'report')).trainMillis),
  )
  return times.ok ? times.value : []
}
