import { expect, test } from '@jest/globals'
import type { PublicDataset } from '#protocol/dataset.ts'
import { fingerprintOf } from '#protocol/fingerprint.ts'
import { stateAcceptance } from '#protocol/invite.ts'
import { node } from './fixture.ts'
import { request, signer } from './live.ts'
import { served } from './served.ts'

type Api = Awaited<ReturnType<typeof served>>
/** As every API of these tests has it. */
const coordinator = node(0)
const ann = signer('ann')

async function founded(api: Api, name = 'cardio'): Promise<string> {
  return (await api.ask('/v1/federations', { method: 'POST', payload: { name } })).body.id
}

/** As a node takes an invite. */
function take(api: Api, code: string, { by = ann, to = coordinator, typed = code } = {}) {
  const statement = Buffer.from(stateAcceptance(by, { to, code, at: api.clock.now() })).toString('base64')
  return api.ask('/v1/invites/accept', { method: 'POST', key: null, payload: { code: typed, statement } })
}

test('a node that is asked in becomes a member without an API key, and the code is shown once', async () => {
  const api = await served()
  const path = `/v1/federations/${await founded(api)}`
  expect((await api.ask('/v1/coordinator', { key: null })).body).toEqual({
    ...{ id: coordinator, fingerprint: fingerprintOf(coordinator) },
  })
  const payload = { operator: 'st-elsewhere' }
  const made = await api.ask(`${path}/invites`, { method: 'POST', payload })
  expect(made).toMatchObject({ status: 201, body: { uses_left: 1, expires_at: '2026-12-06T00:00:00.000Z' } })
  const { code } = made.body
  expect((await api.ask(`${path}/invites`)).text).not.toContain(code)
  const accepted = { federation: path.split('/').at(-1), name: 'cardio', operator: 'st-elsewhere' }
  for (const typed of [code, code.toLowerCase().replaceAll('-', ' ')])
    expect(await take(api, code, { typed })).toMatchObject({ status: 200, body: accepted })
  expect((await api.ask(`${path}/members`)).body.data).toEqual([
    { node: ann.id, operator: 'st-elsewhere', linked: false, joined_at: '2026-11-22T00:00:00.000Z', via: 'invite' },
  ])
  expect((await api.ask(`${path}/invites`)).body.data).toMatchObject([{ uses_left: 0, revoked_at: null }])
  expect((await api.ask(path)).body.members).toBe(1)
})

test('whoever misuses an invite is told how, and becomes nothing', async () => {
  const api = await served()
  const path = `/v1/federations/${await founded(api)}`
  const invite = async (payload: object = {}) => (await api.ask(`${path}/invites`, { method: 'POST', payload })).body
  const { code, id } = await invite()
  const refused = async (answer: ReturnType<typeof take>) => {
    const { status, body } = await answer
    return [status, body.code]
  }
  expect(await refused(take(api, code, { to: signer('elsewhere').id }))).toEqual([422, 'bad_statement'])
  expect(await refused(take(api, '0000-0000-0000-0000'))).toEqual([422, 'bad_code'])
  const elsewhere = await served()
  const foreign = `/v1/federations/${await founded(elsewhere)}/invites`
  const { code: theirs } = (await elsewhere.ask(foreign, { method: 'POST', payload: {} })).body
  expect(await refused(take(api, theirs))).toEqual([404, 'no_invite'])
  expect((await api.ask(`${path}/invites/${id}`, { method: 'DELETE' })).status).toBe(204)
  expect(await refused(take(api, code))).toEqual([410, 'invite_revoked'])
  const soon = await invite({ expiresAt: '2026-11-22T00:00:01Z' })
  await api.clock.advance(1000)
  expect(await refused(take(api, soon.code))).toEqual([410, 'invite_expired'])
  const { code: last } = await invite()
  expect((await take(api, last)).status).toBe(200)
  expect(await refused(take(api, last, { by: signer('ben') }))).toEqual([410, 'invite_spent'])
  await api.ask(`${path}/members/${ann.id}`, { method: 'DELETE' })
  expect(await refused(take(api, last))).toEqual([409, 'invite_taken'])
  for (const statement of ['', 'AAAA', '!', 'A'.repeat(2000)]) {
    const answer = await api.ask('/v1/invites/accept', {
      method: 'POST',
      key: null,
      payload: { code: last, statement },
    })
    expect([400, 422]).toContain(answer.status)
  }
  expect((await api.ask(`${path}/members`)).body.data).toEqual([])
  expect(
    (await api.ask(`${path}/invites`, { method: 'POST', payload: { expiresAt: '2020-01-01T00:00:00Z' } })).status,
  ).toBe(422)
})

