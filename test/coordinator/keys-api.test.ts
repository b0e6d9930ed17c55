import { describe, expect, test } from '@jest/globals'
import { SCOPES } from '#coordinator/api/caller.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { request } from './live.ts'
import { type Asked, served } from './served.ts'

const FED = 'fed_01KQ7ZT2B4C6D8E0F1G2H3J4K5'
type Api = Awaited<ReturnType<typeof served>>

async function make(api: Api, body: object, more: Asked = {}) {
  const made = await api.ask('/v1/api-keys', { method: 'POST', payload: { name: 'one', ...body }, ...more })
  return { ...made, id: made.body?.id as string, key: made.body?.key as string }
}

describe('API keys', () => {
  test('are shown once, say who calls, and are good for their scopes and nothing else', async () => {
    const api = await served()
    const { status, id, key, body } = await make(api, { scopes: ['runs:read', 'runs:read'], federation: FED })
    expect(status).toBe(201)
    expect(key).toMatch(new RegExp(`^ck_live_${id}_[0-9a-f]{56}$`))
    expect(body).toMatchObject({ scopes: ['runs:read'], federation: FED, expires_at: null, last_used_at: null })
    const who = { id, name: 'one', scopes: ['runs:read'], federation: FED, expires_at: null }
    expect((await api.ask('/v1/whoami', { key })).body).toEqual(who)
    expect((await api.ask('/v1/runs', { key })).status).toBe(200)
    const refused = await api.ask('/v1/runs', { key, method: 'POST', payload: request({ budget: '0' }) })
    expect([refused.status, refused.body.code]).toEqual([403, 'insufficient_scope'])
    expect((await api.ask('/v1/api-keys', { key })).status).toBe(403)
    const listed = await api.ask('/v1/api-keys')
    expect(listed.body.data).toMatchObject([{ id, last_used_at: '2026-11-22T00:00:00.000Z' }])
    expect(listed.text).not.toContain(key.slice(-56))
    expect((await api.ask('/v1/whoami')).body).toMatchObject({ id: 'root', scopes: SCOPES, federation: null })
  })

  test('that are good no more are as none: whoever has one is kept waiting as a stranger is', async () => {
    const api = await served({ bounds: { strangers: { perSecond: 0.001, burst: 3 } } })
    const { key, id } = await make(api, { scopes: ['runs:read'] })
    for (let request = 0; request < 5; request++) expect((await api.ask('/v1/whoami', { key })).status).toBe(200)
    await api.ask(`/v1/api-keys/${id}`, { method: 'DELETE' })
    const statuses = []
    for (let request = 0; request < 5; request++) statuses.push((await api.ask('/v1/whoami', { key })).status)
    expect(statuses).toEqual([401, 401, 401, 429, 429])
  })

  test('of which nothing in the log could be used: neither the key nor its secret is there', async () => {
    const api = await served()
    const { key } = await make(api, { scopes: ['runs:read'] }, { headers: { 'idempotency-key': 'secret-words' } })
    await api.ask('/v1/session', { key: null, method: 'POST', payload: { key } })
    let written = ''
    for (const stream of ['api-keys', 'audit'])
      for await (const entry of api.log.read(stream)) written += Buffer.from(entry).toString('latin1')
    expect(written).toContain('runs:read')
    for (const secret of [key, key.slice(-56), key.slice(-56, -8), 'secret-words'])
      expect(written).not.toContain(secret)
  })

  test.each([
    ['one letter of the secret', (key: string) => key.replace(/.(?=.{8}$)/, (letter) => (letter === '0' ? '1' : '0'))],
    ['one letter of the checksum', (key: string) => key.replace(/.$/, (letter) => (letter === '0' ? '1' : '0'))],
    ['a key that was cut', (key: string) => key.slice(0, -1)],
    ['another scheme', (key: string) => `x ${key}`],
    ['nothing', () => ''],
  ])('are no keys with %s changed', async (_what, change) => {
    const api = await served()
    const { key } = await make(api, { scopes: ['runs:read'] })
    const answer = await api.ask('/v1/whoami', { key: change(key) })
    expect([answer.status, answer.body.code, answer.headers['www-authenticate']]).toEqual([
      401,
      'unauthorized',
      'Bearer',
    ])
  })

  test('end when they are revoked, at every process at once, and when their time is over', async () => {
    const one = await served()
    const other = await served({ log: one.log, clock: one.clock })
    const expiresAt = new Date(one.clock.now() + 60_000).toISOString()
    const [lasting, passing] = [
      await make(one, { scopes: ['runs:read'] }),
      await make(one, { scopes: ['runs:read'], expiresAt }),
    ]
    for (const { key } of [lasting, passing]) expect((await other.ask('/v1/runs', { key })).status).toBe(200)
    const revoked = await one.ask(`/v1/api-keys/${lasting.id}`, { method: 'DELETE' })
    expect(revoked.body).toMatchObject({ id: lasting.id, revoked_at: '2026-11-22T00:00:00.000Z' })
    for (const api of [one, other]) {
      const answer = await api.ask('/v1/runs', { key: lasting.key })
      expect([answer.status, answer.body.detail]).toEqual([401, 'this key was revoked'])
    }
    await one.clock.advance(59_999)
    expect((await other.ask('/v1/runs', { key: passing.key })).status).toBe(200)
    await one.clock.advance(1)
    expect((await other.ask('/v1/runs', { key: passing.key })).body.detail).toBe('this key has expired')
    expect((await one.ask(`/v1/api-keys/${lasting.id}`, { method: 'DELETE' })).body).toEqual(revoked.body)
    expect((await make(one, { scopes: ['runs:read'], expiresAt })).body.errors).toMatchObject([
      { pointer: '/expiresAt' },
    ])
  })

  test('tell no address of events that they may not read themselves', async () => {
    const api = await served()
    const path = '/v1/webhook-endpoints'
    const payload = { url: 'https://hooks.example.org/' }
    const { key } = await make(api, { scopes: ['webhooks:admin'] })
    const ask = async (more: object) => (await api.ask(path, { method: 'POST', payload, ...more })).status
    expect(await ask({ key })).toBe(403)
    expect(await ask({ key: (await make(api, { scopes: ['webhooks:admin', 'runs:read'] })).key })).toBe(201)
    expect((await api.ask(`${path}/we_0`, { method: 'PATCH', payload, key })).status).toBe(403)
    expect((await api.ask(`${path}/we_0`, { method: 'DELETE', key })).status).toBe(204)
  })

  test('make none that outlasts them', async () => {
    const api = await served()
    const expiresAt = '2026-11-23T00:00:00.000Z'
    const { key } = await make(api, { scopes: ['keys:admin', 'runs:read'], expiresAt })
    for (const later of [null, '2026-11-23T00:00:00.001Z'])
      expect((await make(api, { scopes: ['runs:read'], expiresAt: later }, { key })).body).toMatchObject({
        ...{ status: 403, code: 'beyond_own_key', errors: [{ pointer: '/expiresAt' }] },
      })
    expect((await make(api, { scopes: ['runs:read'], expiresAt }, { key })).status).toBe(201)
  })

  test('give no more than they have, and see no keys but those of their federation', async () => {
    const api = await served()
    const { key } = await make(api, { scopes: ['keys:admin', 'runs:read'], federation: FED })
    const beyond = async (body: object) => (await make(api, body, { key })).body
    expect(await beyond({ scopes: ['runs:write'], federation: FED })).toMatchObject({
      status: 403,
      code: 'beyond_own_key',
    })
    expect(await beyond({ scopes: ['runs:read'] })).toMatchObject({ status: 403, errors: [{ pointer: '/federation' }] })
    const own = await make(api, { scopes: ['runs:read'], federation: FED }, { key })
    const foreign = await make(api, { scopes: ['runs:read'] })
    expect((await api.ask('/v1/api-keys', { key })).body.data).toHaveLength(2)
    expect((await api.ask(`/v1/api-keys/${own.id}`, { key })).status).toBe(200)
    for (const method of ['GET', 'DELETE'] as const)
      expect((await api.ask(`/v1/api-keys/${foreign.id}`, { key, method })).status).toBe(404)
    expect((await api.ask('/v1/runs', { key: foreign.key })).status).toBe(200)
  })

  test('are listed page by page, each once, with a link to the next page', async () => {
    const api = await served()
    const made: string[] = []
    for (const name of ['a', 'b', 'c']) made.unshift((await make(api, { name, scopes: ['runs:read'] })).id)
    const seen: string[] = []
    for (let path: string | undefined = '/v1/api-keys?limit=2'; path; ) {
      const { body, headers } = await api.ask(path)
      seen.push(...body.data.map(({ id }: { id: string }) => id))
      path = /^<(\S+)>; rel="next"$/.exec(String(headers['link']))?.[1]
      expect(path === undefined).toBe(!body.has_more)
    }
    expect(seen).toEqual(made.toSorted().reverse())
  })

  test('are made once under an idempotency key, of one caller for one body, and show the same secret again', async () => {
    const log = openMemoryLog()
    const [one, other] = [await served({ log }), await served({ log })]
    const again = { headers: { 'idempotency-key': 'x' } }
    const refused = await make(one, { scopes: ['runs:read'], expiresAt: '2020-01-01T00:00:00Z' }, again)
    expect(refused.status).toBe(422)
    const made = await Promise.all([one, other, one].map((api) => make(api, { scopes: ['runs:read'] }, again)))
    expect(new Set(made.map(({ text }) => text)).size).toBe(1)
    expect(made.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(made.filter(({ headers }) => headers['idempotent-replayed'] === 'true')).toHaveLength(2)
    const passing = { scopes: ['runs:read'], expiresAt: new Date(one.clock.now() + 1000).toISOString() }
    const before = await make(one, passing, { headers: { 'idempotency-key': 'y' } })
    await one.clock.advance(1000)
    expect((await make(one, passing, { headers: { 'idempotency-key': 'y' } })).text).toBe(before.text)
    const reused = await make(other, { scopes: ['nodes:read'] }, again)
    expect([reused.status, reused.body.code]).toEqual([422, 'idempotency_key_reused'])
    const { key } = await make(one, { scopes: ['keys:admin', 'runs:read'] })
    const theirs = await make(one, { scopes: ['runs:read'] }, { ...again, key })
    expect(theirs.headers['idempotent-replayed']).toBeUndefined()
    expect(theirs.id).not.toBe(made[0]?.id)
  })

  test('are revoked as they were read, or not at all', async () => {
    const api = await served()
    const { id, key } = await make(api, { scopes: ['runs:read'] })
    const read = await api.ask(`/v1/api-keys/${id}`)
    const etag = String(read.headers['etag'])
    expect((await api.ask(`/v1/api-keys/${id}`, { headers: { 'if-none-match': `"x", W/${etag}` } })).status).toBe(304)
    await api.ask('/v1/whoami', { key })
    const revoke = (tag: string) => api.ask(`/v1/api-keys/${id}`, { method: 'DELETE', headers: { 'if-match': tag } })
    expect((await revoke(etag)).body).toMatchObject({ status: 412, code: 'precondition_failed' })
    expect((await api.ask('/v1/whoami', { key })).status).toBe(200)
    const now = String((await api.ask(`/v1/api-keys/${id}`)).headers['etag'])
    expect((await revoke(now)).status).toBe(200)
  })
})

describe('a launch', () => {
  test('of another caller is not repeated under the same idempotency key', async () => {
    const api = await served()
    const callers = [
      'key',
      (await make(api, { scopes: ['runs:write'] })).key,
      (await make(api, { scopes: ['runs:write'] })).key,
    ]
    const launch = (key: string) =>
      api.ask('/v1/runs', { method: 'POST', key, payload: request(), headers: { 'idempotency-key': 'mine' } })
    const [first, second] = [await Promise.all(callers.map(launch)), await Promise.all(callers.map(launch))]
    expect(first.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(new Set(first.map(({ body }) => body.id)).size).toBe(3)
    expect(second.map(({ status, body }) => [status, body.id])).toEqual(first.map(({ body }) => [200, body.id]))
  })
})

describe('requests', () => {
  test('have a rate for each key, which says what is left of it, and one key does not use up another', async () => {
    const api = await served({ bounds: { requests: { perSecond: 0.01, burst: 2 } } })
    const { key } = await make(api, { scopes: ['runs:read'] })
    const [first, second, third] = [
      await api.ask('/v1/whoami', { key }),
      await api.ask('/v1/whoami', { key }),
      await api.ask('/v1/whoami', { key }),
    ]
    expect(first.headers).toMatchObject({ 'ratelimit-policy': '"key";q=2;w=200', ratelimit: '"key";r=1;t=100' })
    expect(second.headers).toMatchObject({ ratelimit: '"key";r=0;t=200' })
    expect([third.status, third.body.code, third.headers['retry-after']]).toEqual([429, 'too_many_requests', '100'])
    expect((await api.ask('/v1/whoami')).status).toBe(200)
  })

  test('without a key have a rate of their own, which keeps nobody out who has one', async () => {
    const api = await served({ bounds: { strangers: { perSecond: 0.01, burst: 3 } } })
    const { key } = await make(api, { scopes: ['runs:read'] })
    const statuses: number[] = []
    for (const wrong of [null, 'nonsense', key.replace(/^(ck_live_.{40}).*/, '$1'), 'x', null])
      statuses.push((await api.ask('/v1/whoami', { key: wrong })).status)
    expect(statuses).toEqual([401, 401, 401, 429, 429])
    expect((await api.ask('/v1/session', { key: null, method: 'POST', payload: { key: 'x' } })).status).toBe(429)
    for (const right of ['key', key]) expect((await api.ask('/v1/whoami', { key: right })).status).toBe(200)
  })
})
