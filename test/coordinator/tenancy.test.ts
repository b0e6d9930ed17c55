import { beforeAll, describe, expect, test } from '@jest/globals'
import { SCOPES } from '#coordinator/api/caller.ts'
import { question } from '#test/statistics/given.ts'
import { request, signer } from './live.ts'
import { served } from './served.ts'

type Api = Awaited<ReturnType<typeof served>>
type Operation = {
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: { $ref?: string } }>> }
}

let api: Api
let ours: { readonly key: string; readonly federation: string }
let theirs: typeof ours
/** A run, and a question, of ours; and a run of nobody's. */
const made = { run: '', question: '', free: '' }
const NOBODY = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV'

async function tenant(name: string) {
  const federation = (await api.ask('/v1/federations', { method: 'POST', payload: { name } })).body.id as string
  const payload = { name, scopes: SCOPES, federation }
  return { federation, key: (await api.ask('/v1/api-keys', { method: 'POST', payload })).body.key as string }
}

const ROWS = question([{ kind: 'count', column: null }], { name: 'rows', minCell: 5 })

beforeAll(async () => {
  api = await served()
  ;[ours, theirs] = [await tenant('ours'), await tenant('theirs')]
  const launch = (payload: object, key?: string) =>
    api.ask('/v1/runs', { method: 'POST', payload, ...(key && { key }) })
  const { federation, key } = ours
  made.run = (await launch(request({ budget: '0', federation }))).body.id
  made.free = (await launch(request({ budget: '0' }))).body.id
  const asked = await api.ask('/v1/stats-queries', { method: 'POST', payload: { question: ROWS, federation }, key })
  made.question = asked.body.id
  expect(asked.status).toBe(201)
})

/** Every route that names a run, as OpenAPI has them, each with an example of its body. */
async function routes(): Promise<readonly { method: string; path: string; payload: object | undefined }[]> {
  const { paths, components } = (await api.ask('/openapi.json', { key: null })).body
  return Object.entries(paths as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
    !/^\/v1\/(runs|stats-queries)\/\{id\}/.test(path)
      ? []
      : Object.entries(methods).map(([method, { requestBody }]) => {
          const name = requestBody?.content['application/json']?.schema.$ref?.split('/').at(-1)
          const [example] = (name && components.schemas[name]?.examples) ?? [{ reason: 'enough' }]
          return { method: method.toUpperCase(), path, payload: requestBody && example }
        }),
  )
}

const at = (path: string, id: string) => path.replace('{id}', id).replace(/\{\w+\}/g, '1')

