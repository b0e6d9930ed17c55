import { z } from 'zod'
import { healthOf } from '../provider-health.ts'
import { type Publication, publishedField, requestStatusField } from '../publications.ts'
import type { ApiDoors } from './doors.ts'
import { PROVIDER, PUBLICATION } from './examples.ts'
import { inTime } from './problems.ts'
import { problems, type Routes } from './runs.ts'
import { page } from './schemas.ts'
import { checkUnbound, runFilter } from './tenancy.ts'

export const publicationView = z
  .object({
    run: z.string(),
    what: publishedField.meta({
      description: 'record: with its vectors, while it may be verified; model and bundle: for good',
    }),
    cid: z.string(),
    published: z.boolean().meta({ description: 'as many providers have it pinned as the quorum is' }),
    at: z.array(
      z.object({
        provider: z.string(),
        request: z.string().meta({ description: "the provider's id of it" }),
        status: requestStatusField,
        requested_at: z.iso.datetime(),
      }),
    ),
  })
  .meta({ id: 'Publication', examples: [PUBLICATION] })

export const providerView = z
  .object({
    name: z.string(),
    state: z.enum(['ready', 'unauthorised', 'refused', 'unreachable']),
    detail: z.string().nullable(),
  })
  .meta({ id: 'Provider', examples: [PROVIDER] })

export const publicationsPage = page(publicationView)
  .extend({
    quorum: z
      .int()
      .meta({ description: 'providers that must have a thing before it counts as published; 0 without any' }),
  })
  .meta({ examples: [{ data: [PUBLICATION], has_more: false, next: null, quorum: 1 }] })

/** What of our runs other people's pinning services have, and whether those are there. */
export function publicationRoutes(routes: Routes, doors: ApiDoors): void {
  const { publications, providers, quorum } = doors.publishing

  routes.get(
    '/v1/publications',
    {
      config: { scope: 'pins:read' },
      schema: {
        summary: 'What is published at pinning services, the newest first',
        querystring: z.object({
          run: z.string().max(100).optional(),
          limit: z.coerce.number().int().min(1).max(1000).default(200),
        }),
        response: { 200: publicationsPage, ...problems },
      },
    },
    async ({ caller, query: { run, limit } }) => {
      const isThere = runFilter(doors, caller)
      const ours = await inTime(
        doors.clock,
        publications.select((one) => (run === undefined || one.run === run) && isThere(one.run)),
      )
      const things = new Map<string, Publication[]>()
      for (const one of ours.toReversed()) {
        const key = `${one.run} ${one.what} ${one.cid}`
        things.set(key, [...(things.get(key) ?? []), one])
      }
      const data = [...things.values()].slice(0, limit).map((requests) => viewOf(requests, quorum))
      return { data, has_more: things.size > limit, next: null, quorum }
    },
  )

  routes.get(
    '/v1/pin-providers',
    {
      config: { scope: 'pins:read' },
      schema: {
        summary: 'The pinning services that runs are published at, each asked now',
        response: { 200: page(providerView), ...problems },
      },
    },
    async ({ caller }) => {
      checkUnbound(caller)
      const data = await Promise.all(providers.map((provider) => healthOf(provider, doors.clock)))
      return { data, has_more: false, next: null }
    },
  )
}

function viewOf(requests: readonly Publication[], quorum: number): z.output<typeof publicationView> {
  const [{ run, what, cid }] = requests as readonly [Publication]
  const pinned = requests.filter(({ status }) => status === 'pinned').length
  return {
    ...{ run, what, cid, published: pinned >= quorum && quorum > 0 },
    at: requests.map(({ provider, request, status, at }) => {
      return { provider, request, status, requested_at: new Date(at).toISOString() }
    }),
  }
}
