import { describe, expect, test } from '@jest/globals'
import { readSignIn, type SignIn, SignIns } from '#coordinator/sign-ins.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { AuditEventView } from '#sdk/views/access.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { request } from './live.ts'
import { type Asked, served } from './served.ts'

type Api = Awaited<ReturnType<typeof served>>

async function made(api: Api, scopes: readonly string[], federation: string | null = null) {
  const payload = { name: 'one', scopes, federation }
  return (await api.ask('/v1/api-keys', { method: 'POST', payload })).body as { id: string; key: string }
}

/** A browser: it has a cookie, and never a key. */
async function browser(api: Api, key: string) {
  const signedIn = await api.ask('/v1/session', { key: null, method: 'POST', payload: { key } })
  expect(signedIn.status).toBe(204)
  const set = String(signedIn.headers['set-cookie'])
  const cookie = `other=1; ${set.split(';')[0]}`
  const ask = (url: string, more: Asked = {}, at = api) =>
    at.ask(url, { ...more, key: null, headers: { ...more.headers, cookie } })
  return { set, cookie, ask, token: (await ask('/v1/session')).body.csrf as string }
}

type Browser = Awaited<ReturnType<typeof browser>>

describe('a browser that has signed in', () => {
  test('is the key it came with, at every process, by a cookie that no script and no other site has', async () => {
    const api = await served()
    const { id, key } = await made(api, ['runs:read'])
    const { set, ask } = await browser(api, key)
    expect(set).toMatch(/^consilium_session=\S+; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/)
    expect(set).not.toContain(key.slice(-56, -8))
    const other = await served({ log: api.log, clock: api.clock })
    for (const at of [api, other]) {
      const who = await ask('/v1/session', {}, at)
      expect(who.body).toMatchObject({ id, scopes: ['runs:read'], csrf: expect.stringMatching(/^[0-9a-f]{64}$/) })
      expect((await ask('/v1/runs', {}, at)).status).toBe(200)
      expect((await ask('/v1/api-keys', {}, at)).status).toBe(403)
    }
    expect((await api.ask('/v1/session', { key })).body).toMatchObject({ id, csrf: null })
  })

  test('changes nothing without the token that only its own pages can read', async () => {
    const api = await served()
    const { ask, token } = await browser(api, 'key')
    const stranger = await browser(api, 'key')
    const payload = { name: 'two', scopes: ['runs:read'] }
    const make = (headers = {}) => ask('/v1/api-keys', { method: 'POST', payload, headers })
    for (const headers of [{}, { 'x-csrf-token': '' }, { 'x-csrf-token': stranger.token }]) {
      const refused = await make(headers)
      expect([refused.status, refused.body.code]).toEqual([403, 'csrf_token_needed'])
    }
    expect((await api.ask('/v1/api-keys')).body.data).toEqual([])
    expect((await make({ 'x-csrf-token': token })).status).toBe(201)
    expect((await api.ask('/v1/api-keys')).body.data).toHaveLength(1)
  })

  test('is signed out with its key, and by the evening', async () => {
    const api = await served()
    const { id, key } = await made(api, ['runs:read'])
    const [one, root] = [await browser(api, key), await browser(api, 'key')]
    await api.ask(`/v1/api-keys/${id}`, { method: 'DELETE' })
    expect((await one.ask('/v1/runs')).status).toBe(401)
    expect((await root.ask('/v1/runs')).status).toBe(200)
    await api.clock.advance(12 * 3_600_000)
    expect((await root.ask('/v1/runs')).status).toBe(401)
  })

  test.each(['root', 'another'])(
    'and signs out is nobody at every process, with any copy of its cookie: %s',
    async (who) => {
      const api = await served()
      const other = await served({ log: api.log, clock: api.clock })
      const key = who === 'root' ? 'key' : (await made(api, ['runs:read'])).key
      const [one, stays] = [await browser(api, key), await browser(api, key)]
      expect((await one.ask('/v1/runs', {}, other)).status).toBe(200)
      const out = await one.ask('/v1/session', { method: 'DELETE', headers: { 'x-csrf-token': one.token } })
      expect([out.status, String(out.headers['set-cookie'])]).toEqual([
        204,
        expect.stringContaining('session=; Path=/; Max-Age=0'),
      ])
      for (const at of [api, other, await served({ log: api.log, clock: api.clock })]) {
        const copy = await one.ask('/v1/runs', {}, at)
        expect([copy.status, copy.body.detail]).toEqual([401, 'this browser has signed out'])
        expect((await stays.ask('/v1/runs', {}, at)).status).toBe(200)
      }
      expect((await api.ask('/v1/runs', { key })).status).toBe(200)
    },
  )

  test('is not signed out by a page of another site', async () => {
    const api = await served()
    const { ask } = await browser(api, 'key')
    expect((await ask('/v1/session', { method: 'DELETE' })).status).toBe(403)
    expect((await ask('/v1/runs')).status).toBe(200)
  })

  test.each<[string, (api: Api, given: { id: string; sessions: readonly Browser[] }) => unknown]>([
    [
      'signs out',
      (_api, { sessions }) =>
        sessions.map(({ ask, token }) => ask('/v1/session', { method: 'DELETE', headers: { 'x-csrf-token': token } })),
    ],
    ['has its key revoked', (api, { id }) => api.ask(`/v1/api-keys/${id}`, { method: 'DELETE' })],
    ['has a key that expires', ({ clock }) => clock.advance(60_000)],
  ])('hears no more of what goes on once it %s, at another process', async (_what, end) => {
    const over = { clock: virtualClock(Date.UTC(2026, 10, 22)), log: openMemoryLog() }
    const api = await served(over)
    const other = await served({ ...over, bounds: { heartbeatMillis: 10 } })
    const url = await other.server.listen({ port: 0, host: '127.0.0.1' })
    const payload = { name: 'one', scopes: ['runs:read'], expiresAt: new Date(api.clock.now() + 60_000).toISOString() }
    const { id, key } = (await api.ask('/v1/api-keys', { method: 'POST', payload })).body
    const { id: run } = (await other.ask('/v1/runs', { method: 'POST', payload: request({ budget: '0' }) })).body
    const sessions = [await browser(api, key), await browser(api, key)]
    const open = async (path: string, headers: object) => {
      const stream = await fetch(url + path, { headers: { accept: 'text/event-stream', ...headers } })
      expect(stream.status).toBe(200)
      return stream
    }
    const [one, two] = sessions as [Browser, Browser]
    const feed = await open('/v1/events', { cookie: one.cookie })
    const events = await open(`/v1/runs/${run}/events`, { cookie: two.cookie })
    const stays = await open('/v1/events', { authorization: 'Bearer key' })
    await end(api, { id, sessions })
    expect(await Promise.all([feed.text(), events.text()])).toEqual([
      expect.stringContaining('reset'),
      expect.stringContaining('created'),
    ])
    await stays.body?.cancel()
    await other.server.close()
  })

  test.each([
    ['another key', (cookie: string, id: string) => cookie.replace('root', id)],
    ['a later end', (cookie: string) => cookie.replace(/\.(\d+)\./, (_all, until) => `.${Number(until) + 1}.`)],
    ['another seal', (cookie: string) => cookie.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))],
    ['nothing in it', () => 'consilium_session='],
  ])('cannot make itself a cookie with %s', async (_what, change) => {
    const api = await served()
    const { id } = await made(api, ['runs:read'])
    const { cookie } = await browser(api, 'key')
    const answer = await api.ask('/v1/runs', { key: null, headers: { cookie: change(cookie, id) } })
    expect(answer.status).toBe(401)
  })

  test('is nobody any more once the root key was replaced', () => {
    const [secret, old, fresh] = ['secret', 'old', 'fresh'].map((text) => sha256(utf8(text))) as [Bytes, Bytes, Bytes]
    const signIns = new SignIns(secret)
    const signIn = readSignIn(signIns.begin('root', old, 0)) as SignIn
    expect([signIns.isOf(signIn, old, 1), signIns.isOf(signIn, fresh, 1)]).toEqual([true, false])
  })

  test('had a key: what is none signs nobody in', async () => {
    const api = await served()
    const answer = await api.ask('/v1/session', { key: null, method: 'POST', payload: { key: 'nonsense' } })
    expect([answer.status, answer.headers['set-cookie']]).toEqual([401, undefined])
  })
})

