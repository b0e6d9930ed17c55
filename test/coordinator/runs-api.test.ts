import { expect, test } from '@jest/globals'
import type { RunEvent } from '#coordinator/run-events.ts'
import { TOY_TASK } from '#sim/toy.ts'
import { request } from './live.ts'
import { served } from './served.ts'

type Api = Awaited<ReturnType<typeof served>>

const HOUR = 3_600_000
const launch = async (api: Api) =>
  (await api.ask('/v1/runs', { method: 'POST', payload: request({ budget: '0' }) })).body.id as string
const idsAt = async (api: Api, query: string) =>
  (await api.ask(`/v1/runs?${query}`)).body.data.map(({ id }: { id: string }) => id)

/** Runs of one hour each, the first of which has been stopped and the third of which is paused; the fourth has no money yet. */
async function four() {
  const api = await served()
  const runs: string[] = []
  for (let made = 0; made < 4; made++) {
    runs.push(await launch(api))
    await api.clock.advance(HOUR)
  }
  const tell = (run: string | undefined, event: object) => api.runner.advance(run as never, event as RunEvent)
  for (const run of runs.toSpliced(3)) await tell(run, { kind: 'held' })
  await tell(runs[0], { kind: 'stopped', reason: 'enough' })
  await tell(runs[2], { kind: 'paused', reason: 'lunch' })
  return { api, runs: runs as [string, string, string, string] }
}

test('runs are listed by status, one or several, said with commas or again, and by when they were launched', async () => {
  const { api, runs } = await four()
  const [stopped, running, paused, funding] = runs
  const statuses = (await api.ask('/v1/runs')).body.data.map(({ status }: { status: string }) => status)
  expect(statuses).toEqual(['funding', 'paused', 'running', 'finishing'])
  expect(await idsAt(api, 'status=paused')).toEqual([paused])
  expect(await idsAt(api, 'status=paused,running,paused')).toEqual([paused, running])
  expect(await idsAt(api, 'status=funding&status=finishing')).toEqual([funding, stopped])
  expect(await idsAt(api, 'status=completed')).toEqual([])
  const { created_at: second } = (await api.ask(`/v1/runs/${running}`)).body
  expect(await idsAt(api, `created_after=${second}`)).toEqual([funding, paused])
  expect(await idsAt(api, `created_after=${second}&status=running,paused`)).toEqual([paused])
  const elsewhere = encodeURIComponent(new Date(Date.parse(second) + HOUR - 1).toISOString().replace('Z', '+01:00'))
  expect(await idsAt(api, `created_after=${elsewhere}`)).toEqual([funding, paused, running])
})

test('pages of runs by status go on where they were, whatever becomes of the runs meanwhile', async () => {
  const { api, runs } = await four()
  const unfinished = 'status=funding,running,paused,finishing'
  const first = await api.ask(`/v1/runs?${unfinished}&limit=2`)
  expect(first.body).toMatchObject({ data: [{ id: runs[3] }, { id: runs[2] }], has_more: true, next: runs[2] })
  expect(first.headers['link']).toContain('status=funding%2Crunning%2Cpaused%2Cfinishing')
  // The cursor is one that the filter does not let through any more, and a newer run comes.
  await api.runner.advance(runs[2] as never, { kind: 'resumed' } as never)
  await launch(api)
  expect(await idsAt(api, `status=paused,finishing,running&limit=2&after=${runs[2]}`)).toEqual([runs[1], runs[0]])
  expect(await idsAt(api, `status=paused&after=${runs[2]}`)).toEqual([])
})

test('a status or a time that there is not is refused with what there is', async () => {
  const api = await served()
  const { status, body } = await api.ask('/v1/runs?status=running,done')
  expect([status, body.code]).toEqual([400, 'invalid_request'])
  for (const known of ['funding', 'running', 'paused', 'finishing', 'completed', 'failed', 'stopped'])
    expect(body.detail).toContain(`"${known}"`)
  for (const query of [
    'status=',
    'status=a&status=b',
    'created_after=yesterday',
    'created_after=2026-11-22',
    'since=1d',
  ])
    expect([query, (await api.ask(`/v1/runs?${query}`)).status]).toEqual([query, 400])
})

