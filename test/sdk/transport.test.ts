import { describe, expect, test } from '@jest/globals'
import { Consilium } from '#sdk/client.ts'
import { ApiError, ConnectionError, VerificationError } from '#sdk/errors.ts'
import type { Transport } from '#sdk/transport.ts'

type Asked = {
  readonly url: string
  readonly method: string
  readonly headers: Headers
  readonly redirect: string | undefined
}
type Answer = Response | Error

/** A coordinator that gives these answers, one after another, and a clock that only the client's pauses move. */
function scripted(answers: readonly Answer[], options: { maxRetries?: number; random?: number } = {}) {
  const asked: Asked[] = []
  const pauses: number[] = []
  const client = new Consilium({
    ...{ url: 'http://coordinator/', apiKey: 'k', maxRetries: options.maxRetries ?? 3 },
    fetch: async (url, { method, headers, signal, redirect } = {}) => {
      signal?.throwIfAborted()
      const sent = { url: String(url), method: String(method), headers: new Headers(headers), redirect }
      const answer = answers[asked.push(sent) - 1]
      if (answer instanceof Response) return answer.clone()
      throw answer ?? new Error('asked once too often')
    },
    doors: {
      random: () => options.random ?? 1,
      pause: async (millis) => void pauses.push(millis),
    },
  })
  return { client, transport: client.transport, asked, pauses }
}

const problem = (status: number, more: object = {}, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify({ status, code: 'some_code', detail: 'why', request_id: 'req_1', ...more }), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  })
const good = () => Response.json({ fine: true })
const post = (transport: Transport) => transport.json('/v1/things', { method: 'POST', json: {} })

describe('a request', () => {
  test('carries the key, and a POST an idempotency key that stays the same at every attempt and is never used again', async () => {
    const { transport, asked } = scripted([new TypeError('reset'), problem(503, { retryable: true }), good(), good()])
    expect(await post(transport)).toEqual({ fine: true })
    await post(transport)
    const keys = asked.map(({ headers }) => headers.get('idempotency-key'))
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/)
    expect(keys).toEqual([keys[0], keys[0], keys[0], keys[3]])
    expect(keys[3]).not.toBe(keys[0])
    expect(asked[0]?.headers.get('authorization')).toBe('Bearer k')
    expect(asked[0]?.url).toBe('http://coordinator/v1/things')
  })

  test('whose answer breaks off is sent again, and what was deleted by one that nobody answered is deleted', async () => {
    const cut = new Response('{"fine":')
    const { transport, asked } = scripted([cut, good()])
    expect(await transport.json('/v1/things')).toEqual({ fine: true })
    expect(asked).toHaveLength(2)
    const gone = scripted([new TypeError('reset'), problem(404)])
    expect(await gone.transport.json('/v1/things/1', { method: 'DELETE' })).toBeUndefined()
    await expect(scripted([problem(404)]).transport.json('/v1/things/1', { method: 'DELETE' })).rejects.toThrow(
      ApiError,
    )
  })

  test('listens to no more of a body than it may be long', async () => {
    const { transport } = new Consilium({ url: 'http://coordinator', fetch: async () => new Response('12345') })
    expect(await transport.bytes('/ipfs/x', 5)).toHaveLength(5)
    await expect(transport.bytes('/ipfs/x', 4)).rejects.toBeInstanceOf(VerificationError)
  })

  test('is sent nowhere else, wherever the answer leads', async () => {
    const { transport, asked } = scripted([good()])
    await transport.json('/v1/runs')
    expect(asked[0]?.redirect).toBe('error')
  })

  test('is made with no key that could not be sent: nothing that is thrown shows it', () => {
    for (const apiKey of ['ck_secret\n', 'ck_sec\nret', 'ck_secret “'])
      expect(() => new Consilium({ url: 'http://coordinator', apiKey })).toThrow(/^an API key has other characters$/)
  })

  test('takes the idempotency key that it is given', async () => {
    const { transport, asked } = scripted([good()])
    await transport.json('/v1/things', { method: 'POST', json: {}, idempotencyKey: 'mine' })
    expect(asked[0]?.headers.get('idempotency-key')).toBe('mine')
  })

  test('that is refused for good is asked once, and the error says all that the problem said', async () => {
    const errors = [{ pointer: '/rounds', message: 'must be at least 1' }]
    const { transport, asked } = scripted([problem(422, { retryable: false, errors })])
    const caught = await transport.json('/v1/runs').catch((cause: unknown) => cause)
    expect(caught).toBeInstanceOf(ApiError)
    expect(caught).toMatchObject({ status: 422, code: 'some_code', detail: 'why', requestId: 'req_1', errors })
    expect(asked).toHaveLength(1)
  })

  test('waits longer each time, never in step with others, and as long as it is told', async () => {
    const busy = problem(429, { retryable: true }, { 'retry-after': '2' })
    const { transport, pauses } = scripted([new Error('a'), new Error('b'), busy, good()], { random: 0.5 })
    await transport.json('/v1/runs')
    expect(pauses).toEqual([187.5, 375, 2000])
  })

  test('gives up after its retries, and at once where it is told to wait for longer than anybody would', async () => {
    const { transport, asked } = scripted([new Error('a'), new Error('b'), new Error('c')], { maxRetries: 2 })
    await expect(transport.json('/v1/runs')).rejects.toBeInstanceOf(ConnectionError)
    expect(asked).toHaveLength(3)
    const full = scripted([problem(507, { retryable: true }, { 'retry-after': '3600' })])
    await expect(full.transport.json('/v1/runs')).rejects.toMatchObject({ status: 507, retryAfterMillis: 3_600_000 })
    expect(full.pauses).toEqual([])
  })

  test('ends with the reason of its signal, before an attempt and between two', async () => {
    const { transport, asked } = scripted([good()])
    await expect(transport.json('/v1/runs', { signal: AbortSignal.abort('enough') })).rejects.toBe('enough')
    expect(asked).toHaveLength(0)
    const stop = new AbortController()
    const client = new Consilium({
      url: 'http://coordinator',
      fetch: async () => problem(503, { retryable: true }),
      doors: { pause: async () => stop.abort('enough') },
    })
    await expect(client.transport.json('/v1/runs', { signal: stop.signal })).rejects.toBe('enough')
  })

  test('that nobody answers in time is a timeout', async () => {
    const client = new Consilium({
      ...{ url: 'http://coordinator', timeoutMs: 1, maxRetries: 0 },
      fetch: (_url, init) =>
        new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(new Error('aborted')))),
    })
    await expect(client.whoami()).rejects.toMatchObject({ code: 'timeout' })
  })

  test('an answer of something else than a coordinator is an error with its status', async () => {
    const { transport } = scripted([new Response('<html>', { status: 404 })])
    await expect(transport.json('/v1/runs')).rejects.toMatchObject({ code: 'http_404', problem: undefined })
  })
})

