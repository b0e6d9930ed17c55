import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { live, RawNode } from './live.ts'

type Json = Record<string, unknown>
const json = async (answer: Response): Promise<Json> => (await answer.json()) as Json

describe('the API', () => {
  test('is what docs/openapi.json says', async () => {
    await using at = await live()
    const served = await json(await fetch(`${at.coordinator.url}/openapi.json`))
    const { version } = JSON.parse(await readFile('package.json', 'utf8'))
    const committed = JSON.parse(await readFile('docs/openapi.json', 'utf8'))
    expect({ ...served, info: { ...(served['info'] as Json), version } }).toEqual(committed)
    expect(served['openapi']).toBe('3.1.0')
  })

  test('answers nothing but health, metrics and its description without the key', async () => {
    await using at = await live()
    for (const path of ['/v1/runs', '/v1/nodes', '/v1/runs/x', '/v1/runs/x/events', '/v1/runs/x/bundle']) {
      for (const authorization of ['', 'Bearer nonsense', 'Basic eDp5']) {
        const answer = await fetch(`${at.coordinator.url}${path}`, { headers: { authorization } })
        expect(answer.status).toBe(401)
        expect(answer.headers.get('content-type')).toContain('application/problem+json')
        expect(await json(answer)).toMatchObject({ code: 'unauthorized', status: 401, retryable: false })
      }
    }
    for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json'])
      expect((await fetch(`${at.coordinator.url}${path}`)).status).toBe(200)
  })

  test('keeps its keys where only their owner can read them', async () => {
    await using at = await live()
    for (const file of ['api-key', 'coordinator.key'])
      expect((await stat(join(at.state, file))).mode & 0o777).toBe(0o600)
  })

  test('launches a run once per idempotency key, whatever the network repeats', async () => {
    await using at = await live()
    const answers = await Promise.all(Array.from({ length: 5 }, () => at.launch({}, { 'idempotency-key': 'one' })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 201])
    expect(new Set((await Promise.all(answers.map(json))).map(({ id }) => id)).size).toBe(1)
    const other = await at.launch({ rounds: 2 }, { 'idempotency-key': 'one' })
    expect([other.status, (await json(other))['code']]).toEqual([422, 'idempotency_key_reused'])
    expect((await json(await at.launch({})))['id']).not.toBe((await json(await at.launch({})))['id'])
    expect(((await json(await at.api('/v1/runs')))['data'] as Json[]).length).toBe(3)
  })

  test.each([
    ['/task/architecture/input', (body: Json) => set(body, ['task', 'architecture', 'input'], [3])],
    ['/task/architecture/layers', (body: Json) => set(body, ['task', 'architecture', 'layers', '0', 'units'], 2)],
    ['/cohort/quorum', (body: Json) => set(body, ['cohort', 'quorum'], 3)],
    ['/cohort/min', (body: Json) => set(body, ['cohort', 'min'], 4)],
    ['/masking', (body: Json) => set(body, ['population'], 'hospital')],
  ])('says where a run cannot be: %s', async (pointer, spoil) => {
    await using at = await live()
    const { request } = await import('./live.ts')
    const body = structuredClone(request()) as Json
    spoil(body)
    const answer = await at.launch(body)
    expect(answer.status).toBe(422)
    expect(await json(answer)).toMatchObject({ code: 'invalid_run', errors: [{ pointer }] })
  })

  test('takes weights that a run then starts from, and none that do not fit it', async () => {
    await using at = await live()
    const bring = async (weights: Float32Array<ArrayBuffer>) => {
      const headers = { 'content-type': 'application/octet-stream' }
      const answer = await at.api('/v1/files', { method: 'POST', body: new Uint8Array(weights.buffer), headers })
      expect(answer.status).toBe(201)
      return json(answer)
    }
    const start = async (weights: unknown) => {
      const { request } = await import('./live.ts')
      const body = request() as { task: object }
      return json(await at.launch({ ...body, task: { ...body.task, weights } }))
    }
    const brought = await bring(Float32Array.of(1, 2, 3))
    expect(brought['size_bytes']).toBe(12)
    const [given, seeded] = [await start(brought['cid']), await json(await at.launch())]
    expect(given['model']).not.toBe(seeded['model'])
    const refused = (detail: RegExp) => {
      return { code: 'invalid_run', errors: [{ pointer: '/task/weights', message: expect.stringMatching(detail) }] }
    }
    expect(await start((await bring(Float32Array.of(1, 2)))['cid'])).toMatchObject(refused(/8 bytes for 3/))
    expect(await start((await bring(new Float32Array(400)))['cid'])).toMatchObject(refused(/more than 3/))
    expect(await start((await bring(Float32Array.of(1, Number.NaN, 2)))['cid'])).toMatchObject(refused(/NaN/))
    expect(await start(given['task'])).toMatchObject(refused(/^is/))
    expect(await start('elsewhere')).toMatchObject({ status: 400 })
  })

  test('takes the example of the docs as it stands', async () => {
    await using at = await live()
    const body = await readFile('docs/example-task.json', 'utf8')
    const answer = await at.api('/v1/runs', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', 'idempotency-key': 'one' },
    })
    expect(answer.status).toBe(201)
    expect(await json(answer)).toMatchObject({
      name: 'outcome from age, pressure and sex',
      rounds: 10,
      masking: 'secagg/1',
    })
  })

  test('answers hostile requests with a named problem, never with a fault', async () => {
    await using at = await live()
    const paths = fc.constantFrom(
      '/v1/runs',
      '/v1/runs/run_',
      '/v1/runs/%00',
      '/v1/runs/x/events?after=1e9',
      '/v1/runs/x/bundle',
      '/ipfs/x',
    )
    const body = fc.oneof(
      fc.json(),
      fc.string(),
      fc.constant('{"task":{}}'),
      fc.constant(`{"rounds":${'9'.repeat(400)}}`),
    )
    const methods = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH')
    await fc.assert(
      fc.asyncProperty(paths, methods, body, async (path, method, text) => {
        const init = method === 'GET' ? {} : { body: text, headers: { 'content-type': 'application/json' } }
        const answer = await at.api(path, { method, ...init })
        expect(answer.status).toBeGreaterThanOrEqual(200)
        expect(answer.status).toBeLessThan(500)
        if (answer.status >= 400) expect(typeof (await json(answer))['code']).toBe('string')
        else await answer.arrayBuffer()
      }),
      { numRuns: 80 },
    )
    expect(
      (
        await at.api('/v1/runs', {
          method: 'POST',
          body: ' '.repeat(300_000),
          headers: { 'content-type': 'application/json' },
        })
      ).status,
    ).toBe(413)
  })
})