test('codes are tried no faster than one address may, and then later is said', async () => {
  const api = await served()
  const answers = []
  for (let tries = 0; tries < 25; tries++) answers.push(await take(api, '0000-0000-0000-000D'))
  expect(answers.filter(({ status }) => status === 429)).not.toEqual([])
  expect(answers.at(-1)).toMatchObject({ status: 429, headers: { 'retry-after': '5' } })
})

test('a federation is renamed by whoever has seen it as it is, and dissolved when its runs have ended', async () => {
  const api = await served()
  const id = await founded(api)
  const path = `/v1/federations/${id}`
  const etag = String((await api.ask(path)).headers['etag'])
  const rename = (name: string) => api.ask(path, { method: 'PATCH', payload: { name }, headers: { 'if-match': etag } })
  expect([(await rename('a')).status, (await rename('b')).status]).toEqual([200, 412])
  expect((await api.ask(path)).body).toMatchObject({ name: 'a', description: null, members: 0 })
  expect(
    (await api.ask('/v1/runs', { method: 'POST', payload: request({ budget: '0', federation: id }) })).status,
  ).toBe(201)
  expect(await api.ask(path, { method: 'DELETE' })).toMatchObject({ status: 409, body: { code: 'federation_in_use' } })
  const other = await founded(api, 'empty')
  expect((await api.ask(`/v1/federations/${other}`, { method: 'DELETE' })).status).toBe(204)
  expect((await api.ask(`/v1/federations/${other}`)).status).toBe(404)
  expect((await api.ask('/v1/federations')).body.data.map((one: { id: string }) => one.id)).toEqual([id])
})

test('masks of a run are made for as many corrupt nodes as its federation is large', async () => {
  const api = await served()
  const federation = await founded(api)
  for (let member = 0; member < 16; member++)
    await api.ask(`/v1/federations/${federation}/members`, {
      method: 'POST',
      payload: { node: signer(`m${member}`).id },
    })
  const cohort = { min: 8, max: 16, quorum: 6 }
  const { body } = await api.ask('/v1/runs', { method: 'POST', payload: request({ budget: '0', federation, cohort }) })
  expect(api.runner.run(body.id)?.spec).toMatchObject({ federation, secure: { corrupt: 3 } })
})

test('what nodes publish is listed by node, each with its operator, and no more than they said', async () => {
  const api = await served()
  const path = `/v1/federations/${await founded(api)}/members`
  await api.ask(path, { method: 'POST', payload: { node: ann.id, operator: 'st-elsewhere' } })
  const table: PublicDataset = {
    ...{ kind: 'table', name: 'echo', rowsAtLeast: 1024 },
    columns: [{ name: 'age', kind: 'number' }],
  }
  await api.datasets.publish(ann.id, 1, table)
  await api.datasets.publish(signer('ben').id, 1, {
    kind: 'image',
    name: 'x',
    rowsAtLeast: 0,
    shape: [8, 8],
    classes: 10,
  })
  const listed = (await api.ask('/v1/datasets')).body.data
  expect(listed).toHaveLength(2)
  expect(listed).toContainEqual({
    ...{ node: ann.id, operator: 'st-elsewhere', name: 'echo', kind: 'table', shape: null, classes: null },
    ...{ columns: [{ name: 'age', kind: 'number' }], rows_at_least: 1024, published_at: '2026-11-22T00:00:00.000Z' },
  })
})
