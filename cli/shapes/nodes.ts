import { z } from 'zod'
import { text, time } from '#coordinator/api/schemas.ts'
import { purposeField } from '#protocol/plan.ts'
import { referenceModelField } from '#protocol/reference-models.ts'

/** What is printed of a machine that trains, and line by line by a node that runs. */
const backendField = z.enum(['cuda', 'webgpu', 'node', 'webgl', 'wasm', 'cpu'])
const passedOver = z.array(z.object({ backend: backendField, reason: z.string(), fix: z.string().optional() }))
const opened = { adapter: z.string(), software: z.boolean(), deterministic: z.boolean() }
const backendFields = { backend: backendField, ...opened, passed_over: passedOver }
const speeds = z.array(z.object({ model: referenceModelField, milli_samples_per_second: z.int(), measured_at: time }))

export const nodeIdShape = z.object({ node: text('z6Mk…'), state: z.string() })
export const switchedShape = z.object({ state: z.string(), switched: z.enum(['pause', 'resume', 'drain']) })

export const backendsShape = z.object({
  automatic: backendField,
  backends: z.array(
    z.union([
      z.object({ name: backendField, usable: z.literal(true), automatic: z.boolean(), ...opened }),
      z.object({
        name: backendField,
        usable: z.literal(false),
        automatic: z.literal(false),
        reason: z.string(),
        fix: z.string().nullable(),
      }),
    ]),
  ),
  passed_over: passedOver,
})

export const benchShape = z.object({ backend: backendField, ...opened, batch: z.int(), speeds })

/** `consilium node join` */
export const joinedFields = { node: text('z6Mk…'), state: z.string(), coordinator: text('z6Mk…'), url: z.string() }

const inRound = { run: z.string(), round: z.int(), time }
const told = <T extends string, F extends z.ZodRawShape>(type: T, fields: F) =>
  z.object({ type: z.literal(type), ...inRound, ...fields })

/** `consilium node up`, each line */
export const nodeLineShape = z.union([
  z.object({
    type: z.literal('node.ready'),
    node: z.string(),
    ...backendFields,
    share: z.string().optional(),
    url: z.string(),
    coordinator: z.string(),
    pid: z.int(),
  }),
  z.object({
    type: z.literal('node.link'),
    state: z.enum(['linked', 'lost', 'refused', 'wrong-coordinator', 'unreachable']),
    detail: z.string(),
  }),
  z.object({ type: z.literal('node.backend'), lost: backendField, reason: z.string(), ...backendFields }),
  z.object({ type: z.literal('node.bench'), backend: z.string(), adapter: z.string(), speeds }),
  z.object({
    type: z.enum(['node.paused', 'node.draining', 'node.stopped', 'node.unclear']),
    reason: z.string(),
    time,
  }),
  z.object({ type: z.literal('node.resumed'), time }),
  told('node.joined', {}),
  told('node.seated', { seat: z.int(), purpose: purposeField }),
  told('node.training', {
    ...{ epoch: z.int(), epochs: z.int(), loss: z.number().nullable() },
    ...{ sample_rows: z.int().optional(), labelled_rows: z.int().optional() },
  }),
  told('node.agreed', { members: z.int() }),
  told('node.masked', { bytes: z.int() }),
  told('node.recomputed', { past_round: z.int(), reports: z.int() }),
  told('node.reported', { bytes: z.int(), train_ms: z.number() }),
  told('node.confirmed', { survivors: z.int() }),
  told('node.unmasked', {}),
  told('node.declined', { reason: z.string() }),
  told('node.refused', { reason: z.string() }),
  told('node.failed', { reason: z.string() }),
  told('node.left', { reason: z.string() }),
  told('node.ended', { outcome: z.string() }),
  told('node.paid', { amount: text('micro-credits, as a decimal text'), receipt: text('a CIDv1') }),
])