describe('a list', () => {
  const page = (ids: readonly string[], next: string | null) =>
    Response.json({ data: ids.map((id) => ({ id })), has_more: next !== null, next })

  test('is read page by page, each when the one before has been read', async () => {
    const { client, asked } = scripted([page(['a', 'b'], 'b'), page(['c'], null)])
    const seen: string[] = []
    for await (const { id } of client.runs.list({ limit: 2 })) {
      seen.push(id)
      if (seen.length === 2) expect(asked).toHaveLength(1)
    }
    expect(seen).toEqual(['a', 'b', 'c'])
    expect(asked.map(({ url }) => url)).toEqual([
      'http://coordinator/v1/runs?limit=2',
      'http://coordinator/v1/runs?limit=2&after=b',
    ])
  })

  test('is asked for no further than it is read', async () => {
    const { client, asked } = scripted([page(['a', 'b'], 'b')])
    for await (const _ of client.nodes.list({ which: 'linked' })) break
    expect(asked.map(({ url }) => url)).toEqual(['http://coordinator/v1/nodes?which=linked'])
  })
})

describe('waiting for a run', () => {
  const view = (status: string, reason: string | null = null) => Response.json({ id: 'run_1', status, reason })
  const events = (...types: readonly string[]) =>
    new Response(
      types.map((type, seq) => `data: ${JSON.stringify({ type, run: 'run_1', seq, time: '' })}\n\n`).join(''),
    )

  test('ends well when it has completed, having passed over a pause that was ended', async () => {
    const { client } = scripted([
      view('running'),
      events('run.created', 'run.paused', 'run.resumed', 'run.completed'),
      view('running'),
      view('completed'),
    ])
    expect((await (await client.runs.get('run_1')).done()).view.status).toBe('completed')
  })

  test.each([
    ['failed', 'run.failed'],
    ['stopped', 'run.stopped'],
    ['paused', 'run.paused'],
  ])('throws when it is %s, with the reason', async (status, type) => {
    const { client } = scripted([view('running'), events('run.created', type), view(status, 'because')])
    await expect((await client.runs.get('run_1')).done()).rejects.toMatchObject({ status, reason: 'because' })
  })
})
