import { describe, expect, test } from '@jest/globals'
import { originFault } from '#coordinator/api/origins.ts'
import { live, request } from './live.ts'
import { served } from './served.ts'

const LAB = 'https://lab.example.org'
const OTHER = 'https://elsewhere.example.org'
const origins = new Set([LAB])
const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }
const told = ({ headers }: { readonly headers: Readonly<Record<string, unknown>> }) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')))

describe('a page of another origin', () => {
  test('is told nothing by a coordinator that lists none, nor by one that lists others', async () => {
    for (const api of [await served(), await served({ origins })]) {
      const asked = await api.ask('/v1/runs', { headers: { origin: OTHER } })
      const asking = await api.ask('/v1/runs', { method: 'OPTIONS', headers: { origin: OTHER, ...preflight } })
      expect([asked.status, told(asked), asking.status, told(asking)]).toEqual([200, {}, 404, {}])
    }
  })

  test('may ask with a key where it is listed, and read what clients go by, refusals among it', async () => {
    const api = await served({ origins })
    const asking = await api.ask('/v1/runs', { method: 'OPTIONS', key: null, headers: { origin: LAB, ...preflight } })
    expect([asking.status, asking.text, asking.headers['vary']]).toEqual([204, '', 'Origin'])
    expect(told(asking)).toMatchObject({
      'access-control-allow-origin': LAB,
      'access-control-allow-methods': 'GET, HEAD, POST, PATCH, DELETE',
      'access-control-allow-headers': expect.stringMatching(/^Authorization, Content-Type, Idempotency-Key, If-Match/),
      'access-control-max-age': '600',
    })
    for (const [key, status] of [['key', 200] as const, [null, 401] as const]) {
      const asked = await api.ask('/v1/runs', { key, headers: { origin: LAB } })
      expect([asked.status, asked.headers['vary']]).toEqual([status, 'Origin'])
      expect(told(asked)).toEqual({
        'access-control-allow-origin': LAB,
        'access-control-expose-headers': expect.stringMatching(/ETag, Link, .*Retry-After, RateLimit/),
      })
    }
    // What is kept on the way for somebody else is not for this page.
    expect((await api.ask('/v1/runs')).headers['vary']).toBe('Origin')
    // An OPTIONS that asks for nothing is none.
    expect((await api.ask('/v1/runs', { method: 'OPTIONS', headers: { origin: LAB } })).status).toBe(404)
    expect(told(await api.ask('/readyz', { headers: { origin: LAB } }))).toEqual({})
  })

  test('is nobody by the cookie of the browser, neither signs it in, listed or not', async () => {
    const api = await served({ origins: new Set([LAB, 'http://localhost']) })
    const signIn = (headers: Record<string, string>) =>
      api.ask('/v1/session', { key: null, method: 'POST', payload: { key: 'key' }, headers })
    const signedIn = await signIn({})
    const cookie = String(signedIn.headers['set-cookie']).split(';')[0] as string
    const refused = { status: 403, body: { code: 'foreign_origin' } }
    expect(await signIn({ origin: LAB })).toMatchObject(refused)
    const who = (headers: object) => api.ask('/v1/session', { key: null, headers: { cookie, ...headers } })
    expect((await who({})).status).toBe(200)
    const asked = await who({ origin: LAB })
    expect(asked).toMatchObject(refused)
    for (const answer of [asked, await who({ origin: OTHER })])
      expect(answer.headers['access-control-allow-credentials']).toBeUndefined()
    // With a key the cookie does not count, nor harm.
    expect((await who({ origin: LAB, authorization: 'Bearer key' })).body).toMatchObject({ id: 'root', csrf: null })
    // Who lists the coordinator's own origin has its dashboard all the same.
    expect((await who({ origin: 'http://localhost', host: 'localhost' })).status).toBe(200)
  })

  test('reads streams and blocks as it reads answers', async () => {
    await using at = await live({ origins })
    const { id, model } = (await (await at.launch(request())).json()) as { id: string; model: string }
    const headers = { origin: LAB, accept: 'text/event-stream' }
    const stream = await at.api(`/v1/runs/${id}/events`, { headers })
    const block = await at.api(`/ipfs/${model}?format=raw`, { headers: { origin: LAB } })
    const none = await at.api('/ipfs/nothing', { headers: { origin: LAB } })
    const asking = await at.api(`/ipfs/${model}`, { method: 'OPTIONS', headers: { origin: LAB, ...preflight } })
    expect([stream.status, block.status, none.ok, asking.status]).toEqual([200, 200, false, 204])
    for (const answer of [stream, block, none, asking]) {
      expect(answer.headers.get('access-control-allow-origin')).toBe(LAB)
      expect(answer.headers.get('vary')).toContain('Origin')
    }
    expect(block.headers.get('vary')).toBe('Origin, Accept')
    await stream.body?.cancel()
    await block.body?.cancel()
    await none.body?.cancel()
  })
})

test.each([
  ['*', 'no origin'],
  ['null', 'no origin'],
  ['lab.example.org', 'no origin'],
  ['https://lab.example.org/', 'no origin'],
  ['https://lab.example.org:443', 'no origin'],
  ['https://Lab.example.org', 'no origin'],
  ['ftp://lab.example.org', 'no origin'],
  ['http://lab.example.org', 'without TLS'],
  ['http://127.0.0.1.example.org', 'without TLS'],
])('%s is not listed', (text, why) => {
  expect(originFault(text)).toContain(why)
})

test('a page over TLS may be listed, and one of this machine', () => {
  for (const text of [
    LAB,
    'https://lab.example.org:8443',
    'http://localhost:5173',
    'http://127.0.0.1',
    'http://[::1]:1',
  ])
    expect([text, originFault(text)]).toEqual([text, undefined])
})
