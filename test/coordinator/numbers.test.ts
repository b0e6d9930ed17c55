import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { jsonLines } from '#test/cli/command.ts'
import { here } from '#test/cli/here.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { LiveSite } from '#test/live-site.ts'
import { type Live, live, request } from './live.ts'

/** A coordinator under which sites have learned to tell a number. Their records say, as every one does, how many rows were right. */
let at: Live
let id: string
const get = async (path: string) => (await (await at.api(path)).json()) as Record<string, unknown>
const task = {
  ...(request() as { task: { data: object } }).task,
  ...{ name: 'days', loss: 'mean-squared-error' },
  data: {
    ...(request() as { task: { data: object } }).task.data,
    label: { column: 'days', rule: 'number', centreMicro: 0, scaleMicro: 1_000_000 },
  },
}

beforeAll(async () => {
  at = await live()
  const { url, id: key } = at.coordinator
  const end = new AbortController()
  const lives = LiveSite.toys(3).map(async (site) => {
    for await (const _ of site.live({ url, key }, end.signal));
  })
  const answer = await at.launch({ task, masking: 'none', rounds: 2, cohort: { min: 3, max: 3, quorum: 3 } })
  id = String(((await answer.json()) as { id: string }).id)
  await comesTrue(async () => (await get(`/v1/runs/${id}`))['status'] === 'completed')
  end.abort()
  await Promise.all(lives)
}, 60_000)
afterAll(async () => at[Symbol.asyncDispose]())

const ran = (...args: readonly string[]) =>
  here(args, { CONSILIUM_API_KEY: at.key, CONSILIUM_COORDINATOR: at.coordinator.url })

test('a model of numbers has no accuracy, wherever the API tells of it', async () => {
  const run = await get(`/v1/runs/${id}`)
  expect(run['evaluation']).toMatchObject({ accuracy: null, loss: expect.any(Number), rows: expect.any(Number) })
  const { data } = (await get(`/v1/runs/${id}/rounds`)) as { data: { evaluation: object }[] }
  expect(data.map(({ evaluation }) => evaluation)).toMatchObject(Array(3).fill({ accuracy: null }))
  const { data: events } = (await get(`/v1/runs/${id}/events`)) as { data: Record<string, unknown>[] }
  const told = events.flatMap(({ evaluated, evaluation }) => evaluated ?? evaluation ?? [])
  expect(told).toMatchObject(Array(4).fill({ accuracy: null, loss: expect.any(Number) }))
  const metrics = (await get(`/v1/runs/${id}/metrics`)) as Record<string, unknown[]>
  expect(metrics['accuracy']).toEqual([null, null, null])
  const { data: matrix } = (await get(`/v1/runs/${id}/matrix`)) as { data: { all: object; sites: object[] }[] }
  for (const { all, sites } of matrix)
    expect([all, ...sites]).toMatchObject([
      { accuracy: null, loss: expect.any(Number) },
      ...Array(3).fill({ correct: null, accuracy: null, loss: expect.any(Number) }),
    ])
  expect(await (await at.api(`/v1/runs/${id}/card`)).text()).not.toContain('accuracy')
})

test('nor wherever the command line does, which tells the loss instead', async () => {
  expect((await ran('runs', 'show', id)).stdout).not.toContain('accuracy')
  expect((await ran('runs', 'watch', id)).stdout).not.toMatch(/accuracy(?!=none)/)
  expect((await ran('runs', 'show', id)).stdout).toMatch(/^loss {7}\d\.\d{4} on \d+ held-out rows$/m)
  expect((await ran('runs', 'watch', id)).stdout).toMatch(/^loss {7}\d\.\d{4} on \d+ held-out rows$/m)
  expect((await ran('runs', 'ls')).stdout).toMatch(/completed +- +days/)

  await using folder = await temporaryFolder()
  const file = join(folder.path, 'run.car')
  await ran('bundles', 'export', id, '--from', at.coordinator.url, '--out', file)
  expect((await readFile(file)).length).toBeGreaterThan(0)
  const { code, stdout } = await ran('verify', file)
  expect(code).toBe(0)
  expect(stdout).toMatch(/^loss {9}\d\.\d{4} on \d+ held-out rows$/m)
  expect(stdout).not.toContain('accuracy')
  const [verdict] = jsonLines((await ran('verify', file, '--json')).stdout)
  expect(verdict).toMatchObject({ ok: true, accuracy: null, evaluation: { correct: null, accuracy: null } })
  const lone = await ran('verify', file, '--round', '2')
  expect(lone.stdout).toMatch(/^loss {9}\d\.\d{4} of the model it started from, on \d+ held-out rows$/m)
})

test('and no rule that ends a run may watch it', async () => {
  const order = { task, masking: 'none', rounds: 2, cohort: { min: 3, max: 3, quorum: 3 } }
  const refused = await at.launch({ ...order, stopWhen: { metric: 'accuracy', atLeast: 0.9 } })
  expect(refused.status).toBe(422)
  expect(JSON.stringify(await refused.json())).toContain('accuracy is not told by its rounds')
})