test('runs are counted by status, and the rounds that have ended since; those of another federation are not', async () => {
  const { api } = await four()
  const { status, body } = await api.ask('/v1/runs/counts')
  expect(status).toBe(200)
  expect(body.statuses).toEqual({
    ...{ funding: 1, running: 1, paused: 1, finishing: 1, completed: 0, failed: 0, stopped: 0 },
  })
  expect(body).toMatchObject({ rounds: { closed: 0, aborted: 0 } })
  expect(Date.parse(body.since)).toBe(api.clock.now() - 24 * HOUR)
  const since = '2026-11-21T00:00:00.000Z'
  expect((await api.ask(`/v1/runs/counts?since=${since}`)).body.since).toBe(since)
  const payload = { name: 'one', scopes: ['runs:read'], federation: 'fed_01KQ7ZT2B4C6D8E0F1G2H3J4K5' }
  const { key } = (await api.ask('/v1/api-keys', { method: 'POST', payload })).body
  expect(Object.values((await api.ask('/v1/runs/counts', { key })).body.statuses)).toEqual([0, 0, 0, 0, 0, 0, 0])
})

test('a query parameter that a route does not know is refused by name, with those that it knows', async () => {
  const api = await served()
  const id = await launch(api)
  const misspelt = await api.ask('/v1/runs?state=running&limit=2')
  expect(misspelt.status).toBe(400)
  expect(misspelt.body).toMatchObject({
    code: 'invalid_request',
    detail: '/state is no query parameter of this route, which takes limit, after, label, status, created_after',
    errors: [{ pointer: '/state', message: expect.any(String) }],
  })
  for (const path of [`/v1/runs/${id}`, '/v1/whoami', '/v1/coordinator', '/healthz', '/v1/session', '/v1/pinning/pins'])
    expect([path, (await api.ask(`${path}?x=1`)).status]).toEqual([path, 400])
  const { status, body } = await api.ask(`/v1/runs/${id}/stop?reason=x`, { method: 'POST', payload: { reason: 'x' } })
  expect([status, body.detail]).toEqual([400, '/reason is no query parameter of this route, which takes none'])
  expect((await api.ask('/v1/pinning/pins?x=1')).body).toMatchObject({ error: { reason: 'BAD_REQUEST' } })
  // What stands in no route is not there, and nobody without a key is told more than that.
  expect((await api.ask('/v1/nothing?x=1')).status).toBe(404)
  expect((await api.ask('/v1/runs?x=1', { key: null })).status).toBe(401)
  for (const odd of ['__proto__=1', 'constructor=1', 'limit[]=1', `${'x'.repeat(3000)}`, '%ff=1'])
    expect([odd, (await api.ask(`/v1/runs?${odd}`)).status]).toEqual([odd, 400])
})

test('curves have the columns that the task asks for from the first moment, as JSON and as CSV', async () => {
  const api = await served()
  const payload = request({ budget: '0', task: { ...TOY_TASK, metrics: ['auroc', 'f1'] } })
  const { id } = (await api.ask('/v1/runs', { method: 'POST', payload })).body
  const asked = await api.ask(`/v1/runs/${id}/metrics?keys=loss,auroc,f1-best`)
  expect([asked.status, asked.body]).toEqual([200, { round: [0], loss: [null], auroc: [null], 'f1-best': [null] }])
  const csv = await api.ask(`/v1/runs/${id}/metrics`, { headers: { accept: 'text/csv' } })
  expect(csv.text).toMatch(/^round,loss,accuracy,auroc,f1,f1-best,f1-best-threshold,rows,sites,/)
  expect((await api.ask(`/v1/runs/${id}/metrics?keys=rmse`)).body).toMatchObject({ status: 400, code: 'unknown_key' })
})

test('what spends is refused without a key of its own, and says how to mend it; what spends nothing takes none', async () => {
  const api = await served()
  const post = async (url: string, payload: object, key?: string) => {
    const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key }
    return api.ask(url, { method: 'POST', payload, headers })
  }
  const needed = { status: 400, body: { code: 'idempotency_key_needed', retryable: false } }
  const refused = await post('/v1/runs', request())
  expect(refused).toMatchObject(needed)
  expect(refused.body.detail).toMatch(/send an Idempotency-Key/)
  expect((await api.ask('/v1/runs')).body.data).toEqual([])
  expect((await post('/v1/runs', request({ budget: '0' }))).status).toBe(201)
  const { status, body } = await post('/v1/runs', request(), 'one')
  expect([status, (await post('/v1/runs', request(), 'one')).body]).toEqual([201, body])
  const extend = `/v1/runs/${body.id}/extend`
  expect(await post(extend, { rounds: 1, budget: '7' })).toMatchObject(needed)
  expect((await api.ask(`/v1/runs/${body.id}`)).body).toMatchObject({ rounds: 1, budget: '100' })
  for (const _ of [1, 2]) expect((await post(extend, { rounds: 1, budget: '7' }, 'more')).body.budget).toBe('107')
  expect((await post(extend, { rounds: 1 })).body).toMatchObject({ rounds: 3, budget: '107' })
  // Nothing of it comes about.
  expect((await post('/v1/runs/dry-run', request())).status).toBe(200)
})
