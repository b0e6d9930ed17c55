import { ulid } from 'ulid'
import { z } from 'zod'
import { type FederationId, type Millis, parseFederationId, parseNodeId } from '#protocol/ids.ts'
import type { Result } from '#protocol/result.ts'
import type { Invite, Member } from '../federation-events.ts'
import type { Federation, FederationRefusal } from '../federations.ts'
import { type Caller, sees } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { etagOf, ifMatch, preconditionFailed, tagged } from './etag.ts'
import {
  addMemberSchema,
  amendFederationSchema,
  createFederationSchema,
  createInviteSchema,
  federationView,
  inviteView,
  inviteWithCodeView,
  memberView,
} from './federation-schemas.ts'
import { idempotencyHeaders, keyReused, markReplayed, onceOf } from './idempotency.ts'
import { byKey, pageIn } from './paging.ts'
import { inTime, notFound, Problem } from './problems.ts'
import { pageQuery, problems, type Routes } from './runs.ts'
import { page, problemView } from './schemas.ts'
import { checkUnbound } from './tenancy.ts'
import { timeOf } from './views.ts'

const federationParams = z.object({ id: z.string().max(100) })
const INVITE_MILLIS: Millis = 14 * 86_400_000

/** Federations: who is a member, and who is asked in. To a key of one the others are not there. */
export function federationRoutes(routes: Routes, doors: ApiDoors): void {
  const { federations, clock, presence, runner } = doors
  const read = { config: { scope: 'federations:read' } } as const
  const admin = { config: { scope: 'federations:admin' } } as const

  const findFederation = async (caller: Caller, text: string): Promise<Federation> => {
    const id = parseFederationId(text)
    const known = id.ok && sees(caller, id.value) ? await inTime(clock, federations.get(id.value)) : undefined
    if (!known) throw notFound('federation', text)
    return known
  }
  const linkedNodes = async () => new Set(await inTime(clock, presence.nodes()))

  routes.get(
    '/v1/federations',
    {
      ...read,
      schema: {
        summary: 'Federations, the newest first',
        querystring: pageQuery,
        response: { 200: page(federationView), ...problems },
      },
    },
    async ({ caller, query }) => {
      const all = (await inTime(clock, federations.all())).filter(({ id }) => sees(caller, id))
      const sorted = all.toSorted(byKey(({ id }) => id)).reverse()
      return pageIn(sorted, query, { keyOf: ({ id }) => id, newestFirst: true }, federationOf)
    },
  )

  routes.post(
    '/v1/federations',
    {
      ...admin,
      schema: {
        summary: 'Found a federation',
        description: REPEATS,
        headers: idempotencyHeaders,
        body: createFederationSchema,
        response: { 201: federationView, ...problems },
      },
    },
    async (request, reply) => {
      checkUnbound(request.caller)
      const id = `fed_${ulid(clock.now())}` as FederationId
      const founding = federations.found(id, request.body, onceOf(request))
      const { made, isReplayed } = taken(await inTime(clock, founding, MAYBE), id)
      if (isReplayed) markReplayed(reply)
      return reply.code(201).header('location', `/v1/federations/${made.id}`).send(federationOf(made))
    },
  )

  routes.get(
    '/v1/federations/:id',
    {
      ...read,
      schema: {
        summary: 'One federation',
        params: federationParams,
        response: { 200: federationView, 304: z.undefined(), ...problems },
      },
    },
    async (request, reply) =>
      tagged(request, reply, federationOf(await findFederation(request.caller, request.params.id))),
  )

  routes.patch(
    '/v1/federations/:id',
    {
      ...admin,
      schema: {
        summary: 'Rename or describe a federation',
        description: 'With If-Match only where nobody has changed it since.',
        params: federationParams,
        body: amendFederationSchema,
        response: { 200: federationView, ...problems, 412: problemView },
      },
    },
    async (request, reply) => {
      const { id } = await findFederation(request.caller, request.params.id)
      const isMet = ifMatch(request)
      const amending = federations.amend(id, definedIn(request.body), (known) => isMet(federationOf(known)))
      const view = federationOf(taken(await inTime(clock, amending, MAYBE), id))
      return reply.header('etag', etagOf(view)).send(view)
    },
  )

  routes.delete(
    '/v1/federations/:id',
    {
      ...admin,
      schema: {
        summary: 'Dissolve a federation, with its members and invites',
        description: 'Not while it has a run that has not ended.',
        params: federationParams,
        response: { 204: z.undefined(), ...problems },
      },
    },
    async ({ caller, params }, reply) => {
      const { id } = await findFederation(caller, params.id)
      const open = runner.runs().filter(({ spec, phase }) => spec.federation === id && phase !== 'ended').length
      if (open > 0)
        throw new Problem(409, 'federation_in_use', 'The federation has runs', `${open} of its runs have not ended`)
      taken(await inTime(clock, federations.dissolve(id), MAYBE), id)
      return reply.code(204).send()
    },
  )

  routes.get(
    '/v1/federations/:id/members',
    {
      ...read,
      schema: {
        summary: 'Its members by their ids',
        params: federationParams,
        querystring: pageQuery,
        response: { 200: page(memberView), ...problems },
      },
    },
    async ({ caller, params, query }) => {
      const { id } = await findFederation(caller, params.id)
      const members = (await inTime(clock, federations.members(id))) ?? []
      const linked = await linkedNodes()
      const order = { keyOf: ({ node }: Member) => node, newestFirst: false }
      return pageIn(members, query, order, (member) => memberOf(member, linked.has(member.node)))
    },
  )

  routes.post(
    '/v1/federations/:id/members',
    {
      ...admin,
      schema: {
        summary: 'Make a node a member, or say whose it is',
        description: 'A key of a federation says whose its members are; it makes a node one by an invite alone.',
        params: federationParams,
        body: addMemberSchema,
        response: { 201: memberView, ...problems },
      },
    },
    async ({ caller, params, body: { node, operator } }, reply) => {
      const { id } = await findFederation(caller, params.id)
      // Its members are shown to a tenant: whoever knew a node's id could else read what it says of itself and of its data.
      if (caller.federation !== null && (await inTime(clock, federations.among(id, [node]))).length === 0)
        throw new Problem(403, 'invite_needed', 'A node comes by its own word', 'ask it in: it takes an invite itself')
      const member = taken(await inTime(clock, federations.add(id, node, operator), MAYBE), id)
      return reply.code(201).send(memberOf(member, await inTime(clock, presence.has(node))))
    },
  )

  routes.delete(
    '/v1/federations/:id/members/:node',
    {
      ...admin,
      schema: {
        summary: 'Let a node be no member any more',
        description: 'It is invited to no further round; a seat that it has it keeps until the round is over.',
        params: federationParams.extend({ node: z.string().max(100) }),
        response: { 204: z.undefined(), ...problems },
      },
    },
    async ({ caller, params }, reply) => {
      const { id } = await findFederation(caller, params.id)
      const node = parseNodeId(params.node)
      if (!node.ok) throw notFound('member', params.node)
      taken(await inTime(clock, federations.remove(id, node.value), MAYBE), params.node)
      return reply.code(204).send()
    },
  )

  routes.get(
    '/v1/federations/:id/invites',
    {
      ...read,
      schema: {
        summary: 'Its invites, the newest first',
        params: federationParams,
        querystring: pageQuery,
        response: { 200: page(inviteView), ...problems },
      },
    },
    async ({ caller, params, query }) => {
      const { id } = await findFederation(caller, params.id)
      const invites = ((await inTime(clock, federations.invites(id))) ?? []).toSorted(byKey((one) => one.id)).reverse()
      return pageIn(invites, query, { keyOf: (one) => one.id, newestFirst: true }, inviteOf)
    },
  )

  routes.post(
    '/v1/federations/:id/invites',
    {
      ...admin,
      schema: {
        summary: 'Make a code by which nodes become members',
        description: `The code is in this answer and nowhere else. ${REPEATS}`,
        headers: idempotencyHeaders,
        params: federationParams,
        body: createInviteSchema,
        response: { 201: inviteWithCodeView, ...problems },
      },
    },
    async (request, reply) => {
      const { operator, uses, expiresAt } = request.body
      const { id } = await findFederation(request.caller, request.params.id)
      const now = clock.now()
      const until = expiresAt === undefined ? now + INVITE_MILLIS : expiresAt === null ? null : Date.parse(expiresAt)
      if (until !== null && until <= now)
        throw new Problem(422, 'invalid_invite', 'This invite cannot be made', 'expiresAt is in the past', {
          errors: [{ pointer: '/expiresAt', message: 'must be in the future' }],
        })
      const terms = { invite: `inv_${ulid(now)}`, operator, uses, expiresAt: until }
      const inviting = federations.invite(id, terms, onceOf(request))
      const { made, isReplayed, code } = taken(await inTime(clock, inviting, MAYBE), id)
      if (isReplayed) markReplayed(reply)
      return reply.code(201).send({ ...inviteOf(made), code })
    },
  )

  routes.delete(
    '/v1/federations/:id/invites/:invite',
    {
      ...admin,
      schema: {
        summary: 'Withdraw an invite',
        description: 'Whoever has taken it stays a member.',
        params: federationParams.extend({ invite: z.string().max(100) }),
        response: { 204: z.undefined(), ...problems },
      },
    },
    async ({ caller, params }, reply) => {
      const { id } = await findFederation(caller, params.id)
      taken(await inTime(clock, federations.revoke(id, params.invite), MAYBE), params.invite)
      return reply.code(204).send()
    },
  )
}

