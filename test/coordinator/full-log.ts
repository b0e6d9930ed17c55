import { deepStrictEqual, notDeepStrictEqual } from 'node:assert/strict'
import type { RunId } from '#protocol/ids.ts'
import { TOY_TASK } from '#sim/toy.ts'
import { node } from './fixture.ts'
import { request } from './live.ts'
import type { Asked, Said, served } from './served.ts'

type Api = Awaited<ReturnType<typeof served>>

/** A log that two processes share, and that can be full. */
export type Filling = {
  readonly apis: readonly [Api, Api]
  /** @param left appends that still find room */
  readonly fill: (left: number) => Promise<unknown>
  readonly empty: () => Promise<unknown>
}

/** What is known by then, by which the next steps name it. */
type Known = { key: string; federation: string; endpoint: string; run: string; cookie: string; token: string }
type Step = { readonly path: string } & Asked

const post = (path: string, payload: object, headers = {}): Step => ({
  ...{ path, method: 'POST', payload },
  headers: { 'idempotency-key': `of ${path}`, ...headers },
})

/** Every kind of change that is an entry of a stream of its own. */
const STEPS: readonly ((known: Known) => Step)[] = [
  () => post('/v1/api-keys', { name: 'one', scopes: ['runs:read'] }),
  () => post('/v1/federations', { name: 'one' }),
  ({ federation }) => ({ path: federation, method: 'PATCH', payload: { description: 'another' } }),
  ({ federation }) => post(`${federation}/members`, { node: node(1) }),
  ({ federation }) => post(`${federation}/invites`, { uses: 2 }),
  ({ federation }) => ({ path: `${federation}/members/${node(1)}`, method: 'DELETE' }),
  () => post('/v1/webhook-endpoints', { url: 'https://example.org/hook', events: ['run.*'] }),
  ({ endpoint }) => ({ path: endpoint, method: 'PATCH', payload: { enabled: false } }),
  ({ endpoint }) => ({ path: endpoint, method: 'DELETE' }),
  () => post('/v1/tasks', { ...TOY_TASK, name: 'kept' }),
  () => post('/v1/runs', request()),
  ({ run }) => ({ path: run, method: 'PATCH', payload: { name: 'a name', labels: { a: 'b' } } }),
  ({ run }) => ({ path: `${run}/stop`, method: 'POST', payload: { reason: 'enough' } }),
  ({ key }) => ({ path: key, method: 'DELETE' }),
  ({ cookie, token }) => ({
    path: '/v1/session',
    method: 'DELETE',
    key: null,
    headers: { cookie, 'x-csrf-token': token },
  }),
]

/**
 * Each change is tried where there is room for so many appends alone: it is made, or it is refused as something that may be
 * tried again and nothing of it is there; with room it is made then, and once.
 *
 * @returns how many were refused
 */
export async function playFull({ apis, fill, empty }: Filling, left: number, first: 0 | 1): Promise<number> {
  const known = await begun(apis[0])
  let refused = 0
  for (const [index, step] of STEPS.entries()) {
    const [at, other] = (index + first) % 2 === 0 ? apis : ([apis[1], apis[0]] as const)
    const { path, ...asked } = step(known)
    const before = await seen(apis, known)
    await fill(left)
    let said = await at.ask(path, asked)
    if (said.status >= 400) {
      refused++
      const { code, retryable } = said.body
      deepStrictEqual([path, said.status, code, retryable], [path, 507, 'storage_full', true])
      deepStrictEqual(said.headers['retry-after'], '60')
      deepStrictEqual([path, await seen(apis, known)], [path, before])
      await empty()
      deepStrictEqual([path, await seen(apis, known)], [path, before])
      said = await other.ask(path, asked)
    }
    await empty()
    deepStrictEqual([path, said.status < 300], [path, true])
    learn(known, path, said)
    const after = await seen(apis, known)
    deepStrictEqual(after[0], after[1])
    notDeepStrictEqual([path, after], [path, before])
    if (asked.method !== 'POST') continue
    deepStrictEqual((await at.ask(path, asked)).body, said.body)
    deepStrictEqual([path, await seen(apis, known)], [path, after])
  }
  return refused
}

async function begun(api: Api): Promise<Known> {
  const { headers } = await api.ask('/v1/session', { key: null, method: 'POST', payload: { key: 'key' } })
  const cookie = String(headers['set-cookie']).split(';')[0] as string
  const token = (await api.ask('/v1/session', { key: null, headers: { cookie } })).body.csrf as string
  return { key: '', federation: '', endpoint: '', run: '', cookie, token }
}

function learn(known: Known, path: string, { headers }: Said): void {
  const made = headers['location']
  const name = ({ '/v1/api-keys': 'key', '/v1/federations': 'federation', '/v1/runs': 'run' } as const)[path]
  if (typeof made !== 'string') return
  if (path === '/v1/webhook-endpoints') known.endpoint = made
  if (name) known[name] = made
}

/** All that the two processes show of it. */
function seen(apis: Filling['apis'], { federation, run, cookie }: Known) {
  const lists = ['/v1/api-keys', '/v1/federations', '/v1/webhook-endpoints', '/v1/tasks']
  const within = federation === '' ? [] : [`${federation}/members`, `${federation}/invites`, federation]
  const paths = [...lists, ...within, ...(run === '' ? [] : [run, `${run}/events`])]
  return Promise.all(
    apis.map(async (api) => {
      // As the patrol has it do.
      if (run !== '') await api.runner.hear(run.replace('/v1/runs/', '') as RunId)
      const shown = await Promise.all(paths.map(async (path) => [path, (await api.ask(path)).body]))
      return [...shown, (await api.ask('/v1/session', { key: null, headers: { cookie } })).status]
    }),
  )
}
