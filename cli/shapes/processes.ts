import { z } from 'zod'
import { figuresView } from '#coordinator/api/run-views.ts'
import { eventView, text, time } from '#coordinator/api/schemas.ts'
import { maskingField } from '#protocol/plan.ts'
import { verdictShape } from './records.ts'

/** What is printed by what runs processes, or plays them. */
const amount = text('micro-credits, as a decimal text')
const ledger = z.object({ budget: amount, paid: amount, released: amount })
const figures = figuresView.optional()

/** `consilium coordinator up`: once it listens. */
export const coordinatorShape = z.object({
  type: z.literal('coordinator.ready'),
  url: z.string(),
  coordinator: text('z6Mk…'),
  api_key_file: text('where the key lies; it is not shown'),
  pid: z.int(),
  libp2p: z.array(z.string()).optional(),
})

export const kuboConfigShape = z.object({ network: z.enum(['private', 'public']), commands: z.array(z.string()) })
export const swarmKeyShape = z.object({ swarm_key: z.string() })

/** `consilium demo`, each line: its own, and the events of its run between them. */
export const demoLineShape = z.union([
  z.object({
    type: z.literal('demo.started'),
    time,
    masking: maskingField,
    seed: z.string(),
    folder: z.string(),
    chaos: z.boolean(),
  }),
  z.object({ type: z.literal('demo.dashboard'), time, url: z.string() }),
  z.object({
    type: z.literal('node.gone'),
    time,
    node: z.string(),
    site: z.string(),
    how: z.union([z.int(), z.string()]).meta({ description: 'its exit code, or the signal that ended it' }),
  }),
  z.object({
    type: z.literal('run.completed'),
    rounds: z.int(),
    nodes: z.int(),
    accuracy: z.number().nullable(),
    model: z.string(),
    bundle: z.string(),
    figures,
    verify: z.union([
      z.object({ ok: z.literal(true), model: z.string() }),
      verdictShape.options[2].partial({ round: true }),
    ]),
    ledger,
    backend: z.string(),
    masking: maskingField,
  }),
  eventView,
])

const sinceStart = { at_ms: z.number().meta({ description: "of the play's own time" }) }

/** `consilium sim`, each line: what happens in the play, and how it ended. */
export const simLineShape = z.union([
  eventView.extend(sinceStart),
  eventView.omit({ time: true }).meta({ description: 'of virtual sites: their clock stands still' }),
  z.object({
    type: z.literal('sim.fault'),
    ...sinceStart,
    fault: z.string(),
    node: z.int().optional(),
    nodes: z.array(z.int()).optional(),
    direction: z.string().optional(),
    who: z.string().optional(),
    stores: z.array(z.string()).optional(),
    for_ms: z.number().optional(),
    slowest_ms: z.number().optional(),
    by_ms: z.number().optional(),
  }),
  z.object({ type: z.literal('sim.process'), ...sinceStart, process: z.string(), what: z.string() }),
  z.object({
    type: z.literal('sim.finished'),
    seed: z.int(),
    ok: z.literal(true),
    outcome: z.string().nullable(),
    rounds: z.array(
      z.object({ round: z.int(), purpose: z.string(), manifest: z.string().nullable(), reason: z.string().nullable() }),
    ),
    model: z.string(),
    coordinator_restarts: z.int(),
    node_restarts: z.int(),
    elapsed_ms: z.number(),
    ledger,
    history: text('a digest of all that happened'),
  }),
  z.object({ type: z.literal('sim.finished'), seed: z.int(), ok: z.literal(false), detail: z.string() }),
  z.object({
    type: z.literal('sim.finished'),
    ok: z.literal(true),
    outcome: z.string(),
    sites: z.int(),
    backend: z.string(),
    accuracy: z.number().nullable(),
    figures,
    model: z.string(),
    record: z.string(),
    bundle: z.string().nullable(),
    elapsed_ms: z.int(),
  }),
  z.object({
    type: z.literal('sim.summary'),
    seeds: z.int(),
    failed: z.array(z.int()),
    rounds: z.record(z.string(), z.int()).meta({ description: 'how many ended how' }),
  }),
])
