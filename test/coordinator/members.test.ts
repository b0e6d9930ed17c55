import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { datasetWord } from '#client/publishing.ts'
import type { PublicDataset } from '#protocol/dataset.ts'
import { say } from '#protocol/messages.ts'
import { comesTrue } from '#test/eventually.ts'
import { type Live, live, RawNode, signer } from './live.ts'

let at: Live
const open: RawNode[] = []
beforeAll(async () => {
  // Nobody is on its list.
  at = await live({ admits: new Map(), spotChecks: 'none' })
})
afterAll(async () => {
  for (const node of open) await node[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

const post = async (path: string, body: object) =>
  (await (
    await at.api(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
  ).json()) as { id: string }
const link = (name: string): [RawNode, Promise<string>] => {
  const node = new RawNode(at.coordinator.url, at.coordinator.id, name)
  open.push(node)
  return [node, node.link()]
}
async function federationOf(...names: readonly string[]): Promise<string> {
  const { id } = await post('/v1/federations', { name: names.join() })
  for (const name of names) await post(`/v1/federations/${id}/members`, { node: signer(name).id, operator: name })
  return id
}

test('a coordinator with a closed list lets members in, as long as they are members, and takes nobody else', async () => {
  expect(await link('ann')[1]).toBe('not-admitted')
  const federation = await federationOf('ann')
  const [ann, linked] = link('ann')
  expect(await linked).toBe('linked')
  const listed = (await (await at.api('/v1/nodes')).json()) as { data: object[] }
  expect(listed.data).toMatchObject([{ id: ann.signer.id, linked: true, operator: 'ann' }])
  expect(await link('ben')[1]).toBe('not-admitted')
  await ann[Symbol.asyncDispose]()
  await at.api(`/v1/federations/${federation}/members/${ann.signer.id}`, { method: 'DELETE' })
  expect(await link('ann')[1]).toBe('not-admitted')
})

test('whoever is no member is not invited to its rounds, and refused by name where it says anything about one', async () => {
  const federation = await federationOf('cat', 'dan')
  await federationOf('eve')
  const [[cat, one], [eve, other]] = [link('cat'), link('eve')]
  expect(await Promise.all([one, other])).toEqual(['linked', 'linked'])
  const answer = await at.launch({ federation, masking: 'none', cohort: { min: 2, max: 2, quorum: 2 } })
  expect(answer.status).toBe(201)
  const { run, round } = await cat.hear('invite')
  for (const said of [
    { kind: 'join', advert: null },
    { kind: 'decline', reason: 'busy' },
    { kind: 'leave', reason: 'busy' },
  ] as const) {
    eve.raw(say(eve.signer, { ...said, ...eve.said(), run, round }))
    expect(await eve.hear('refused', 'invite')).toMatchObject({
      kind: 'refused',
      of: said.kind,
      refusal: 'not-a-member',
    })
  }
  // Whoever comes back is told where things stand: to her there is nothing.
  await eve[Symbol.asyncDispose]()
  const [again, relinked] = link('eve')
  expect(await relinked).toBe('linked')
  again.raw(say(again.signer, { kind: 'decline', reason: 'busy', ...again.said(), run, round }))
  expect(await again.hear('refused', 'invite')).toMatchObject({ kind: 'refused' })
})

test('what a node publishes is listed until it takes it back, and nothing is that is not as it should be', async () => {
  const [fay, linked] = [await federationOf('fay').then(() => link('fay'))].flat() as ReturnType<typeof link>
  expect(await linked).toBe('linked')
  const listed = async () => ((await (await at.api('/v1/datasets')).json()) as { data: { name: string }[] }).data
  const publish = (dataset: PublicDataset | null) => {
    const { word, blocks } = datasetWord(dataset)
    fay.raw(say(fay.signer, { ...word, ...fay.said() } as Parameters<typeof say>[1], blocks))
  }
  publish({ kind: 'image', name: 'digits', rowsAtLeast: 256, shape: [8, 8], classes: 10 })
  await comesTrue(async () => (await listed()).length === 1)
  const refused = await at.counted('frames_refused', 'block-missing')
  const { word } = datasetWord({ kind: 'image', name: 'more', rowsAtLeast: 256, shape: [8, 8], classes: 10 })
  fay.raw(say(fay.signer, { ...word, ...fay.said() } as Parameters<typeof say>[1], []))
  await comesTrue(async () => (await at.counted('frames_refused', 'block-missing')) === refused + 1)
  expect((await listed()).map(({ name }) => name)).toEqual(['digits'])
  publish(null)
  await comesTrue(async () => (await listed()).length === 0)
})