const REPEATS = 'Under an Idempotency-Key a repeat answers what the first one did, and makes nothing more.'
const MAYBE = 'it may still be done: look at the list before it is sent again'

/** @param id of what was not there */
function taken<T>(made: Result<T, FederationRefusal>, id: string): T {
  if (made.ok) return made.value
  const { refusal, detail = refusal } = made
  switch (refusal) {
    case 'no-federation':
      throw notFound('federation', id)
    case 'no-member':
      throw notFound('member', id)
    case 'no-invite':
      throw notFound('invite', id)
    case 'another-version':
      throw preconditionFailed()
    case 'key-reused':
      throw keyReused()
    case 'too-many':
      throw new Problem(409, 'too_many', 'No more are taken', detail)
  }
}

function definedIn({ name, description }: z.output<typeof amendFederationSchema>) {
  return { ...(name !== undefined && { name }), ...(description !== undefined && { description }) }
}

function federationOf({ id, name, description, members, createdAt, updatedAt }: Federation) {
  return { id, name, description, members, created_at: timeOf(createdAt), updated_at: timeOf(updatedAt) }
}

function memberOf({ node, operator, joinedAt, via }: Member, linked: boolean) {
  return { node, operator, linked, joined_at: timeOf(joinedAt), via }
}

function inviteOf({ id, operator, uses, takers, createdAt, expiresAt, revokedAt }: Invite) {
  return {
    ...{ id, operator, uses_left: uses - takers.size, created_at: timeOf(createdAt) },
    expires_at: expiresAt === null ? null : timeOf(expiresAt),
    revoked_at: revokedAt === null ? null : timeOf(revokedAt),
  }
}
