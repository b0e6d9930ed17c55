import { z } from 'zod'
import { CAPABILITY_MILLIS_MAX } from '#protocol/capability.ts'
import { type Millis, type NodeId, parseNodeId } from '#protocol/ids.ts'
import type { ReferenceModel } from '#protocol/reference-models.ts'
import { type Capable, type Check, isStale, standingOf, standingOfAll } from '../capabilities.ts'
import type { Pace } from '../paces.ts'
import type { Caller } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { markReplayed } from './idempotency.ts'
import { type checkView, nodeView, nodeWithHistoryView } from './node-views.ts'
import { pageIn } from './paging.ts'
import { inTime, notFound, Problem } from './problems.ts'
import { pageQuery, problems, type Routes } from './runs.ts'
import { page } from './schemas.ts'
import { checkUnbound, nodesOf, operatorsFor, runFilter } from './tenancy.ts'
import { timeOf } from './views.ts'

type NodeView = z.output<typeof nodeView>

/** The nodes: which are linked, what they say that they can do, and what came of testing it. */
export function nodeRoutes(routes: Routes, doors: ApiDoors): void {
  const { clock, presence, capabilities, paces, drains } = doors

  /** A node that somebody has heard of. @throws {Problem} 403 for a key of a federation, 404 */
  const find = async (caller: Caller, text: string): Promise<Omit<About, 'drainedAt'> & { readonly id: NodeId }> => {
    checkUnbound(caller)
    const parsed = parseNodeId(text)
    if (!parsed.ok) throw notFound('node', text)
    const id = parsed.value
    const [known, linked] = await inTime(clock, Promise.all([capabilities.get(id), presence.has(id)]))
    const isHeard = known !== undefined || linked || paces.of(id).length > 0
    if (!isHeard && !(await inTime(clock, drains.has(id)))) throw notFound('node', text)
    return { id, linked, known, operator: (await operatorsFor(doors, caller))(id) }
  }

  routes.get(
    '/v1/nodes',
    {
      config: { scope: 'nodes:read' },
      schema: {
        summary: 'Nodes by their ids',
        querystring: pageQuery.extend({
          which: z
            .enum(['linked', 'known'])
            .default('linked')
            .meta({ description: 'known: those as well that are away and have said what they can do, or are drained' }),
        }),
        response: { 200: page(nodeView), ...problems },
      },
    },
    async ({ caller, query: { which, ...query } }) => {
      const linked = new Set(await inTime(clock, presence.nodes()))
      const capable = await inTime(
        clock,
        capabilities.select((one) => which === 'known' || linked.has(one.node)),
      )
      const known = new Map(capable.map((one) => [one.node, one]))
      const drained = await inTime(clock, drains.all())
      const away = which === 'known' ? drained.keys() : []
      const all = await nodesOf(doors, caller, [...new Set([...linked, ...known.keys(), ...away])])
      const operatorOf = await operatorsFor(doors, caller)
      return pageIn(all.toSorted(), query, { keyOf: (id) => id, newestFirst: false }, (id) =>
        viewOf(doors, id, {
          ...{ linked: linked.has(id), known: known.get(id), operator: operatorOf(id) },
          drainedAt: drained.get(id) ?? null,
        }),
      )
    },
  )

  routes.get(
    '/v1/nodes/:id',
    {
      config: { scope: 'nodes:read' },
      schema: {
        summary: 'One node, with its last checks and rounds',
        params: z.object({ id: z.string().max(100) }),
        response: { 200: nodeWithHistoryView, ...problems },
      },
    },
    async ({ caller, params }) => {
      const id = parseNodeId(params.id)
      if (!id.ok || (await nodesOf(doors, caller, [id.value])).length === 0) throw notFound('node', params.id)
      const known = await inTime(clock, capabilities.get(id.value))
      const linked = await inTime(clock, presence.has(id.value))
      const operatorOf = await operatorsFor(doors, caller)
      const isThere = runFilter(doors, caller)
      const rounds = paces.of(id.value).filter(({ run }) => isThere(run))
      const drainedAt = (await inTime(clock, drains.all())).get(id.value) ?? null
      if (!known && !linked && rounds.length === 0 && drainedAt === null) throw notFound('node', params.id)
      return {
        ...viewOf(doors, id.value, { linked, known, operator: operatorOf(id.value), drainedAt }),
        checks: (known?.checks ?? []).toReversed().map(checkOf),
        rounds: rounds.toReversed().map(paceOf),
      }
    },
  )

  routes.post(
    '/v1/nodes/:id/drain',
    {
      config: { scope: 'nodes:admin' },
      schema: {
        summary: 'Invite a node to no new round',
        description:
          'At every process, and over restarts, until POST /resume. What it has begun it finishes, it stays linked, and what it has earned is its own. One that is drained is answered as it is. A key of a federation ends a membership instead.',
        params: z.object({ id: z.string().max(100) }),
        response: { 200: nodeView, ...problems },
      },
    },
    async ({ caller, params }, reply) => {
      const { id, ...about } = await find(caller, params.id)
      const drained = await inTime(clock, drains.drain(id), MAYBE)
      if (!drained.ok) throw new Problem(409, 'too_many', 'No more are taken', drained.detail ?? drained.refusal)
      if (!drained.value.isNew) markReplayed(reply)
      return viewOf(doors, id, { ...about, drainedAt: drained.value.since })
    },
  )

  routes.post(
    '/v1/nodes/:id/resume',
    {
      config: { scope: 'nodes:admin' },
      schema: {
        summary: 'Invite a drained node again',
        description: 'To rounds that open from now on. One that is not drained is answered as it is.',
        params: z.object({ id: z.string().max(100) }),
        response: { 200: nodeView, ...problems },
      },
    },
    async ({ caller, params }, reply) => {
      const { id, ...about } = await find(caller, params.id)
      const { isNew, since } = await inTime(clock, drains.resume(id), MAYBE)
      if (!isNew) markReplayed(reply)
      return viewOf(doors, id, { ...about, drainedAt: since })
    },
  )
}

