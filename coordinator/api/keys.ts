import { z } from 'zod'
import { nameField } from '#protocol/codec.ts'
import type { ApiKey, ApiKeys } from '../api-keys.ts'
import { type Caller, SCOPES, sees } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { ifMatch, preconditionFailed, tagged } from './etag.ts'
import { idempotencyHeaders, keyReused, markReplayed, onceOf } from './idempotency.ts'
import { byKey, pageIn } from './paging.ts'
import { inTime, notFound, Problem } from './problems.ts'
import { pageQuery, problems, type Routes } from './runs.ts'
import { federationId, page, problemView, text, time } from './schemas.ts'
import { timeOf } from './views.ts'

const scopesField = z.array(z.enum(SCOPES)).meta({ description: 'what it is for; docs/api.md has them all' })
const EXAMPLE = { name: 'nightly', scopes: ['runs:read', 'runs:write'], federation: null }
const KEY_EXAMPLE = {
  ...{ id: 'key_01KQ7ZT2B4C6D8E0F1G2H3J4K5', ...EXAMPLE, created_at: '2026-11-22T09:30:00.000Z' },
  ...{ expires_at: '2027-02-22T00:00:00.000Z', revoked_at: null, last_used_at: null },
}

export const createKeySchema = z
  .strictObject({
    name: nameField.meta({ description: 'who or what has it' }),
    scopes: scopesField.min(1, 'must be at least one').max(SCOPES.length),
    federation: federationId
      .nullable()
      .default(null)
      .meta({ description: 'the only federation that exists for this key; all of them where it is null' }),
    expiresAt: z.iso
      .datetime({ offset: true })
      .nullable()
      .default(null)
      .meta({ description: 'RFC 3339; never where it is null' }),
  })
  .meta({ id: 'CreateApiKey', examples: [{ ...EXAMPLE, expiresAt: '2027-02-22T00:00:00Z' }] })

export const apiKeyView = z
  .object({
    id: text('key_ and a ULID'),
    name: z.string(),
    scopes: z.array(z.string()),
    federation: z.string().nullable(),
    created_at: time,
    expires_at: time.nullable(),
    revoked_at: time.nullable(),
    last_used_at: time.nullable().meta({ description: 'to the day: the first use in 24 hours' }),
  })
  .meta({ id: 'ApiKey', examples: [KEY_EXAMPLE] })

export const madeKeyView = apiKeyView
  .extend({ key: text('shown in this answer alone: its SHA-256 is all that is kept') })
  .meta({
    id: 'MadeApiKey',
    examples: [{ ...KEY_EXAMPLE, key: `ck_live_${KEY_EXAMPLE.id}_${'0123456789abcdef'.repeat(3)}9a0b1c2d` }],
  })

export const whoamiView = z
  .object({
    id: text("of the key; root is that in the coordinator's own folder"),
    name: z.string(),
    scopes: z.array(z.string()),
    federation: z.string().nullable(),
    expires_at: time.nullable(),
  })
  .meta({ id: 'Whoami', examples: [{ id: KEY_EXAMPLE.id, ...EXAMPLE, expires_at: KEY_EXAMPLE.expires_at }] })

const keyParams = z.object({ id: z.string().max(100) })
const changed = { ...problems, 412: problemView }