describe('the audit log', () => {
  const events = async (api: Api, query = '', more: Asked = {}) =>
    (await api.ask(`/v1/audit-events${query}`, more)).body as {
      data: (Pick<AuditEventView, 'action' | 'target' | 'status' | 'seq' | 'hash' | 'before'> & {
        actor: { id: string }
      })[]
      next: string | null
    }
  const told = ({ data }: Awaited<ReturnType<typeof events>>) =>
    data.map(({ actor, action, target, status }) => [actor.id, action, target, status])

  test('tells who changed what, and who was not allowed to, and nothing of what came to nothing', async () => {
    const api = await served()
    const { id, key } = await made(api, ['runs:read'])
    const payload = { name: 'two', scopes: ['runs:read'] }
    for (const _ of [1, 2]) await api.ask('/v1/api-keys', { key, method: 'POST', payload })
    await api.ask(`/v1/api-keys/${key}?x=1`, { key, method: 'DELETE' })
    await api.ask('/v1/api-keys', { method: 'POST', payload: { name: '' } })
    await api.ask('/v1/api-keys/key_x', { method: 'DELETE' })
    await api.ask('/v1/api-keys', { key: 'nonsense', method: 'POST', payload })
    await browser(api, key)
    expect((await api.ask(`/v1/api-keys/${id}?x=1`, { method: 'DELETE' })).status).toBe(400)
    await api.ask(`/v1/api-keys/${id}`, { method: 'DELETE' })
    const path = `/v1/api-keys/${id}`
    expect(told(await events(api))).toEqual([
      ['root', 'DELETE /v1/api-keys/{id}', path, 200],
      [id, 'POST /v1/session', null, 204],
      [id, 'DELETE /v1/api-keys/{id}', '/v1/api-keys/ck_…', 403],
      [id, 'POST /v1/api-keys', null, 403],
      ['root', 'POST /v1/api-keys', path, 201],
    ])
    const { data } = await events(api)
    expect(data.map(({ seq, before }) => [seq, before])).toEqual(
      [1, 2, 3, 4, 5].map((next) => [5 - next, data[next]?.hash ?? null]),
    )
    expect(data[0]).toEqual({
      ...{ id: expect.stringMatching(/^aud_[0-9A-Z]{26}$/), time: '2026-11-22T00:00:00.000Z' },
      ...{ actor: { id: 'root', name: 'root' }, action: 'DELETE /v1/api-keys/{id}', target: path, status: 200 },
      ...{ request_id: expect.stringMatching(/^req_/), federation: null, seq: 4 },
      ...{ hash: expect.stringMatching(/^[0-9a-f]{64}$/), before: expect.any(String) },
    })
  })

  test('tells a repeat once, and a page at a time what all processes did', async () => {
    const one = await served()
    const other = await served({ log: one.log, clock: one.clock })
    const make = (api: Api, name: string) =>
      api.ask('/v1/api-keys', {
        ...{ method: 'POST', payload: { name, scopes: ['runs:read'] }, headers: { 'idempotency-key': name } },
      })
    const names = ['a', 'b', 'c', 'd', 'e']
    for (const name of names) await Promise.all([make(one, name), make(other, name)])
    const seen: (string | null)[] = []
    for (let query = '?limit=2'; ; ) {
      const { data, next } = await events(other, query)
      seen.push(...data.map(({ target }) => target))
      if (next === null) break
      query = `?limit=2&after=${next}`
    }
    const keys = (await one.ask('/v1/api-keys')).body.data as { id: string }[]
    expect(seen).toEqual(keys.map(({ id }) => `/v1/api-keys/${id}`))
  })

  test('shows a key of one federation what keys of that federation did', async () => {
    const api = await served()
    const [ours, theirs] = ['fed_01KQ7ZT2B4C6D8E0F1G2H3J4K5', 'fed_01KQ7ZT2B4C6D8E0F1G2H3J4K6']
    const { id, key } = await made(api, ['audit:read', 'keys:admin'], ours)
    const other = await made(api, ['keys:admin'], theirs)
    const make = (key: string, federation: string) =>
      api.ask('/v1/api-keys', { key, method: 'POST', payload: { name: 'x', scopes: ['keys:admin'], federation } })
    for (const [by, federation] of [
      [other.key, theirs],
      [key, ours],
    ] as const)
      await make(by, federation)
    expect((await events(api, '', { key })).data.map(({ actor }) => actor.id)).toEqual([id])
    expect((await events(api)).data).toHaveLength(4)
  })
})