describe('the event stream', () => {
  test('resumes after the last id without a gap or a repeat, and ends with the run', async () => {
    await using at = await live()
    await using node = new RawNode(at.coordinator.url, at.coordinator.id, 'alone')
    expect(await node.link()).toBe('linked')
    const { id } = await json(await at.launch({ timing: { selectionMillis: 100 } }))
    const stream = (after?: string) =>
      at.api(`/v1/runs/${id}/events`, {
        headers: { accept: 'text/event-stream', ...(after ? { 'last-event-id': after } : {}) },
      })
    const whole = parse(await (await stream()).text())
    expect(whole.map(({ seq }) => seq)).toEqual(whole.map((_, index) => index))
    expect(whole.at(-1)).toMatchObject({ type: 'run.failed', reason: expect.stringContaining('too-few-nodes') })
    const resumed = parse(await (await stream('1')).text())
    expect(resumed).toEqual(whole.slice(2))
    // Of a run that has ended nothing follows the last: whoever resumes there is told so, and not to come again.
    const none = await stream(String(whole.length - 1))
    expect([none.status, none.headers.get('content-type'), await none.text()]).toEqual([204, null, ''])

    const paged: Json[] = []
    for (let after = -1, more = true; more; ) {
      const page = await json(await at.api(`/v1/runs/${id}/events?after=${after}&limit=2`))
      paged.push(...(page['data'] as Json[]))
      more = page['has_more'] as boolean
      after = Number(page['next'])
    }
    expect(paged).toEqual(whole)
  })

  test('whoever has seen what has not happened yet is told so, whether the run goes on or not', async () => {
    await using at = await live()
    const { id } = await json(await at.launch({ timing: { selectionMillis: 600_000 } }))
    for (const accept of ['text/event-stream', 'application/json'])
      expect(await json(await at.api(`/v1/runs/${id}/events?after=9999`, { headers: { accept } }))).toMatchObject({
        ...{ status: 400, code: 'invalid_cursor', retryable: false },
        detail: expect.stringContaining('9999'),
      })
  })

  test('a run is found by the start of its id, and a wrong one is named', async () => {
    await using at = await live()
    const { id } = await json(await at.launch())
    expect((await json(await at.api(`/v1/runs/${String(id).slice(0, 20)}`)))['id']).toBe(id)
    expect(await json(await at.api('/v1/runs/run_00000000000000000000000000'))).toMatchObject({
      status: 404,
      code: 'not_found',
    })
    expect(await json(await at.api(`/v1/runs/${id}/bundle`))).toMatchObject({ status: 409, code: 'run_not_ended' })
  })
})

function parse(text: string): Json[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => JSON.parse(line.slice(6)))
}

function set(body: Json, path: readonly string[], value: unknown): void {
  const last = path.at(-1) as string
  const parent = path.slice(0, -1).reduce<Json>((at, key) => at[key] as Json, body)
  parent[last] = value
}

describe('the blocks', () => {
  test('are answered, with a block or a refusal, however their address is written', async () => {
    await using at = await live()
    const { hostname, port } = new URL(at.coordinator.url)
    const statusOf = async (target: string): Promise<number> => {
      const socket = connect(Number(port), hostname)
      socket.end(`GET ${target} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`)
      const [answer] = (await once(socket, 'data')) as [Buffer]
      socket.destroy()
      return Number(answer.toString().split(' ')[1])
    }
    expect(await statusOf('/ipfs/bafkqaaa')).toBe(200)
    for (const target of ['/%69pfs/bafkqaaa', 'http://elsewhere/ipfs/bafkqaaa', '/%2569pfs/x', '//ipfs/bafkqaaa'])
      expect([400, 404]).toContain(await statusOf(target))
  })
})