/** Keys: whoever may make them gives no more than it has itself, and sees no others than those of its federation. */
export function keyRoutes(routes: Routes, { keys, clock }: ApiDoors): void {
  routes.get(
    '/v1/whoami',
    {
      config: { scope: 'any' },
      schema: { summary: 'The key that this request came with', response: { 200: whoamiView, ...problems } },
    },
    async ({ caller }) => whoamiOf(caller),
  )

  routes.get(
    '/v1/api-keys',
    {
      config: { scope: 'keys:admin' },
      schema: {
        summary: 'Keys, the newest first, also those that are no longer good',
        querystring: pageQuery,
        response: { 200: page(apiKeyView), ...problems },
      },
    },
    async ({ caller, query }) => {
      const found = await inTime(
        clock,
        keys.select(({ federation }) => sees(caller, federation)),
      )
      return pageIn(found.toSorted(byKey(idOf)).reverse(), query, { keyOf: idOf, newestFirst: true }, viewOf)
    },
  )

  routes.post(
    '/v1/api-keys',
    {
      config: { scope: 'keys:admin' },
      schema: {
        summary: 'Make a key',
        description: 'Under an Idempotency-Key a repeat answers the same key instead of making another.',
        headers: idempotencyHeaders,
        body: createKeySchema,
        response: { 201: madeKeyView, ...problems },
      },
    },
    async (request, reply) => {
      const { caller, body } = request
      checkGrant(caller, body)
      const expiresAt = body.expiresAt === null ? null : Date.parse(body.expiresAt)
      const wanted = { ...body, scopes: [...new Set(body.scopes)], expiresAt }
      const made = await inTime(clock, keys.create(wanted, onceOf(request)), MAYBE)
      if (!made.ok) throw refused(made)
      const { key, text: secret, isReplayed } = made.value
      if (isReplayed) markReplayed(reply)
      return reply
        .code(201)
        .header('location', `/v1/api-keys/${key.id}`)
        .send({ ...viewOf(key), key: secret })
    },
  )

  const find = async (caller: Caller, id: string): Promise<ApiKey> => {
    const key = await inTime(clock, keys.get(id))
    if (!key || !sees(caller, key.federation)) throw notFound('key', id)
    return key
  }

  routes.get(
    '/v1/api-keys/:id',
    {
      config: { scope: 'keys:admin' },
      schema: { summary: 'One key', params: keyParams, response: { 200: apiKeyView, 304: z.undefined(), ...problems } },
    },
    async (request, reply) => tagged(request, reply, viewOf(await find(request.caller, request.params.id))),
  )

  routes.delete(
    '/v1/api-keys/:id',
    {
      config: { scope: 'keys:admin' },
      schema: {
        summary: 'Revoke a key',
        description: 'It is good no more, at any process, and browsers that signed in with it are signed out.',
        params: keyParams,
        response: { 200: apiKeyView, ...changed },
      },
    },
    async (request) => {
      const { id } = await find(request.caller, request.params.id)
      const isMet = ifMatch(request)
      const revoked = await inTime(
        clock,
        keys.revoke(id, (key) => isMet(viewOf(key))),
      )
      if (revoked === 'stale') throw preconditionFailed()
      if (!revoked) throw notFound('key', id)
      return viewOf(revoked)
    },
  )
}

const idOf = ({ id }: ApiKey) => id

/** Who could give what he has not would soon have it. */
function checkGrant(caller: Caller, { scopes, federation, expiresAt }: z.output<typeof createKeySchema>): void {
  const lacking = scopes.filter((scope) => !caller.scopes.has(scope))
  if (lacking.length > 0) throw notYours('/scopes', `this key itself has not ${lacking.join(', ')}`)
  if (!sees(caller, federation)) throw notYours('/federation', `this key is for ${caller.federation} alone`)
  const until = caller.expiresAt
  if (until !== null && (expiresAt === null || Date.parse(expiresAt) > until))
    throw notYours('/expiresAt', `this key is good until ${timeOf(until)}`)
}

function notYours(pointer: string, message: string): Problem {
  const errors = [{ pointer, message }]
  return new Problem(403, 'beyond_own_key', 'A key gives no more than it has', message, { errors })
}

function refused({ refusal, detail }: Refused): Problem {
  switch (refusal) {
    case 'key-reused':
      return keyReused()
    case 'expired': {
      const errors = [{ pointer: '/expiresAt', message: 'is past' }]
      return new Problem(422, 'invalid_key', 'This key cannot be made', '/expiresAt is past', { errors })
    }
    case 'too-many-keys':
      return new Problem(409, 'too_many_keys', 'No more keys are made', detail ?? refusal)
  }
}
type Refused = Extract<Awaited<ReturnType<ApiKeys['create']>>, { ok: false }>

export function whoamiOf({ id, name, scopes, federation, expiresAt }: Caller): z.output<typeof whoamiView> {
  return { ...{ id, name, scopes: [...scopes], federation }, expires_at: expiresAt === null ? null : timeOf(expiresAt) }
}

function viewOf(key: ApiKey): z.output<typeof apiKeyView> {
  const { id, name, scopes, federation, createdAt, expiresAt, revokedAt, usedAt } = key
  const when = (at: number | null) => (at === null ? null : timeOf(at))
  return {
    ...{ id, name, scopes: [...scopes], federation, created_at: timeOf(createdAt) },
    ...{ expires_at: when(expiresAt), revoked_at: when(revokedAt), last_used_at: when(usedAt) },
  }
}

const MAYBE = 'it may still be made: look at the list, or send it again under an Idempotency-Key'
