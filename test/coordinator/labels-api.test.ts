import { expect, test } from '@jest/globals'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { request } from './live.ts'
import { type Asked, served } from './served.ts'

type Api = Awaited<ReturnType<typeof served>>

const launch = async (api: Api, key = 'key') =>
  (await api.ask('/v1/runs', { key, method: 'POST', payload: request({ budget: '0' }) })).body.id as string
const patch = (api: Api, id: string, payload: object, more: Asked = {}) =>
  api.ask(`/v1/runs/${id}`, { method: 'PATCH', payload, ...more })
const listed = async (api: Api, label: string) =>
  (await api.ask(`/v1/runs?label=${encodeURIComponent(label)}`)).body.data.map(({ id }: { id: string }) => id)

test('a run is named and labelled by whoever may launch it, and found by that at every process', async () => {
  const api = await served()
  const other = await served(api)
  const [one, two] = [await launch(api), await launch(api)]
  const before = (await api.ask(`/v1/runs/${one}`)).body
  const said = await patch(api, one, { name: 'second try', labels: { project: 'sepsis', 'paper/figure': '2' } })
  expect([said.status, said.body]).toEqual([
    200,
    { ...before, name: 'second try', labels: { 'paper/figure': '2', project: 'sepsis' } },
  ])
  await other.runner.hear(one as never)
  const there = await other.ask(`/v1/runs/${one}`)
  expect([there.body, there.headers['etag']]).toEqual([said.body, said.headers['etag']])
  await patch(api, two, { labels: { project: 'sepsis' } })
  expect(await listed(api, 'project:sepsis')).toEqual([two, one])
  expect(await listed(other, 'paper/figure:2')).toEqual([one])
  for (const label of ['project:flu', 'constructor:x', 'paper/figure:2:3']) expect(await listed(api, label)).toEqual([])
  expect((await api.ask('/v1/runs?label=project')).status).toBe(400)
  const page = await api.ask('/v1/runs?label=project:sepsis&limit=1')
  expect(page.headers['link']).toContain('label=project%3Asepsis')

  await patch(api, one, { labels: { project: null } })
  expect((await api.ask(`/v1/runs/${one}`)).body).toMatchObject({ name: 'second try', labels: { 'paper/figure': '2' } })
  expect((await patch(api, one, { name: null })).body.name).toBe(before.name)
  expect(await listed(api, 'project:sepsis')).toEqual([two])
})

test('a change may be said again, and one of what has changed since is refused', async () => {
  const api = await served()
  const other = await served(api)
  const id = await launch(api)
  const payload = { name: 'a', labels: { b: 'c', '10': 'x', long: 'y' } }
  const first = await patch(api, id, payload)
  await other.runner.hear(id as never)
  const again = [await patch(api, id, payload), await patch(other, id, payload)]
  for (const { body, headers } of again) expect([body, headers['etag']]).toEqual([first.body, first.headers['etag']])
  expect(await api.log.head('run-labels')).toBe(1)
  const ifMatch = { 'if-match': String(first.headers['etag']) }
  expect((await patch(other, id, { name: 'd' }, { headers: ifMatch })).status).toBe(200)
  expect((await patch(api, id, { name: 'e' }, { headers: ifMatch })).status).toBe(412)
  const { body, headers } = await api.ask(`/v1/runs/${id}`)
  expect(body.name).toBe('d')
  const known = await api.ask(`/v1/runs/${id}`, { headers: { 'if-none-match': String(headers['etag']) } })
  expect([known.status, known.text]).toEqual([304, ''])
})

test('labels are few and short, and of runs that exist for whoever labels them', async () => {
  const api = await served()
  const id = await launch(api)
  const scopes = ['runs:read', 'runs:write']
  const [theirs, reader] = (await Promise.all(
    [
      { name: 'a', scopes, federation: 'fed_01KQ7ZT2B4C6D8E0F1G2H3J4K5' },
      { name: 'b', scopes: ['runs:read'] },
    ].map(async (payload) => (await api.ask('/v1/api-keys', { method: 'POST', payload })).body.key),
  )) as [string, string]
  expect((await patch(api, id, { name: 'x' }, { key: theirs })).status).toBe(404)
  expect((await patch(api, id, { name: 'x' }, { key: reader })).status).toBe(403)
  const wrong = [{ X: 'y' }, { x: '' }, { x: 'a'.repeat(64) }, { ['a'.repeat(64)]: 'x' }, { x: '\u001b[31m' }, { x: 1 }]
  for (const labels of wrong) expect((await patch(api, id, { labels })).status).toBe(400)
  for (const name of ['', 'x'.repeat(500)]) expect((await patch(api, id, { name })).status).toBe(400)
  const labels = Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`${'k'.repeat(60)}${at}`, 'v'.repeat(63)]))
  expect((await patch(api, id, { name: '🫀'.repeat(50), labels })).status).toBe(200)
  const many = await patch(api, id, { labels: { one: 'more' } })
  expect([many.status, many.body.code]).toEqual([422, 'too_many_labels'])
  const [first = ''] = Object.keys(labels)
  expect((await patch(api, id, { labels: { one: 'more', [first]: null } })).status).toBe(200)
  const audit = (await api.ask('/v1/audit-events')).body.data as { action: string; status: number }[]
  expect(audit.filter(({ action }) => action === 'PATCH /v1/runs/{id}').map(({ status }) => status)).toEqual([
    ...[200, 200, 403],
  ])
})

test('what runs are called keeps nobody waiting for a log that is away', async () => {
  const log = openMemoryLog()
  let isAway = false
  const never = new Promise<never>(() => undefined)
  async function* read(...args: Parameters<typeof log.read>) {
    if (isAway) await never
    yield* log.read(...args)
  }
  const api = await served({ log: { ...log, read } })
  const id = await launch(api)
  await patch(api, id, { name: 'known here' })
  isAway = true
  const answer = api.ask('/v1/runs')
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  await api.clock.advance(1000)
  expect((await answer).body.data).toMatchObject([{ id, name: 'known here' }])
})
