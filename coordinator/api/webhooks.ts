import { z } from 'zod'
import { parseRunId, type RunId } from '#protocol/ids.ts'
import { Places, type PlacesRule } from '#protocol/places.ts'
import type { Delivery, Notifier } from '../notifier.ts'
import type { WebhookTransport } from '../transports/webhooks.ts'
import type { SecretOf } from '../webhook-signature.ts'
import type { Endpoint, EndpointChange, Webhooks } from '../webhooks.ts'
import { type Caller, sees } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { etagOf, ifMatch, preconditionFailed, tagged } from './etag.ts'
import { idempotencyHeaders, keyReused, markReplayed, onceOf } from './idempotency.ts'
import { pageIn } from './paging.ts'
import { inTime, later, notFound, Problem } from './problems.ts'
import { pageQuery, problems, type Routes } from './runs.ts'
import { page, problemView } from './schemas.ts'
import { tenantOf } from './tenancy.ts'
import { timeOf } from './views.ts'
import {
  changeEndpointSchema,
  createEndpointSchema,
  deliveryView,
  endpointView,
  endpointWithSecretView,
  rotateSecretSchema,
} from './webhook-schemas.ts'

export type WebhookDoors = {
  readonly webhooks: Webhooks
  readonly notifier: Notifier
  readonly mistakeIn: WebhookTransport['mistakeIn']
  readonly secretOf: SecretOf
}

const params = z.object({ id: z.string().max(100) })
/** Messages that are sent by hand, at a time: each waits up to ten seconds for somebody else's host. */
const SENDING: PlacesRule = { total: 32, each: 8 }
const scoped = { config: { scope: 'webhooks:admin' } } as const

