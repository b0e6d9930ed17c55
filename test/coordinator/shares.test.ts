import { beforeEach, describe, expect, test } from '@jest/globals'
import { SCOPES } from '#coordinator/api/caller.ts'
import { Federations } from '#coordinator/federations.ts'
import { Webhooks } from '#coordinator/webhooks.ts'
import type { FederationId } from '#protocol/ids.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { request, signer } from './live.ts'
import { served } from './served.ts'

const [OURS, THEIRS] = ['fed_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'fed_01ARZ3NDEKTSV4RRFFQ69G5FAW'] as [
  FederationId,
  FederationId,
]

describe('a federation that takes all that it gets', () => {
  let api: Awaited<ReturnType<typeof served>>
  let [ours, theirs] = ['', '']
  beforeEach(async () => {
    api = await served({ bounds: { unfinishedRuns: 4 } })
    const keyOf = async (name: string) => {
      const federation = (await api.ask('/v1/federations', { method: 'POST', payload: { name } })).body.id as string
      const payload = { name, scopes: SCOPES, federation }
      return (await api.ask('/v1/api-keys', { method: 'POST', payload })).body.key as string
    }
    ours = await keyOf('ours')
    theirs = await keyOf('theirs')
  })

  test('leaves a run that another one launches, and the coordinator’s own the rest', async () => {
    const launch = async (key?: string) => {
      const { status, body } = await api.ask('/v1/runs', { method: 'POST', payload: request(), ...(key && { key }) })
      return status === 201 ? status : body.code
    }
    for (let run = 0; run < 3; run++) expect(await launch(theirs)).toBe(201)
    expect(await launch(theirs)).toBe('too_many_runs')
    expect(await launch(ours)).toBe(201)
    expect(await launch()).toBe('too_many_runs')
  })

  test('leaves keys that another one makes', async () => {
    const make = async (key: string) => {
      const { federation } = (await api.ask('/v1/whoami', { key })).body
      const payload = { name: 'x', scopes: ['runs:read'], federation }
      return (await api.ask('/v1/api-keys', { method: 'POST', key, payload })).status
    }
    const made: number[] = []
    while (made.at(-1) !== 409 && made.length <= 1000) made.push(await make(theirs))
    expect(made).toHaveLength(750)
    expect(await make(ours)).toBe(201)
  })
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
