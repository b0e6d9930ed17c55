import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Capabilities } from '#coordinator/capabilities.ts'
import { Drains } from '#coordinator/drains.ts'
import { Eligibility } from '#coordinator/eligibility.ts'
import { Federations } from '#coordinator/federations.ts'
import { say } from '#protocol/messages.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { comesTrue } from '#test/eventually.ts'
import { NODES } from './fixture.ts'
import { type Live, live, RawNode } from './live.ts'

const [ANN, BEN, CAT] = NODES as readonly [(typeof NODES)[0], (typeof NODES)[0], (typeof NODES)[0]]

/** A process over a log, which may be one of several, or the next one after its death. */
function process(log = openMemoryLog(), clock = virtualClock(1000)) {
  const federations = new Federations({ log, clock, secret: new Uint8Array(32) })
  const [drains, capabilities] = [new Drains({ log, clock }), new Capabilities({ log, clock })]
  const admits = new Map(NODES.map((node) => [node, null] as const))
  return {
    log,
    clock,
    drains,
    federations,
    eligibility: new Eligibility({ admits, federations, drains, capabilities }),
  }
}

describe('a node that is drained', () => {
  test('is invited to no round by any process, and to rounds again once it is resumed; also after a restart', async () => {
    const one = process()
    const two = process(one.log, one.clock)
    expect(await two.eligibility.invitesAll(null)).toBe(true)
    expect(await one.drains.drain(BEN)).toEqual({ ok: true, value: { since: 1000, isNew: true } })
    await one.clock.advance(500)
    expect(await two.drains.drain(BEN)).toEqual({ ok: true, value: { since: 1000, isNew: false } })
    for (const { eligibility, drains } of [one, two, process(one.log, one.clock)]) {
      expect(await eligibility.invitesAll(null)).toBe(false)
      expect(await eligibility.invited(null, [ANN, BEN, CAT])).toEqual([ANN, CAT])
      expect(await eligibility.of(null, BEN)).toMatchObject({ ok: false, refusal: 'drained' })
      expect(await eligibility.of(null, ANN)).toMatchObject({ ok: true })
      expect([...(await drains.all())]).toEqual([[BEN, 1000]])
    }
    expect(await two.drains.resume(BEN)).toEqual({ since: null, isNew: true })
    expect(await one.drains.resume(BEN)).toEqual({ since: null, isNew: false })
    expect(await one.eligibility.invited(null, [ANN, BEN, CAT])).toEqual([ANN, BEN, CAT])
    expect((await one.eligibility.of(null, BEN)).ok).toBe(true)
  })

  test('is none of the members that a federation’s round is opened to, and still one that has a word in it', async () => {
    const { federations, drains, eligibility } = process()
    const id = 'fed_01KQ7ZT2B4C6D8E0F1G2H3J4K5' as Parameters<typeof federations.add>[0]
    await federations.found(id, { name: 'cardio', description: null }, null)
    for (const node of [ANN, BEN]) await federations.add(id, node, null)
    await drains.drain(BEN)
    expect(await eligibility.invited(id, [ANN, BEN, CAT])).toEqual([ANN])
    expect(await eligibility.among(id, [ANN, BEN, CAT])).toEqual([ANN, BEN])
    expect(await eligibility.mayLink(BEN)).toBe(true)
    // That is what it is told that is no member, whatever it is else.
    await drains.drain(CAT)
    expect(await eligibility.of(id, CAT)).toMatchObject({ ok: false, refusal: 'not-a-member' })
  })
})

