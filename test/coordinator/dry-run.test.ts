import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { Inquiries } from '#coordinator/inquiries.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { say } from '#protocol/messages.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { LiveSite } from '#test/live-site.ts'
import { type Live, live, RawNode, request } from './live.ts'

type Json = Record<string, unknown>
const dryRun = async (at: Live, change: object = {}): Promise<Json> => {
  const headers = { 'content-type': 'application/json' }
  const answer = await at.api('/v1/runs/dry-run', { method: 'POST', body: JSON.stringify(request(change)), headers })
  expect(answer.status).toBe(200)
  return (await answer.json()) as Json
}

/** What lies in the state folder, but for what a process writes for itself. */
async function keptIn(at: Live): Promise<readonly string[]> {
  const files = await readdir(at.state, { recursive: true, withFileTypes: true })
  const kept = files
    .filter((file) => file.isFile())
    .map(async ({ parentPath, name }) => {
      const bytes = await readFile(join(parentPath, name))
      return `${name} ${bytes.length}`
    })
  return (await Promise.all(kept)).sort()
}

test('a dry run tells who would come and by which rule who would not, what it costs and carries; and nothing is kept', async () => {
  await using at = await live()
  const stop = new AbortController()
  const to = { url: at.coordinator.url, key: at.coordinator.id }
  const [willing, small] = LiveSite.toys(2)
  const tiny = new LiveSite({
    name: 'a small site',
    trainer: (await import('#sim/toy.ts')).toyTrainer(7),
    memoryBytesMax: 10,
  })
  const lives = [willing, small, tiny].map(async (site) => {
    for await (const _ of (site as LiveSite).live(to, stop.signal));
  })
  await using silent = new RawNode(at.coordinator.url, at.coordinator.id, 'one who does not know the question')
  expect(await silent.link()).toBe('linked')
  while (((await (await at.api('/v1/nodes')).json()) as { data: unknown[] }).data.length < 4);

  const before = await keptIn(at)
  const asked = await dryRun(at, { rounds: 3, budget: '100' })
  expect(await keptIn(at)).toEqual(before)
  expect(await (await at.api('/v1/runs')).json()).toMatchObject({ data: [] })
  expect(asked).toMatchObject({
    ...{ ok: true, errors: [], parameters: 3, trained: 3, memory_bytes: expect.any(Number), rounds: 3 },
    bytes: {
      up_per_node: 80,
      down_per_node: 12,
      by_codec: [
        { codec: 'ring32', bytes_up: 80 },
        { codec: 'float32', bytes_up: 12, available: false },
      ],
    },
    cost: { budget: '100', per_round: '33', per_update_min: '11', per_update_max: '17' },
    privacy: { epsilon: null, reason: expect.stringMatching(/./) },
    population: { linked: 4, willing: 2, needed: 2 },
  })
  const sites = asked['sites'] as Json[]
  const site = (id: string) => sites.find(({ node }) => node === id)
  for (const one of [willing, small]) expect(site(one?.signer.id ?? '')).toMatchObject({ accepts: true, rule: null })
  expect(site(tiny.signer.id)).toMatchObject({
    accepts: false,
    rule: 'task-too-large',
    detail: 'about 1 MiB, at most 0 here',
  })
  expect(site(silent.signer.id)).toMatchObject({ linked: true, accepts: null, detail: 'it did not say' })
  stop.abort()
  await Promise.all(lives)
}, 60_000)

test('what a run would be refused for a dry run says, by field, and asks nobody', async () => {
  await using at = await live()
  expect(await dryRun(at, { cohort: { min: 2, max: 3, quorum: 3 } })).toMatchObject({
    ...{ ok: false, errors: [{ pointer: '/cohort/quorum' }], parameters: null, cost: null, sites: [] },
  })
  const cid = 'bafkreiaoxnbj7kdnjaocmmh2yu63dsi477wv2tkb2ebbyf4uitvwpz7obm'
  expect(await dryRun(at, { task: { cid } })).toMatchObject({ ok: false, errors: [{ pointer: '/task/cid' }] })
  const body = JSON.stringify({ ...request(), rounds: 0 })
  const headers = { 'content-type': 'application/json' }
  expect((await at.api('/v1/runs/dry-run', { method: 'POST', body, headers })).status).toBe(400)
})

test('an answer to a question that nobody asked, or asked another, is refused', async () => {
  await using at = await live()
  await using node = new RawNode(at.coordinator.url, at.coordinator.id, 'one')
  expect(await node.link()).toBe('linked')
  const considered = { kind: 'considered', question: new Uint8Array(16), refusal: null, detail: '' } as const
  node.raw(say(node.signer, { ...considered, ...node.said() }))
  while ((await at.counted('frames_refused', 'no-question')) === 0);
})

test('a node that is linked to another process of the coordinator is not asked, and no silence is laid to it', async () => {
  const signer = signerOf(new Uint8Array(32))
  const transport = { linked: () => [], send: () => Promise.reject(new Error('nobody is here')) }
  const inquiries = new Inquiries({ transport, signer, clock: virtualClock(0), chance: randomBytes })
  expect(await inquiries.ask('bafyplan' as Cid, [], [signer.id])).toEqual(new Map([[signer.id, 'elsewhere']]))
})