const MAYBE = 'it may still be done: look at the node before it is sent again'

type About = {
  readonly linked: boolean
  readonly known: Capable | undefined
  readonly operator: string | null
  readonly drainedAt: Millis | null
}

function viewOf({ clock }: ApiDoors, id: NodeId, { linked, known, operator, drainedAt }: About): NodeView {
  const fresh = known !== undefined && !isStale(known, clock.now())
  return {
    ...{ id, linked, operator, drained_at: drainedAt === null ? null : timeOf(drainedAt) },
    standing: known ? standingOfAll(known) : 'unchecked',
    capability: known ? capabilityOf(known, fresh) : null,
  }
}

function capabilityOf(known: Capable, fresh: boolean): NonNullable<NodeView['capability']> {
  const { report, at } = known
  return {
    ...{ backend: report.backend, adapter: report.adapter, software: report.software },
    ...{ deterministic: report.deterministic, memory_bytes: report.memoryBytes, version: report.version },
    ...{ population: report.population, reported_at: timeOf(at), stale: !fresh },
    stale_at: timeOf(at + CAPABILITY_MILLIS_MAX),
    speeds: report.speeds.map(({ model, milliSamplesPerSecond, measuredAt }) => ({
      ...{ model, milli_samples_per_second: milliSamplesPerSecond, measured_at: timeOf(measuredAt) },
      standing: standingOf(known, model),
      ...observedOf(known.checks, model),
    })),
  }
}

/** What the last check of this model saw. */
function observedOf(checks: readonly Check[], model: ReferenceModel) {
  const last = checks.findLast((check) => check.model === model)
  return {
    observed_milli_samples_per_second: last?.observedMilli ?? null,
    checked_at: last ? timeOf(last.at) : null,
  }
}

function checkOf({
  at,
  model,
  verdict,
  claimedMilli,
  observedMilli,
  elapsedMillis,
  trainMillis,
}: Check): z.output<typeof checkView> {
  return {
    ...{ at: timeOf(at), model, verdict, claimed_milli_samples_per_second: claimedMilli },
    ...{ observed_milli_samples_per_second: observedMilli, elapsed_ms: elapsedMillis, train_ms: trainMillis },
  }
}

function paceOf({ run, round, trainMillis, elapsedMillis }: Pace) {
  return { run, round, train_ms: trainMillis, elapsed_ms: elapsedMillis }
}