describe('over the API and the link', () => {
  let at: Live
  const open: RawNode[] = []
  beforeAll(async () => {
    at = await live({ spotChecks: 'none' })
  })
  afterAll(async () => {
    for (const node of open) await node[Symbol.asyncDispose]()
    await at[Symbol.asyncDispose]()
  })

  const linked = async (name: string) => {
    const node = new RawNode(at.coordinator.url, at.coordinator.id, name)
    open.push(node)
    expect(await node.link()).toBe('linked')
    return node
  }
  const ask = async (method: string, path: string, key = at.key, payload?: object) => {
    const answer = await at.api(path, {
      ...{
        method,
        headers: { authorization: `Bearer ${key}`, ...(payload && { 'content-type': 'application/json' }) },
      },
      ...(payload && { body: JSON.stringify(payload) }),
    })
    return { status: answer.status, body: await answer.json(), isReplayed: answer.headers.has('idempotent-replayed') }
  }
  const post = (path: string, payload?: object, key?: string) => ask('POST', path, key, payload)
  const join = (node: RawNode, { run, round }: Pick<Awaited<ReturnType<typeof inviteTo>>, 'run' | 'round'>) =>
    node.raw(say(node.signer, { kind: 'join', ...node.said(), run, round, advert: null }))
  const inviteTo = (node: RawNode) => node.hear('invite')
  const launch = () => at.launch({ masking: 'none', cohort: { min: 2, max: 2, quorum: 2 } })

  test('it keeps the seat that it has begun with, and is invited to nothing after that until it is resumed', async () => {
    const [ann, ben] = [await linked('ann'), await linked('ben')]
    await launch()
    const [invite] = [await inviteTo(ann), await inviteTo(ben)]
    join(ann, invite)
    await comesTrue(async () => ((await ask('GET', `/v1/runs/${invite.run}`)).body as { round: number }).round === 1)
    const isIn = async () => {
      const { body } = await ask('GET', `/v1/runs/${invite.run}/events`)
      return (body as { data: { type: string; node?: string }[] }).data.some(
        ({ type, node }) => type === 'node.joined' && node === ann.signer.id,
      )
    }
    await comesTrue(isIn)
    const drained = await post(`/v1/nodes/${ann.signer.id}/drain`)
    expect(drained).toMatchObject({ status: 200, body: { id: ann.signer.id, linked: true }, isReplayed: false })
    const { drained_at } = drained.body as { drained_at: string }
    expect(Date.parse(drained_at)).toBeGreaterThan(0)
    expect(await post(`/v1/nodes/${ann.signer.id}/drain`)).toMatchObject({ body: { drained_at }, isReplayed: true })
    // What it joined before it is seated in.
    join(ben, invite)
    expect(await ann.hear('seated')).toMatchObject({ run: invite.run, round: 1 })
    expect(await ben.hear('seated')).toMatchObject({ run: invite.run, round: 1 })

    // The next run's round is opened to the others alone; who asks for a seat all the same is told why not.
    const cat = await linked('cat')
    await launch()
    const other = await inviteTo(cat)
    expect(other.run).not.toBe(invite.run)
    join(ann, other)
    expect(await ann.hear('refused', 'invite')).toMatchObject({ kind: 'refused', of: 'join', refusal: 'drained' })
    const opened = (await ask('GET', `/v1/runs/${other.run}/events`)).body as { data: { type: string }[] }
    expect(opened.data.find(({ type }) => type === 'round.opened')).toMatchObject({ invited: 2 })
    // Nor is she when she comes back.
    await ann[Symbol.asyncDispose]()
    const again = await linked('ann')
    join(again, other)
    expect(await again.hear('refused', 'invite')).toMatchObject({ kind: 'refused' })

    expect(await post(`/v1/nodes/${ann.signer.id}/resume`)).toMatchObject({ status: 200, body: { drained_at: null } })
    await launch()
    expect((await inviteTo(again)).run).not.toBe(other.run)
  })

  test('it is told where nodes are, also while it is away; who sent it away is in the audit log, and once', async () => {
    const dan = await linked('dan')
    const { id } = dan.signer
    await post(`/v1/nodes/${id}/drain`)
    await post(`/v1/nodes/${id}/drain`)
    await dan[Symbol.asyncDispose]()
    const listed = async (query: string) =>
      ((await ask('GET', `/v1/nodes${query}`)).body as { data: { id: string }[] }).data.filter((one) => one.id === id)
    await comesTrue(async () => (await listed('')).length === 0)
    expect(await listed('?which=known')).toMatchObject([{ linked: false, drained_at: expect.stringMatching(/Z$/) }])
    expect((await ask('GET', `/v1/nodes/${id}`)).body).toMatchObject({ drained_at: expect.stringMatching(/Z$/) })
    expect((await post(`/v1/nodes/${id}/resume`)).body).toMatchObject({ linked: false, drained_at: null })
    expect((await ask('GET', `/v1/nodes/${id}`)).status).toBe(404)
    const { data } = (await ask('GET', '/v1/audit-events')).body as { data: { action: string; target: string }[] }
    const about = data.filter(({ target }) => target?.includes(id)).map(({ action }) => action)
    expect(about).toEqual(['POST /v1/nodes/{id}/resume', 'POST /v1/nodes/{id}/drain'])
  })

  test('nobody does it without the scope, none of a federation does it to others, and none does it to nobody', async () => {
    const eve = await linked('eve')
    const path = `/v1/nodes/${eve.signer.id}/drain`
    const keyOf = async (body: object) =>
      ((await post('/v1/api-keys', { name: 'a', ...body })).body as { key: string }).key
    const reader = await keyOf({ scopes: ['nodes:read'] })
    expect(await post(path, undefined, reader)).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } })
    const { id: federation } = (await post('/v1/federations', { name: 'cardio' })).body as { id: string }
    await post(`/v1/federations/${federation}/members`, { node: eve.signer.id })
    const tenant = await keyOf({ scopes: ['nodes:admin'], federation })
    expect(await post(path, undefined, tenant)).toMatchObject({ status: 403, body: { code: 'outside_federation' } })
    for (const nobody of ['z6Mk', ANN])
      for (const what of ['drain', 'resume']) expect((await post(`/v1/nodes/${nobody}/${what}`)).status).toBe(404)
    expect(await post(path, undefined, await keyOf({ scopes: ['nodes:admin'] }))).toMatchObject({ status: 200 })
  })
})
