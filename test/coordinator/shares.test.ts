import { PassThrough, Readable } from 'node:stream'
import { expect, test } from '@jest/globals'
import { SCOPES } from '#coordinator/api/caller.ts'
import { Federations } from '#coordinator/federations.ts'
import { Webhooks } from '#coordinator/webhooks.ts'
import type { FederationId } from '#protocol/ids.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { accessDoors } from './access-doors.ts'
import { RUN } from './fixture.ts'
import { request, signer } from './live.ts'
import { served } from './served.ts'

const [OURS, THEIRS] = ['fed_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'fed_01ARZ3NDEKTSV4RRFFQ69G5FAW'] as [
  FederationId,
  FederationId,
]

test('of runs that have not ended each federation has its share, and the coordinator’s own have the rest', async () => {
  const api = await served({ bounds: { unfinishedRuns: 4 } })
  const keyOf = async (name: string) => {
    const federation = (await api.ask('/v1/federations', { method: 'POST', payload: { name } })).body.id as string
    const payload = { name, scopes: SCOPES, federation }
    return (await api.ask('/v1/api-keys', { method: 'POST', payload })).body.key as string
  }
  const launch = async (key?: string) => {
    const { status, body } = await api.ask('/v1/runs', {
      method: 'POST',
      payload: request({ budget: '0' }),
      ...(key && { key }),
    })
    return status === 201 ? status : body.code
  }
  const [ours, theirs] = [await keyOf('ours'), await keyOf('theirs')]
  for (let run = 0; run < 3; run++) expect(await launch(theirs)).toBe(201)
  expect(await launch(theirs)).toBe('too_many_runs')
  expect(await launch(ours)).toBe(201)
  expect(await launch()).toBe('too_many_runs')
})

test('of keys each federation has its share', async () => {
  const { keys } = accessDoors({ log: openMemoryLog(), clock: virtualClock(0) })
  const make = async (federation: FederationId | null) =>
    (await keys.create({ name: 'x', scopes: ['runs:read'], federation, expiresAt: null }, null)).ok
  for (let made = 0; made < 750; made++) expect(await make(THEIRS)).toBe(true)
  expect([await make(THEIRS), await make(OURS), await make(null)]).toEqual([false, true, true])
})

test('of webhook endpoints each federation has its share', async () => {
  let id = 0
  const clock = virtualClock(0)
  const webhooks = new Webhooks({ log: openMemoryLog(), clock, newEndpointId: () => `we_${id++}` })
  const add = async (federation: FederationId | null) =>
    (await webhooks.add({ url: 'https://x.example/', events: ['*'], description: '', federation }, null)).ok
  for (let made = 0; made < 75; made++) expect(await add(THEIRS)).toBe(true)
  expect([await add(THEIRS), await add(OURS), await add(null)]).toEqual([false, true, true])
})

test('of open invites and of members each federation has its share', async () => {
  const bounds = { federations: 2, members: 4, invites: 4, entries: 1000 }
  const doors = { log: openMemoryLog(), clock: virtualClock(0), secret: new Uint8Array(32) }
  const federations = new Federations(doors, bounds)
  for (const id of [OURS, THEIRS]) await federations.found(id, { name: 'x', description: null }, null)
  let made = 0
  const invite = async (id: FederationId) => {
    const terms = { invite: `inv_${String(made++).padStart(26, '0')}`, operator: null, uses: 1, expiresAt: null }
    return (await federations.invite(id, terms, null)).ok
  }
  const add = async (id: FederationId) => (await federations.add(id, signer(`n${made++}`).id, null)).ok
  for (const more of [invite, add]) {
    for (let index = 0; index < 3; index++) expect(await more(THEIRS)).toBe(true)
    expect([await more(THEIRS), await more(OURS), await more(OURS)]).toEqual([false, true, false])
  }
})

test('of changes each federation has its share, and what takes something away is never refused', async () => {
  const bounds = { federations: 2, members: 100, invites: 100, entries: 20 }
  const federations = new Federations(
    { log: openMemoryLog(), clock: virtualClock(0), secret: new Uint8Array(32) },
    bounds,
  )
  for (const id of [OURS, THEIRS]) await federations.found(id, { name: 'x', description: null }, null)
  const node = signer('n').id
  await federations.add(THEIRS, node, null)
  const rename = async (id: FederationId, name: string) => (await federations.amend(id, { name }, () => true)).ok
  let renamed = 0
  while (await rename(THEIRS, `name ${renamed}`)) renamed++
  // Of twenty fifteen, less being founded and a member.
  expect(renamed).toBe(13)
  expect(await rename(OURS, 'ours')).toBe(true)
  expect((await federations.remove(THEIRS, node)).ok).toBe(true)
  expect((await federations.dissolve(THEIRS)).ok).toBe(true)
})

test('endpoints that are changed again and again, or told of much, keep no other one out', async () => {
  let id = 0
  const doors = { log: openMemoryLog(), clock: virtualClock(0), newEndpointId: () => `we_${id++}` }
  const webhooks = new Webhooks(doors, { passes: 10, entries: 20, changesEach: 4 })
  const add = (federation: FederationId | null) =>
    webhooks.add({ url: 'https://x.example/', events: ['*'], description: '', federation }, null)
  await add(THEIRS)
  const changed = []
  for (let index = 0; index < 5; index++) changed.push(await webhooks.change('we_0', { description: `${index}` }))
  expect(changed.slice(2)).toEqual([expect.objectContaining({ description: '2' }), 'too-many', 'too-many'])
  expect(await webhooks.remove('we_0')).toBe(true)
  expect([(await add(THEIRS)).ok, (await add(OURS)).ok]).toEqual([false, true])
  for (let position = 1; position < 100; position++) await webhooks.pass('we_2', RUN, position)
  expect(await doors.log.head('webhooks')).toBe(10)
  expect((await add(OURS)).ok).toBe(true)
})

test('of files that come at a time each has its share, however slowly they come', async () => {
  const api = await served()
  const made = await api.ask('/v1/api-keys', { method: 'POST', payload: { name: 'theirs', scopes: ['runs:write'] } })
  const headers = { 'content-type': 'application/octet-stream' }
  const bring = (key: string, payload: Readable) => api.ask('/v1/files', { method: 'POST', key, headers, payload })
  const slow = Array.from({ length: 16 }, () => new PassThrough())
  const brought = slow.map((body) => bring(made.body.key, body))
  await new Promise(setImmediate)
  expect((await bring(made.body.key, Readable.from(['x']))).body).toMatchObject({ status: 503, code: 'too_many_files' })
  expect((await bring('key', Readable.from(['x']))).status).toBe(201)
  for (const body of slow) body.end('x')
  expect((await Promise.all(brought)).every(({ status }) => status === 201)).toBe(true)
  expect((await bring(made.body.key, Readable.from(['x']))).status).toBe(201)
})
