import { z } from 'zod'
import { Places, type PlacesRule } from '#protocol/places.ts'
import { dryRun, type Forecast } from '../dry-run.ts'
import type { Caller } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import * as example from './examples.ts'
import { later, Problem } from './problems.ts'
import { type LaunchRun, wholeOf } from './request.ts'
import { launchRunSchema } from './run-schemas.ts'
import { problems, type Routes } from './runs.ts'
import { placeOf, tenantOf } from './tenancy.ts'

const amount = z.string().meta({ description: 'micro-credits, as a decimal text' })
const errors = z.array(z.object({ pointer: z.string(), message: z.string() }))

export const dryRunView = z
  .object({
    ok: z.boolean().meta({ description: 'such a run could be launched; whether anybody would come is in population' }),
    errors: errors.meta({ description: 'what is wrong with the request; then nothing else is foreseen' }),
    parameters: z.int().nullable(),
    trained: z.int().nullable().meta({ description: 'those that an update moves' }),
    memory_bytes: z.int().nullable().meta({ description: 'that training takes at a node, at most' }),
    bytes: z
      .object({
        up_per_node: z.int(),
        down_per_node: z
          .int()
          .meta({ description: 'the model, and under masks the vectors of the round before; at most' }),
        per_round: z.int().meta({ description: 'of a full cohort' }),
        by_codec: z.array(z.object({ codec: z.string(), bytes_up: z.int(), available: z.boolean() })),
      })
      .nullable(),
    rounds: z.int(),
    cost: z
      .object({
        budget: amount,
        per_round: amount.meta({ description: 'the least that a round pays; no round pays more than one more' }),
        per_update_min: amount.meta({ description: 'in a full cohort' }),
        per_update_max: amount.meta({ description: 'in a bare quorum' }),
      })
      .nullable(),
    privacy: z.object({ epsilon: z.number().nullable(), reason: z.string() }),
    population: z.object({
      linked: z.int(),
      willing: z.int().meta({ description: 'sites that said that they would' }),
      needed: z.int().nullable().meta({ description: 'for a round' }),
    }),
    sites: z.array(
      z.object({
        node: z.string(),
        operator: z.string().nullable(),
        linked: z.boolean(),
        accepts: z.boolean().nullable().meta({ description: 'null: it did not say' }),
        rule: z.string().nullable().meta({ description: 'by which it would take no seat' }),
        detail: z.string().nullable(),
      }),
    ),
    compatibility: z.array(
      z.object({ feature: z.string(), state: z.enum(['used', 'available', 'refused', 'absent']), detail: z.string() }),
    ),
  })
  .meta({ id: 'DryRun', examples: [example.DRY_RUN] })

const NO_ACCOUNTANT = { epsilon: null, reason: 'nothing is added to hide a row, and so nothing bounds ε' }
const NOTHING_FORESEEN = {
  ...{ parameters: null, trained: null, memory_bytes: null, bytes: null, cost: null },
  ...{ privacy: NO_ACCOUNTANT, population: { linked: 0, willing: 0, needed: null }, sites: [], compatibility: [] },
}

/** Under way at a time: each asks every node of its population, and is in memory for as long as they may take to answer. */
const PLACES: PlacesRule = { total: 8, each: 4 }

export function dryRunRoutes(routes: Routes, doors: ApiDoors): void {
  const places = new Places(PLACES)
  routes.post(
    '/v1/runs/dry-run',
    {
      config: { scope: 'runs:write', isQuestion: true },
      schema: {
        summary: 'Ask what a run would be, and who would come',
        description:
          'The request of a run, checked as one is. Nothing is kept and nothing begins. Every site that is linked here is asked by which rule of its own it would take no seat, and has five seconds to say.',
        body: launchRunSchema,
        response: { 200: dryRunView, ...problems },
      },
    },
    async ({ body, caller }) => {
      if (doors.isOverloaded()) throw later(503, 'overload', 'the coordinator has more to do than it can')
      using place = places.take(tenantOf(caller))
      if (!place) throw later(429, 'too_many_dry_runs', 'so many are under way already')
      const foreseen = await foresee(doors, caller, body)
      return 'mistakes' in foreseen
        ? { ok: false, errors: foreseen.mistakes, rounds: body.rounds, ...NOTHING_FORESEEN }
        : viewOf(foreseen)
    },
  )
}

async function foresee(
  doors: ApiDoors,
  caller: Caller,
  body: LaunchRun,
): Promise<Forecast | { readonly mistakes: z.output<typeof errors> }> {
  try {
    const { federation, populationSize } = await placeOf(doors, caller, body.federation)
    const { request, origin } = await wholeOf(doors, caller, body)
    const made = await dryRun(doors, { ...request, federation }, origin, populationSize)
    if (made.ok) return made.value
    return { mistakes: [made.where ?? { pointer: '/', message: made.detail ?? made.refusal }] }
  } catch (cause) {
    if (cause instanceof Problem && cause.errors) return { mistakes: [...cause.errors] }
    throw cause
  }
}

function viewOf(foreseen: Forecast): z.output<typeof dryRunView> {
  const { spec, parameters, trained, memoryBytes, bytes, cost, sites, linked, willing, compatibility } = foreseen
  return {
    ...{ ok: true, errors: [], parameters, trained, memory_bytes: memoryBytes },
    bytes: {
      up_per_node: bytes.upPerNode,
      down_per_node: bytes.downPerNode,
      per_round: bytes.perRound,
      by_codec: bytes.byCodec.map(({ codec, bytesUp, available }) => ({ codec, bytes_up: bytesUp, available })),
    },
    rounds: spec.planned,
    cost: {
      budget: String(spec.budget),
      per_round: String(cost.perRound),
      per_update_min: String(cost.perUpdateMin),
      per_update_max: String(cost.perUpdateMax),
    },
    privacy: NO_ACCOUNTANT,
    population: { linked, willing, needed: spec.cohort.min },
    sites: [...sites],
    compatibility: [...compatibility],
  }
}
