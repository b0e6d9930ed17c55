import { z } from 'zod'
import type { Earned } from '#payments/ledger.ts'
import { parseNodeId, parseRunId } from '#protocol/ids.ts'
import { type Payment, type PayoutCursor, paymentsOf, payoutsOf } from '../payouts.ts'
import type { Caller } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { BALANCE, PAYOUT } from './model-examples.ts'
import { pageIn } from './paging.ts'
import { inTime, notFound, Problem } from './problems.ts'
import { find, pageQuery, problems, type Routes, runParams } from './runs.ts'
import { page } from './schemas.ts'
import { operatorsFor, runFilter, runsFor } from './tenancy.ts'

const amount = z.string().meta({ description: 'micro-credits, as a decimal text' })
const operator = z.string().nullable().meta({ description: "by the coordinator's list" })

export const payoutView = z
  .object({
    node: z.string(),
    operator,
    amount,
    run: z.string(),
    round: z.int(),
    receipt: z.string().meta({ description: "CID of the coordinator's signed word, under /ipfs" }),
  })
  .meta({ id: 'Payout', examples: [PAYOUT] })

export const balanceView = z
  .object({ node: z.string(), operator, earned: amount, updates: z.int().meta({ description: 'that were paid' }) })
  .meta({ id: 'Balance', examples: [BALANCE] })

/** Who was paid what for which update. Amounts add up: those of a run's receipts to what the run has paid. */
export function payoutRoutes(routes: Routes, doors: ApiDoors): void {
  const { blobs, clock } = doors
  const viewsOf = async (payments: readonly Payment[], caller: Caller): Promise<z.output<typeof payoutView>[]> => {
    const operatorOf = await operatorsFor(doors, caller)
    return payments.map(({ receipt, value: { node, run, round, amount } }) => {
      return { node, operator: operatorOf(node), amount: String(amount), run, round, receipt }
    })
  }

  routes.get(
    '/v1/runs/:id/rounds/:round/receipts',
    {
      config: { scope: 'payouts:read' },
      schema: {
        summary: 'What one round has paid, by seat',
        params: runParams.extend({ round: z.coerce.number().int().min(1) }),
        querystring: pageQuery.extend({ after: z.coerce.number().int().min(0).default(0) }),
        response: { 200: page(payoutView), ...problems },
      },
    },
    async ({ caller, params, query: { after, limit } }) => {
      const { past, round: open } = await find(doors, caller, params.id)
      const over = past[params.round - 1]
      if (!over && open?.round !== params.round) throw notFound('round', String(params.round))
      // An evaluate round pays nobody, and neither does one that came to nothing, or is not settled yet.
      const list = over?.receipts
      if (!list || list === 'overdue') return { data: [], has_more: false, next: null }
      const { payments, total } = await paymentsOf(blobs, list, { from: after, limit })
      const last = after + payments.length
      return { data: await viewsOf(payments, caller), has_more: last < total, next: last < total ? String(last) : null }
    },
  )

  routes.get(
    '/v1/payouts',
    {
      config: { scope: 'payouts:read' },
      schema: {
        summary: 'What was paid, the newest round first',
        description: 'A page may hold less than it might and still have a next one.',
        querystring: pageQuery.extend({ run: z.string().optional(), node: z.string().max(100).optional() }),
        response: { 200: page(payoutView), ...problems },
      },
    },
    async ({ query, caller }) => {
      const node = query.node === undefined ? undefined : parseNodeId(query.node)
      if (node && !node.ok) throw notFound('node', query.node as string)
      const runs =
        query.run === undefined ? runsFor(doors, caller).toReversed() : [await find(doors, caller, query.run)]
      const after = query.after === undefined ? undefined : readCursor(query.after)
      const { payments, next } = await payoutsOf(blobs, runs, { node: node?.value, after, limit: query.limit })
      return { data: await viewsOf(payments, caller), has_more: next !== null, next: next && cursorText(next) }
    },
  )

  routes.get(
    '/v1/balances',
    {
      config: { scope: 'payouts:read' },
      schema: {
        summary: 'What each node has earned, over all runs',
        querystring: pageQuery,
        response: { 200: page(balanceView), ...problems },
      },
    },
    async ({ query, caller }) => {
      const earned = await inTime(clock, doors.earned(runFilter(doors, caller)))
      const operatorOf = await operatorsFor(doors, caller)
      const nodes = [...earned.keys()].toSorted()
      return pageIn(nodes, query, { keyOf: (node) => node, newestFirst: false }, (node) => {
        const { amount, updates } = earned.get(node) as Earned
        return { node, operator: operatorOf(node), earned: String(amount), updates }
      })
    },
  )
}

function cursorText({ run, round, paid }: PayoutCursor): string {
  return `${run}.${round}.${paid}`
}

function readCursor(text: string): PayoutCursor {
  const [id = '', round = '', paid = '', ...rest] = text.split('.')
  const run = parseRunId(id)
  if (!run.ok || rest.length > 0 || !/^\d{1,6}$/.test(round) || !/^\d{1,6}$/.test(paid))
    throw new Problem(400, 'invalid_cursor', 'There is no such page', 'after is the next of a page before')
  return { run: run.value, round: Number(round), paid: Number(paid) }
}