describe('a key of another federation', () => {
  test('finds no run of ours at any route: it is told word for word what it is told of one that is not there', async () => {
    const all = await routes()
    expect(all.length).toBeGreaterThan(7)
    for (const { method, path, payload } of all)
      for (const id of [made.run, made.question, made.free, made.run.slice(0, 12)]) {
        const ask = (name: string) =>
          api.ask(at(path, name), { method: method as 'GET', key: theirs.key, ...(payload && { payload }) })
        const [hidden, absent] = [await ask(id), await ask(NOBODY)]
        const told = ({ text }: typeof hidden, name: string) =>
          text.replaceAll(name, 'ID').replace(/"request_id":"\w+"/, '')
        expect([method, path, hidden.status]).toEqual([method, path, 404])
        expect(told(hidden, id)).toBe(told(absent, NOBODY))
      }
  })

  test('changes nothing of ours by trying', async () => {
    expect((await api.ask(`/v1/runs/${made.run}`)).body).toMatchObject({ status: 'funding', reason: null })
  })

  test('lists nothing of ours, and of nobody’s', async () => {
    const lists = ['/v1/runs', '/v1/stats-queries', '/v1/nodes?which=known', '/v1/datasets', '/v1/publications']
    for (const path of lists) expect([path, (await api.ask(path, { key: theirs.key })).body.data]).toEqual([path, []])
    const federations = (await api.ask('/v1/federations', { key: theirs.key })).body.data
    expect(federations.map(({ id }: { id: string }) => id)).toEqual([theirs.federation])
    for (const path of ['', '/members', '/invites'])
      expect((await api.ask(`/v1/federations/${ours.federation}${path}`, { key: theirs.key })).status).toBe(404)
  })

  test.each([
    ['ours', () => ({ federation: ours.federation })],
    ['one that is not there', () => ({ federation: 'fed_01ARZ3NDEKTSV4RRFFQ69G5FAV' })],
    ['none', () => ({ federation: null })],
  ])('launches no run in %s', async (_whose, change) => {
    const options = { method: 'POST' as const, key: theirs.key }
    const launched = await api.ask('/v1/runs', { ...options, payload: request({ budget: '0', ...change() }) })
    const asked = await api.ask('/v1/stats-queries', { ...options, payload: { question: ROWS, ...change() } })
    for (const { status, body } of [launched, asked]) expect([status, body.code]).toEqual([403, 'outside_federation'])
  })

  test('has idempotency keys of its own: what we have used says nothing to it', async () => {
    const launch = (key: string) =>
      api.ask('/v1/runs', { method: 'POST', key, payload: request(), headers: { 'idempotency-key': 'one' } })
    const [mine, other] = [await launch(ours.key), await launch(theirs.key)]
    expect([mine.status, other.status]).toEqual([201, 201])
    expect(other.body.id).not.toBe(mine.body.id)
    expect(other.body.federation).toBe(theirs.federation)
    expect((await launch(ours.key)).body.id).toBe(mine.body.id)
  })

  test('makes no node its member that has not taken its invite, and so reads nothing of it', async () => {
    const node = signer('of ours')
    const members = (of: typeof ours) => `/v1/federations/${of.federation}/members`
    await api.ask(members(ours), { method: 'POST', payload: { node: node.id, operator: 'st-elsewhere' } })
    const grab = (of: typeof ours, operator: string) =>
      api.ask(members(of), { method: 'POST', key: of.key, payload: { node: node.id, operator } })
    const grabbed = await grab(theirs, 'mine')
    expect([grabbed.status, grabbed.body.code]).toEqual([403, 'invite_needed'])
    expect((await api.ask(members(theirs), { key: theirs.key })).body.data).toEqual([])
    // Of a member it says whose it is, as before.
    expect(await grab(ours, 'brac')).toMatchObject({ status: 201, body: { operator: 'brac' } })
  })

  test('is not told by what name we call a node that is a member of both', async () => {
    const node = signer('of both')
    await api.datasets.publish(node.id, 1, {
      kind: 'table',
      name: 'echo',
      rowsAtLeast: 4,
      columns: [{ name: 'age', kind: 'number' }],
    })
    for (const [of, operator] of [
      [ours, 'st-elsewhere'],
      [theirs, 'brac'],
    ] as const)
      await api.ask(`/v1/federations/${of.federation}/members`, {
        method: 'POST',
        payload: { node: node.id, operator },
      })
    const told = async (key: string) => (await api.ask('/v1/datasets', { key })).body.data[0].operator
    expect([await told(ours.key), await told(theirs.key)]).toEqual(['st-elsewhere', 'brac'])
  })

  test('is refused what is of the coordinator as a whole', async () => {
    const found = await api.ask('/v1/federations', { method: 'POST', key: theirs.key, payload: { name: 'x' } })
    const pins = await api.ask('/v1/pinning/pins', { key: theirs.key })
    expect([found.status, pins.status]).toEqual([403, 403])
  })
})

test('a key of a federation finds what is of it, and launches there where it says nothing', async () => {
  expect((await api.ask(`/v1/runs/${made.run}`, { key: ours.key })).body.federation).toBe(ours.federation)
  expect((await api.ask(`/v1/stats-queries/${made.question}`, { key: ours.key })).status).toBe(200)
  const launched = await api.ask('/v1/runs', { method: 'POST', key: ours.key, payload: request({ budget: '0' }) })
  expect(launched.body.federation).toBe(ours.federation)
  expect((await api.ask(`/v1/runs/${made.free}`, { key: ours.key })).status).toBe(404)
})

test('a run that names a federation which is not there is refused by its field', async () => {
  const payload = request({ budget: '0', federation: 'fed_01ARZ3NDEKTSV4RRFFQ69G5FAV' })
  const { status, body } = await api.ask('/v1/runs', { method: 'POST', payload })
  expect([status, body.code, body.errors[0].pointer]).toEqual([422, 'invalid_run', '/federation'])
})