/** Who else is told of what happens. */
export function webhookRoutes(
  routes: Routes,
  doors: ApiDoors,
  { webhooks, notifier, mistakeIn, secretOf }: WebhookDoors,
): void {
  const { clock, runner, closing } = doors
  const places = new Places(SENDING)
  const placeFor = (caller: Caller): Disposable => {
    const place = places.take(tenantOf(caller))
    if (place) return place
    throw later(429, 'too_many_messages', 'so many are being sent by hand already')
  }

  /** Of another tenant there is none. */
  const find = async (id: string, caller: Caller): Promise<Endpoint> => {
    const endpoint = await inTime(clock, webhooks.get(id))
    if (!endpoint || !sees(caller, endpoint.federation)) throw notFound('endpoint', id)
    return endpoint
  }
  const check = (url: string | undefined, caller: Caller) => {
    if (url === undefined) return
    // Whoever chooses where events go reads them there.
    if (!caller.scopes.has('runs:read'))
      throw new Problem(
        403,
        'insufficient_scope',
        'This key is not for that',
        'a key with the scope runs:read is needed',
      )
    const mistake = mistakeIn(url)
    if (mistake)
      throw new Problem(422, 'bad_webhook_url', 'Nothing is sent there', `the address ${mistake}`, {
        errors: [{ pointer: '/url', message: mistake }],
      })
  }

  routes.get(
    '/v1/webhook-endpoints',
    {
      ...scoped,
      schema: {
        summary: 'Webhook endpoints, the oldest first',
        querystring: pageQuery,
        response: { 200: page(endpointView), ...problems },
      },
    },
    async ({ query, caller }) => {
      const all = await inTime(clock, webhooks.all())
      const seen = all.filter((one) => sees(caller, one.federation))
      return pageIn(seen, query, { keyOf: ({ id }) => id, newestFirst: false }, viewOf)
    },
  )

  routes.post(
    '/v1/webhook-endpoints',
    {
      ...scoped,
      schema: {
        summary: 'Tell an address of events',
        description:
          'Signed after Standard Webhooks; an event is one message under one webhook-id, in the order of its run, and again for a day until it is answered with 2xx.',
        headers: idempotencyHeaders,
        body: createEndpointSchema,
        response: { 201: endpointWithSecretView, ...problems },
      },
    },
    async (request, reply) => {
      const { body, caller } = request
      check(body.url, caller)
      const wanted = { ...body, federation: caller.federation }
      const made = await inTime(clock, webhooks.add(wanted, onceOf(request)), MAYBE)
      if (!made.ok && made.refusal === 'key-reused') throw keyReused()
      if (!made.ok) throw new Problem(409, 'too_many_endpoints', 'There are enough', made.detail ?? made.refusal)
      const { endpoint, isReplayed } = made.value
      if (isReplayed) markReplayed(reply)
      const view = viewOf(endpoint)
      return reply
        .code(201)
        .headers({ location: `/v1/webhook-endpoints/${endpoint.id}`, etag: etagOf(view) })
        .send({ ...view, secret: secretOf(endpoint.id, 0) })
    },
  )

  routes.get(
    '/v1/webhook-endpoints/:id',
    {
      ...scoped,
      schema: { summary: 'One endpoint', params, response: { 200: endpointView, 304: z.undefined(), ...problems } },
    },
    async (request, reply) => tagged(request, reply, viewOf(await find(request.params.id, request.caller))),
  )

  routes.patch(
    '/v1/webhook-endpoints/:id',
    {
      ...scoped,
      schema: {
        summary: 'Change an endpoint, or switch it off and on',
        params,
        body: changeEndpointSchema,
        response: { 200: endpointView, ...problems, 412: problemView },
      },
    },
    async (request, reply) => {
      const { body, caller } = request
      const { id } = await find(request.params.id, caller)
      check(body.url, caller)
      const change = Object.fromEntries(
        Object.entries(body).filter(([, value]) => value !== undefined),
      ) as EndpointChange
      const isMet = ifMatch(request)
      const changed = await inTime(
        clock,
        webhooks.change(id, change, (standing) => isMet(viewOf(standing))),
      )
      if (changed === 'stale') throw preconditionFailed()
      if (changed === 'too-many') throw changedTooOften()
      if (!changed) throw notFound('endpoint', id)
      const view = viewOf(changed)
      return reply.header('etag', etagOf(view)).send(view)
    },
  )

  routes.post(
    '/v1/webhook-endpoints/:id/rotate-secret',
    {
      ...scoped,
      schema: {
        summary: 'Make another secret for an endpoint',
        description:
          'Until the overlap ends each message has a signature by the new secret and one by the old, so that a receiver can change over without missing any. With 0 what has leaked is good for nothing at once.',
        headers: idempotencyHeaders,
        params,
        body: rotateSecretSchema,
        response: { 200: endpointWithSecretView, ...problems, 412: problemView },
      },
    },
    async (request, reply) => {
      const { body, caller } = request
      const { id } = await find(request.params.id, caller)
      const isMet = ifMatch(request)
      const rotating = webhooks.rotate(id, 1000 * body.overlapSeconds, onceOf(request), (one) => isMet(viewOf(one)))
      const rotated = await inTime(clock, rotating, MAYBE)
      if (!rotated.ok) throw refusedRotation(rotated.refusal, id)
      const { endpoint, version, isReplayed } = rotated.value
      if (isReplayed) markReplayed(reply)
      const view = viewOf(endpoint)
      return reply.header('etag', etagOf(view)).send({ ...view, secret: secretOf(id, version) })
    },
  )

  routes.delete(
    '/v1/webhook-endpoints/:id',
    { ...scoped, schema: { summary: 'Tell it nothing more', params, response: { 204: z.null(), ...problems } } },
    async ({ params: { id }, caller }, reply) => {
      await find(id, caller)
      await inTime(clock, webhooks.remove(id))
      return reply.code(204).send(null)
    },
  )

  routes.get(
    '/v1/webhook-endpoints/:id/deliveries',
    {
      ...scoped,
      schema: {
        summary: 'The latest tries, the newest first',
        description: 'At most a hundred, of the process that is asked, since it began.',
        params,
        querystring: pageQuery,
        response: { 200: page(deliveryView), ...problems },
      },
    },
    async ({ params: { id }, query, caller }) => {
      const all = notifier.deliveries((await find(id, caller)).id)
      return pageIn(all, query, { keyOf: cursorOf, newestFirst: true }, deliveryOf)
    },
  )

  routes.post(
    '/v1/webhook-endpoints/:id/deliveries/:delivery/redeliver',
    {
      ...scoped,
      schema: {
        summary: 'Send one message again, now',
        params: params.extend({ delivery: z.string().max(100) }),
        response: { 200: deliveryView, ...problems },
      },
    },
    async ({ params: { id, delivery }, caller }) => {
      const endpoint = await find(id, caller)
      const { run: name, position } = placeOf(delivery) ?? {}
      const run = name && runner.run(name)
      if (
        !run ||
        !sees(endpoint, run.spec.federation) ||
        position === undefined ||
        position >= runner.position(run.spec.run)
      )
        throw notFound('message', delivery)
      using _ = placeFor(caller)
      const again = await notifier.redeliver(endpoint, run, position, closing)
      if (!again) throw notFound('message', delivery)
      return deliveryOf(again)
    },
  )

  routes.post(
    '/v1/webhook-endpoints/:id/test',
    {
      ...scoped,
      schema: { summary: 'Send a message about nothing, now', params, response: { 200: deliveryView, ...problems } },
    },
    async ({ params: { id }, caller, id: request }) => {
      using _ = placeFor(caller)
      return deliveryOf(await notifier.test(await find(id, caller), `msg_test_${request}`, closing))
    },
  )
}

