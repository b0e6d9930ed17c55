import { expect, test } from '@jest/globals'
import { TOY_TASK } from '#sim/toy.ts'
import { request } from './live.ts'
import { served } from './served.ts'

const FEDERATIONS = ['fed_01KQ7ZT2B4C6D8E0F1G2H3J4K5', 'fed_01KQ7ZT2B4C6D8E0F1G2H3J4K6'] as const

test('of one federation nobody learns what tasks, models and money another has', async () => {
  const api = await served()
  const scopes = ['runs:read', 'runs:write', 'models:read', 'payouts:read']
  const keys = await Promise.all(
    FEDERATIONS.map(async (federation) => {
      const payload = { name: 'one', scopes, federation }
      return (await api.ask('/v1/api-keys', { method: 'POST', payload })).body.key as string
    }),
  )
  const [one, other] = keys as [string, string]
  const run = (await api.ask('/v1/runs', { method: 'POST', payload: request({ budget: '0' }) })).body
  const payload = { ...TOY_TASK, name: 'theirs' }
  const { status, body } = await api.ask('/v1/tasks', { method: 'POST', key: one, payload })
  expect(status).toBe(201)
  const listed = async (key: string) =>
    (await api.ask('/v1/tasks', { key })).body.data.map(({ task }: { task: string }) => task)
  expect([await listed(one), await listed(other)]).toEqual([[body.task], []])
  expect(new Set(await listed('key'))).toEqual(new Set([body.task, run.task]))
  const found = async (path: string) =>
    Promise.all([one, other, 'key'].map(async (key) => (await api.ask(path, { key })).status))
  expect(await found(`/v1/tasks/${body.task}`)).toEqual([200, 404, 200])
  expect(await found(`/v1/tasks/${run.task}`)).toEqual([404, 404, 200])
  expect(await found(`/v1/models/${run.model}`)).toEqual([404, 404, 200])
  for (const path of ['/v1/payouts', '/v1/balances']) expect((await api.ask(path, { key: one })).body.data).toEqual([])
  // The same task is the same, and then of both.
  expect((await api.ask('/v1/tasks', { method: 'POST', key: other, payload })).body.task).toBe(body.task)
  expect(await listed(other)).toEqual([body.task])
  await api.server.close()
})
