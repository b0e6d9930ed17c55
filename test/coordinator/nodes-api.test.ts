import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { say } from '#protocol/messages.ts'
import { comesTrue } from '#test/eventually.ts'
import { capability, NOW } from './capability.ts'
import { type Live, live, RawNode } from './live.ts'

type View = { id: string; linked: boolean; standing: string; capability: Record<string, unknown> | null }
type Page = { data: View[]; has_more: boolean; next: string | null }

let at: Live
const nodes: RawNode[] = []
beforeAll(async () => {
  at = await live({ spotChecks: 'none' })
  const { url, id } = at.coordinator
  for (const name of ['a', 'b', 'c']) nodes.push(new RawNode(url, id, name))
  for (const node of nodes) expect(await node.link()).toBe('linked')
})
afterAll(async () => {
  for (const node of nodes) await node[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

const list = async (query = '') => (await (await at.api(`/v1/nodes${query}`)).json()) as Page
const known = async (id: string) => (await (await at.api(`/v1/nodes/${id}`)).json()) as View

test('nodes are told by id, page by page, each once; and what they say of themselves once they have said it', async () => {
  const ids = nodes.map(({ signer }) => signer.id as string).sort()
  expect((await list()).data.map(({ id }) => id)).toEqual(ids)
  const first = await list('?limit=2')
  expect(first).toMatchObject({ has_more: true, next: ids[1], data: [{ linked: true, capability: null }, {}] })
  expect(await list(`?limit=2&after=${first.next}`)).toMatchObject({
    has_more: false,
    next: null,
    data: [{ id: ids[2] }],
  })

  const [one] = nodes as [RawNode]
  one.raw(say(one.signer, { kind: 'capability', ...one.said(), ...capability(4000, { adapter: 'A card' }) }))
  await comesTrue(async () => (await known(one.signer.id)).capability !== null)
  expect(await known(one.signer.id)).toMatchObject({
    ...{ id: one.signer.id, linked: true, operator: null, standing: 'unchecked', checks: [], rounds: [] },
    capability: {
      ...{ backend: 'wasm', adapter: 'A card', memory_bytes: 2 ** 31, population: 'open', stale: false },
      speeds: [
        {
          ...{ model: 'mlp', milli_samples_per_second: 4_000_000, measured_at: new Date(NOW).toISOString() },
          ...{ standing: 'unchecked', observed_milli_samples_per_second: null, checked_at: null },
        },
      ],
    },
  })
  await one[Symbol.asyncDispose]()
  await comesTrue(async () => (await list()).data.length === 2)
  expect((await list('?which=known')).data.map(({ id }) => id)).toEqual(ids)
  expect(await known(one.signer.id)).toMatchObject({ linked: false })
})

test('what nobody asked for is refused and counted, and a node that nobody knows is not found', async () => {
  const [, two] = nodes as [RawNode, RawNode]
  const refused = await at.counted('frames_refused', 'no-check')
  two.raw(say(two.signer, { kind: 'busy', ...two.said(), seed: new Uint8Array(32) }))
  await comesTrue(async () => (await at.counted('frames_refused', 'no-check')) === refused + 1)
  for (const id of ['z6Mk', nodes[0]?.signer.id.replace(/.$/, 'x') ?? ''])
    expect((await at.api(`/v1/nodes/${id}`)).status).toBe(404)
  expect((await at.api('/v1/nodes?which=all')).status).toBe(400)
})