function changedTooOften(): Problem {
  return new Problem(409, 'too_many_endpoints', 'There are enough', 'it was changed too often: it can be taken away')
}

function refusedRotation(
  refusal: 'no-endpoint' | 'stale' | 'too-many' | 'too-many-secrets' | 'key-reused',
  id: string,
): Problem {
  switch (refusal) {
    case 'no-endpoint':
      return notFound('endpoint', id)
    case 'stale':
      return preconditionFailed()
    case 'key-reused':
      return keyReused()
    case 'too-many':
      return changedTooOften()
    case 'too-many-secrets': {
      const what = 'several old ones are good still: wait until one is over, or ask for a shorter overlap'
      return new Problem(409, 'too_many_secrets', 'It has so many secrets already', what)
    }
  }
}

const MAYBE = 'it may still be made: send it again under the same Idempotency-Key, which makes it once'

/** The place of an event, as the message's name has it. */
function placeOf(message: string): { readonly run: RunId; readonly position: number } | undefined {
  const [, run = '', position = ''] = /^msg_([0-9A-Z]{26})_(\d{1,7})$/.exec(message) ?? []
  const id = parseRunId(`run_${run}`)
  return id.ok ? { run: id.value, position: Number(position) } : undefined
}

function viewOf({
  id,
  url,
  events,
  description,
  enabled,
  createdAt,
  updatedAt,
  secrets,
  gaveUp,
}: Endpoint): z.output<typeof endpointView> {
  return {
    ...{ id, url, events: [...events], description, enabled },
    ...{ created_at: timeOf(createdAt), updated_at: timeOf(updatedAt) },
    old_secret_until: secrets[1]?.until ? timeOf(secrets[1].until) : null,
    gave_up: gaveUp && { at: timeOf(gaveUp.at), run: gaveUp.run, seq: gaveUp.position, reason: gaveUp.reason },
  }
}

/** In the order of the places: what comes in between two pages moves nothing of the second. */
function cursorOf({ place }: Delivery): string {
  return String(place).padStart(16, '0')
}

function deliveryOf({ place: _, at, elapsedMillis, ...delivery }: Delivery): z.output<typeof deliveryView> {
  return { ...delivery, at: timeOf(at), elapsed_ms: Math.max(0, Math.round(elapsedMillis)) }
}
