import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { BOUNDS } from '#coordinator/bounds.ts'
import { Load } from '#coordinator/load.ts'
import { type Live, live, RawNode } from './live.ts'

const portOf = (at: Live) => Number(new URL(at.coordinator.url).port)

/** A connection that says this, and what comes back until it is closed. */
function saying(at: Live, text: string): { readonly socket: Socket; readonly answer: Promise<string> } {
  const socket = connect(portOf(at), '127.0.0.1')
  let heard = ''
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1')
  })
  socket.on('error', () => undefined)
  if (text !== '') socket.write(text)
  return { socket, answer: once(socket, 'close').then(() => heard) }
}

const refusal = async (answer: Response) => [
  answer.status,
  ((await answer.json()) as { code: string }).code,
  answer.headers.get('retry-after'),
]

/** Of a request over a connection of its own. */
function fresh(at: Live, path = '/healthz'): Promise<{ status: number; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const sent = get(`${at.coordinator.url}${path}`, { agent: new Agent() }, (response) => {
      response.resume().on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }))
    })
    sent.on('error', reject)
  })
}

async function gauge(at: Live, name: string): Promise<number> {
  const text = await (await fetch(`${at.coordinator.url}/metrics`)).text()
  return Number(new RegExp(`^consilium_${name} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN)
}

describe('the server, beyond what it takes on', () => {
  test('one connection too many is told so, and when to come again, and one that ends makes room', async () => {
    await using at = await live({ bounds: { connections: { total: 2, each: 2 } } })
    const [first, second] = [saying(at, 'GET /hea'), saying(at, 'GET /hea')]
    await Promise.all([once(first.socket, 'connect'), once(second.socket, 'connect')])
    const third = await fresh(at)
    expect(third).toMatchObject({ status: 503, headers: { 'retry-after': '5', connection: 'close' } })
    first.socket.destroy()
    await first.answer
    while ((await fresh(at)).status !== 200);
    second.socket.destroy()
  })

  test('a connection that only waits for its next request makes room for another', async () => {
    await using at = await live({ bounds: { connections: { total: 1, each: 1 } } })
    const idle = saying(at, 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
    await once(idle.socket, 'data')
    expect((await fresh(at)).status).toBe(200)
    expect(await idle.answer).toContain('200 OK')
  })

  test('an address has its share, and a node that is linked takes no place of the connections', async () => {
    await using at = await live({ bounds: { connections: { total: 8, each: 1 } } })
    await using node = new RawNode(at.coordinator.url, at.coordinator.id, 'linked')
    expect(await node.link()).toBe('linked')
    const one = saying(at, 'GET /hea')
    await once(one.socket, 'connect')
    expect((await fresh(at)).status).toBe(503)
    one.socket.destroy()
  })

  test('headers that do not come are not waited for, be they some or none', async () => {
    await using at = await live({ bounds: { headersMillis: 100 } })
    const [some, none] = [saying(at, 'GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow'), saying(at, '')]
    expect(await some.answer).toMatch(/^HTTP\/1.1 408 /)
    await none.answer
  })

  test('a body that drips is not waited for', async () => {
    await using at = await live({ bounds: { bodyMillis: 50 } })
    const head = `POST /v1/runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${at.key}\r\ncontent-type: application/json\r\n`
    const { answer } = saying(at, `${head}content-length: 1000\r\n\r\n{`)
    const said = await answer
    expect(said).toMatch(/^HTTP\/1.1 408 /)
    expect(said).toContain('body_too_slow')
    // Nothing was made, and the server goes on.
    expect((await at.launch()).status).toBe(201)
  })

  test('requests that are sent all at once over one connection are answered up to a number', async () => {
    await using at = await live({ bounds: { requestsPerConnection: 4 } })
    const { answer } = saying(at, 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(200))
    const said = await answer
    expect(said.match(/HTTP\/1.1 200 OK/g)).toHaveLength(4)
    expect(said.match(/HTTP\/1.1 503 /g)).toHaveLength(1)
  })

  test('requests under the key have a rate', async () => {
    await using at = await live({ bounds: { requests: { perSecond: 0.001, burst: 2 } } })
    const began = performance.now()
    expect([(await at.api('/v1/runs')).status, (await at.api('/v1/nodes')).status]).toEqual([200, 200])
    const [status, code, after] = await refusal(await at.api('/v1/runs'))
    expect([status, code]).toEqual([429, 'too_many_requests'])
    // What has come in since the first is not waited for.
    expect(Number(after)).toBeLessThanOrEqual(1000)
    expect(Number(after)).toBeGreaterThanOrEqual(Math.floor(1000 - (performance.now() - began) / 1000))
    expect(await at.counted('requests_refused', 'too_many_requests')).toBe(1)
  })

  test('so many runs and no more are under way; the answer to a repeat is not a run', async () => {
    await using at = await live({ bounds: { unfinishedRuns: 1 } })
    const headers = { 'idempotency-key': 'one' }
    expect((await at.launch({}, headers)).status).toBe(201)
    expect(await refusal(await at.launch())).toEqual([429, 'too_many_runs', '60'])
    expect((await at.launch({}, headers)).status).toBe(200)
  })

  test('event streams are counted, and given back', async () => {
    await using at = await live({ bounds: { streams: { total: 1, each: 1 } } })
    const { id } = (await (await at.launch()).json()) as { id: string }
    const stream = (signal: AbortSignal | null = null) =>
      at.api(`/v1/runs/${id}/events`, { headers: { accept: 'text/event-stream' }, signal })
    const stop = new AbortController()
    expect((await stream(stop.signal)).status).toBe(200)
    expect(await refusal(await stream())).toEqual([503, 'too_many_streams', '5'])
    expect(await gauge(at, 'event_streams')).toBe(1)
    stop.abort()
    while ((await gauge(at, 'event_streams')) === 1);
  })

  test('while it is overloaded nothing new begins, and what has begun goes on to its end', async () => {
    const lateness = { millis: Number.POSITIVE_INFINITY, looks: 1 }
    await using at = await live({ bounds: { lateness } })
    const { id } = (await (await at.launch({ timing: { selectionMillis: 2000 } })).json()) as { id: string }
    // Every look finds it late from now on: with the next one it is overloaded.
    lateness.millis = -1
    while ((await gauge(at, 'overload')) === 0);
    expect(await refusal(await at.launch())).toEqual([503, 'overload', '5'])
    expect(await fresh(at, '/v1/node-link/?EIO=4&transport=websocket')).toMatchObject({ status: 400 })
    await using node = new RawNode(at.coordinator.url, at.coordinator.id, 'late')
    await node.unreachable()
    expect(await at.counted('links_refused', 'overload')).toBe(1)
    const events = await at.api(`/v1/runs/${id}/events`, { headers: { accept: 'text/event-stream' } })
    expect(await events.text()).toContain('run.failed')
  })
})

test('what there is of everything that is bounded can be read', async () => {
  await using at = await live()
  const text = await (await fetch(`${at.coordinator.url}/metrics`)).text()
  const bounded = [
    'connections',
    'downloads',
    'event_loop_lag_seconds',
    'event_streams',
    'jobs',
    'links',
    'overload',
    'strangers',
  ]
  for (const name of [...bounded, 'sums_bytes', 'unread_bytes', 'uploads', 'waiting_frames'])
    expect(text).toMatch(new RegExp(`^consilium_${name} [\\d.]+$`, 'm'))
})

test('one long computation is not overload; being late look after look is, until it is not', () => {
  let jobs = 0
  using load = new Load({ ...BOUNDS, lateness: { millis: 100, looks: 3 }, jobs: 5 }, () => jobs)
  const after = (...lateness: readonly number[]) => {
    for (const millis of lateness) load.look(millis)
    return load.isOver
  }
  expect([after(5000), after(0), after(101, 101), after(100), after(101, 101, 101), after(500), after(3)]).toEqual([
    ...[false, false, false, false, true, true, false],
  ])
  jobs = 6
  expect(load.isOver).toBe(true)
  expect(load.gauges()).toEqual({ event_loop_lag_seconds: 0.003, jobs: 6, overload: 1 })
})
