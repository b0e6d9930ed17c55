import type { FastifyReply, FastifyRequest } from 'fastify'
import { ulid } from 'ulid'
import { z } from 'zod'
import { toHex } from '#protocol/bytes.ts'
import { Allowances } from '../allowances.ts'
import type { AuditEntry, AuditRecord } from '../audit.ts'
import { type Caller, mayCall, sees } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { isReplayed } from './idempotency.ts'
import { inTime } from './problems.ts'
import { pageQuery, problems, type Routes } from './runs.ts'
import { page, text, time } from './schemas.ts'
import { timeOf } from './views.ts'

/** What one caller is refused again and again is told of once a minute: he could fill the disk with it otherwise. */
const REFUSALS = { perSecond: 1 / 60, burst: 1 } as const

export const auditEventView = z
  .object({
    id: text('aud_ and a ULID'),
    time,
    actor: z.object({ id: z.string(), name: z.string() }).meta({ description: 'the key, as it was called then' }),
    action: z.string().meta({ description: 'method and route' }),
    target: z.string().nullable().meta({ description: 'the path of what was made or changed' }),
    status: z.int().meta({ description: 'of the answer; 403: the key had not the scope for it' }),
    request_id: z.string(),
    federation: z.string().nullable().meta({ description: 'the only one of the key, where it had one' }),
    seq: z.int().meta({ description: 'its place in the log, from 0' }),
    hash: text('SHA-256 of its entry in the log, by which the next one names it'),
    before: z
      .string()
      .nullable()
      .meta({ description: 'hash of the entry before; null of the first one, and of those of earlier versions' }),
  })
  .meta({
    id: 'AuditEvent',
    examples: [
      {
        ...{ id: 'aud_01KQ7ZV6S3W8M4N5P6Q7R8S9T0', time: '2026-11-22T09:31:04.120Z' },
        actor: { id: 'key_01KQ7ZT2B4C6D8E0F1G2H3J4K5', name: 'nightly' },
        ...{ action: 'POST /v1/runs/{id}/stop', target: '/v1/runs/run_01KQ7ZV0A1B2C3D4E5F6G7H8J9/stop', status: 200 },
        request_id: 'req_01KQ7ZV6S2T3V4W5X6Y7Z8A9B0',
        ...{ federation: null, seq: 41, hash: '7c'.repeat(32), before: 'e5'.repeat(32) },
      },
    ],
  })

/** What was changed through the API, and by whom. */
export function auditRoutes(routes: Routes, { audit, clock }: ApiDoors): void {
  routes.get(
    '/v1/audit-events',
    {
      config: { scope: 'audit:read' },
      schema: {
        summary: 'Changes through the API, and what keys were refused for want of a scope, the newest first',
        querystring: pageQuery.extend({ after: z.coerce.number().int().min(0).optional() }),
        response: { 200: page(auditEventView), ...problems },
      },
    },
    async ({ caller, query: { after, limit } }) => {
      const shows = ({ federation }: AuditEntry) => sees(caller, federation)
      const { data, next } = await inTime(clock, audit.page(after, limit, shows))
      return { data: data.map(viewOf), has_more: next !== null, next: next === null ? null : String(next) }
    },
  )
}

/**
 * Writes down what these routes did, before whoever asked is told of it; what changed nothing is left out, as what was
 * refused is but for want of a scope.
 */
export function auditing(routes: Routes, doors: Pick<ApiDoors, 'audit' | 'clock'>): void {
  const refusals = new Allowances(REFUSALS)
  routes.addHook('onSend', async (request, reply) => {
    // There is none where the key was no key.
    if (isRead(request) || !request.caller) return
    const isRefused = reply.statusCode === 403 && !mayCall(request)
    const isNews = isRefused
      ? refusals.take(`${request.caller.id} ${actionOf(request)}`, performance.now()).ok
      : reply.statusCode < 400 && !isReplayed(reply)
    if (isNews) await record(doors, request, reply, request.caller)
  })
}

/** The change stands, whatever becomes of its entry: a log that is away now is told of in ours. */
export async function record(
  { audit, clock }: Pick<ApiDoors, 'audit' | 'clock'>,
  request: FastifyRequest,
  reply: FastifyReply,
  { id, name, federation }: Caller,
): Promise<void> {
  const at = clock.now()
  const entry = { id: `aud_${ulid(at)}`, at, actor: { id, name }, federation, action: actionOf(request) }
  const added = audit.add({
    ...entry,
    ...{ target: targetOf(request, reply), status: reply.statusCode, request: request.id },
  })
  await inTime(clock, added).catch((err: unknown) => request.log.error({ err, entry }, 'the audit log lacks this'))
}

function isRead({ method, routeOptions }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD' || routeOptions.config.isQuestion === true
}

function actionOf({ method, routeOptions }: FastifyRequest): string {
  return `${method} ${routeOptions.url?.replace(/:(\w+)/g, '{$1}')}`
}

/** Of what was made its own path, which comes in the answer. */
function targetOf({ url, params }: FastifyRequest, reply: FastifyReply): string | null {
  const made = reply.getHeader('location')
  if (typeof made === 'string') return made.slice(0, 300)
  const named = Object.keys((params as object | undefined) ?? {}).length > 0
  return named ? (url.split('?')[0] as string).replace(KEY, 'ck_…').slice(0, 300) : null
}

/** Somebody may have taken a key for its id: what is written here is read by others. */
const KEY = /ck_\w{40,}/g

function viewOf({ id, at, actor, action, target, status, request, federation, position, hash, before }: AuditRecord) {
  return {
    ...{ id, time: timeOf(at), actor: { ...actor }, action, target, status, request_id: request, federation },
    ...{ seq: position, hash: toHex(hash), before: before ? toHex(before) : null },
  }
}
