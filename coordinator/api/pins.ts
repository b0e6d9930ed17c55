import type { FastifyError } from 'fastify'
import { z } from 'zod'
import { canonicalCid } from '#protocol/pinning.ts'
import type { PinStatus } from '#protocol/ports.ts'
import type { Result } from '#protocol/result.ts'
import type { PinRefusal, StoredPin } from '../pins.ts'
import type { ApiDoors } from './doors.ts'
import { failureView, pinBody, pinResultsView, pinStatusView, pinsQuery } from './pin-schemas.ts'
import { inTime, notFound, Problem, problemOf } from './problems.ts'
import type { Routes } from './runs.ts'
import { checkUnbound } from './tenancy.ts'

/**
 * The IPFS Pinning Service API 1.0.0, so that any IPFS tool can pin a run here: `ipfs pin remote service add consilium
 * <url>/v1/pinning <API key>`. Its errors have its own shape.
 */
export function pinRoutes(routes: Routes, doors: ApiDoors): void {
  const { pins, clock, delegates } = doors
  const failures = { 400: failureView, 401: failureView, 404: failureView, 409: failureView, '5XX': failureView }
  const view = (pin: StoredPin) => viewOf(pin, delegates())

  routes.setErrorHandler((cause, request, reply) => {
    const problem = problemOf(cause as FastifyError | Problem)
    if (problem.status >= 500 && !problem.headers['retry-after']) request.log.error(cause)
    const reason = problem.status === 400 ? 'BAD_REQUEST' : problem.code.toUpperCase()
    void reply
      .code(problem.status)
      .headers(problem.headers)
      .type('application/json')
      .send(JSON.stringify({ error: { reason, details: problem.message.slice(0, 1000) } }))
  })

  // A pin is of no federation.
  routes.addHook('onRequest', async ({ caller }) => checkUnbound(caller))

  routes.get(
    '/v1/pinning/pins',
    {
      config: { scope: 'pins:read' },
      schema: {
        summary: 'Pins, the newest first',
        description:
          'Those of any status where one of cid, name, status and meta is asked for; else those that are pinned.',
        querystring: pinsQuery,
        response: { 200: pinResultsView, ...failures },
      },
    },
    async ({ query }) => {
      const found = await inTime(clock, pins.select(matcher(query)))
      return { count: found.length, results: found.slice(0, query.limit).map(view) }
    },
  )

  routes.post(
    '/v1/pinning/pins',
    {
      config: { scope: 'pins:write' },
      schema: { summary: 'Pin what is under a CID', body: pinBody, response: { 202: pinStatusView, ...failures } },
    },
    async ({ body }, reply) => reply.code(202).send(view(taken(await inTime(clock, pins.add(bodyOf(body)), MAYBE)))),
  )

  routes.get(
    '/v1/pinning/pins/:requestid',
    {
      config: { scope: 'pins:read' },
      schema: { summary: 'One pin', params: pinParams, response: { 200: pinStatusView, ...failures } },
    },
    async ({ params }) => {
      const pin = await inTime(clock, pins.get(params.requestid))
      if (!pin) throw notFound('pin', params.requestid)
      return view(pin)
    },
  )

  routes.post(
    '/v1/pinning/pins/:requestid',
    {
      config: { scope: 'pins:write' },
      schema: {
        summary: 'Put a pin in the place of another',
        description: 'It has a requestid of its own; the other one is gone when it is there, and not before.',
        params: pinParams,
        body: pinBody,
        response: { 202: pinStatusView, ...failures },
      },
    },
    async ({ params, body }, reply) =>
      reply.code(202).send(view(taken(await inTime(clock, pins.add(bodyOf(body), params.requestid), MAYBE)))),
  )

  routes.delete(
    '/v1/pinning/pins/:requestid',
    {
      config: { scope: 'pins:write' },
      schema: { summary: 'Let a pin go', params: pinParams, response: { 202: z.undefined(), ...failures } },
    },
    async ({ params }, reply) => {
      if (!(await inTime(clock, pins.remove(params.requestid), MAYBE))) throw notFound('pin', params.requestid)
      return reply.code(202).send()
    },
  )
}

const pinParams = z.object({ requestid: z.string().max(100) })
const MAYBE = 'it may still be taken: ask for the pins of this CID before it is sent again'

/** The default is not a filter but what there is without one: whoever pages without any goes on with the same ones. */
function matcher({ cid, name, match, status, meta, before, after }: z.output<typeof pinsQuery>) {
  const cids = cid && new Set(cid.map(canonicalCid))
  const statuses = new Set<PinStatus>(status ?? (cid || name !== undefined || meta ? [] : ['pinned']))
  const isNamed = name === undefined ? undefined : matching(match, name)
  return (pin: StoredPin): boolean =>
    (before === undefined || pin.created < before) &&
    (after === undefined || pin.created > after) &&
    (statuses.size === 0 || statuses.has(pin.status)) &&
    (!cids || cids.has(canonicalCid(pin.cid))) &&
    (!isNamed || (pin.name !== null && isNamed(pin.name))) &&
    (!meta || Object.entries(meta).every(([note, text]) => pin.meta[note] === text))
}

function matching(match: z.output<typeof pinsQuery>['match'], wanted: string): (name: string) => boolean {
  const lower = wanted.toLowerCase()
  switch (match) {
    case 'exact':
      return (name) => name === wanted
    case 'iexact':
      return (name) => name.toLowerCase() === lower
    case 'partial':
      return (name) => name.includes(wanted)
    case 'ipartial':
      return (name) => name.toLowerCase().includes(lower)
  }
}

function bodyOf({ cid, name, origins = [], meta = {} }: z.output<typeof pinBody>) {
  return { cid, name: name ?? null, origins, meta }
}

function taken(added: Result<StoredPin, PinRefusal>): StoredPin {
  if (added.ok) return added.value
  const detail = added.detail ?? 'there is no such pin'
  if (added.refusal === 'no-pin') throw new Problem(404, 'not_found', 'Not found', detail)
  if (added.refusal === 'too-large') throw new Problem(400, 'bad_request', 'Too large', detail)
  throw new Problem(409, 'insufficient_funds', 'No more pins are taken', detail)
}

function viewOf({ id, created, status, reason, cid, name, origins, meta }: StoredPin, delegates: readonly string[]) {
  return {
    ...{ requestid: id, status, created: new Date(created).toISOString(), delegates: [...delegates] },
    pin: { cid, ...(name !== null && { name }), origins: [...origins], meta },
    ...(reason !== null && { info: { reason } }),
  }
}
