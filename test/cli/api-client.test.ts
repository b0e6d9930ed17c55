import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { ANSWERS } from '#cli/answers.ts'
import { all, apiAt } from '#cli/api-client.ts'
import { failureOf, unreachable } from '#cli/thrown.ts'
import { follow } from '#sdk/follow.ts'
import type { CreateRun } from '#sdk/task.ts'
import { live, request } from '#test/coordinator/live.ts'

async function serve(listener: RequestListener): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer(listener)
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

/** What a command that asks so ends with. */
function failing(work: Promise<unknown>): Promise<unknown> {
  return work.then(() => undefined, failureOf)
}

describe('against a coordinator', () => {
  test('launches, lists and shows runs, and a repeated key answers the first', async () => {
    await using coordinator = await live()
    const api = apiAt(coordinator.coordinator.url, await readFile(coordinator.coordinator.apiKeyFile, 'utf8'))
    const order = request() as CreateRun
    const run = await api.runs.create(order, { idempotencyKey: 'once' })
    expect(await api.runs.create(order, { idempotencyKey: 'once' })).toMatchObject({ id: run.id })
    expect((await all(api.runs.list({ limit: 10 }))).map(({ id }) => id)).toEqual([run.id])
    expect((await api.runs.get(run.id.slice(0, 10))).view).toMatchObject({ id: run.id, masking: 'none' })
    expect(await all(api.nodes.list())).toEqual([])
  })

  test('what the API refuses is a failure with its exit code, its reason and its request', async () => {
    await using coordinator = await live()
    const { url, apiKeyFile } = coordinator.coordinator
    const api = apiAt(url, await readFile(apiKeyFile, 'utf8'))
    expect(await failing(apiAt(url, 'guessed').runs.list().page())).toMatchObject({ exit: 3, code: 'unauthorized' })
    expect(await failing(api.runs.get('run_00000000000000000000000000'))).toMatchObject({ exit: 4, code: 'not_found' })
    expect(await failing(api.runs.create({} as CreateRun))).toMatchObject({ exit: 2, code: 'invalid_request' })
    const run = await api.runs.create(request() as CreateRun)
    expect(await failing(run.bundle())).toMatchObject({ exit: 5, code: 'run_not_ended' })
    const impossible = request({ cohort: { min: 3, max: 2, quorum: 2 } }) as CreateRun
    expect(await failing(api.runs.create(impossible))).toMatchObject({
      exit: 2,
      lines: expect.arrayContaining([
        ['/cohort/min', expect.any(String)],
        ['request', expect.stringMatching(/^req_/)],
      ]),
    })
  })

  test('follows a run to its failure: nobody joined it', async () => {
    await using coordinator = await live()
    const api = apiAt(coordinator.coordinator.url, await readFile(coordinator.coordinator.apiKeyFile, 'utf8'))
    const run = await api.runs.create(request({ timing: { selectionMillis: 50 } }) as CreateRun)
    const events = await all(run.events({ signal: AbortSignal.timeout(20_000) }))
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index))
    expect(events.at(-1)).toMatchObject({ type: 'run.failed', reason: expect.stringMatching(/too-few-nodes/) })
  })
})

describe('against a network that fails', () => {
  const event = (seq: number, type = 'node.joined') =>
    `id: ${seq}\ndata: ${JSON.stringify({ type, run: 'run_1', seq, time: '' })}\n\n`

  test('an event stream that breaks is taken up after the last event, and nothing is told twice', async () => {
    const asked: (string | undefined)[] = []
    await using server = await serve(({ headers }, response) => {
      asked.push(headers['last-event-id'] as string | undefined)
      if (asked.length === 2) return void response.writeHead(503).end()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      // The second answer repeats an event, as a proxy with a buffer might.
      if (asked.length === 1) response.write(event(0) + event(1), () => response.destroy())
      else response.end(event(1) + event(2) + event(3, 'run.completed'))
    })
    const events = await all(
      follow(apiAt(server.url, 'key').transport, 'run_1', { signal: AbortSignal.timeout(20_000) }),
    )
    expect(events.map(({ seq }) => seq)).toEqual([0, 1, 2, 3])
    expect(asked).toEqual([undefined, '1', '1'])
  })

  test('a refusal ends an event stream at once: asking again would not help', async () => {
    await using server = await serve((_, response) => void response.writeHead(404).end())
    const events = follow(apiAt(server.url, 'key').transport, 'run_1', { signal: AbortSignal.timeout(20_000) })
    expect(await failing(all(events))).toMatchObject({ exit: 4 })
  })

  test('nobody there is exit 10, and so is a server that says: not now', async () => {
    const gone = await serve(() => undefined)
    await gone[Symbol.asyncDispose]()
    expect(await failing(apiAt(gone.url, 'key').runs.list().page())).toMatchObject({ exit: 10, code: 'unreachable' })
    await using busy = await serve((_, response) => void response.writeHead(503).end('<html>'))
    expect(await failing(apiAt(busy.url, 'key').runs.list().page())).toMatchObject({
      ...{ exit: 10, code: 'http_503', fix: expect.stringMatching(/before the coordinator/) },
    })
  })

  test.each([
    ['self-signed certificate in certificate chain', /NODE_EXTRA_CA_CERTS/],
    ['certificate has expired', /for today/],
    [
      "Hostname/IP does not match certificate's altnames: Host: a. is not in the cert's altnames: DNS:b",
      /for this name/,
    ],
    ['connect ECONNREFUSED 127.0.0.1:9', /coordinator up/],
  ])('where %s it says what helps', (why, fix) => {
    const cause = new TypeError('fetch failed', { cause: new Error(why) })
    expect(unreachable('https://a', cause)).toMatchObject({ exit: 10, fix: expect.stringMatching(fix) })
  })

  test('an answer of another server is told apart from a run', async () => {
    await using other = await serve((_, response) => void response.writeHead(200).end('{"hello":"world"}'))
    expect(await failing(apiAt(other.url, 'key').runs.get('run_1'))).toMatchObject({ exit: 1, code: 'bad_answer' })
  })

  test('no answer at all is no JSON: it is told apart from a network that fails', async () => {
    await using other = await serve((_, response) => void response.writeHead(200).end('<html>'))
    expect(await failing(apiAt(other.url, 'key').whoami())).toMatchObject({ exit: 1, code: 'bad_answer' })
  })
})

test('every request whose answer is looked at is one that the API has', async () => {
  const { paths } = JSON.parse(await readFile('docs/openapi.json', 'utf8')) as { paths: Record<string, object> }
  const known = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/g, ':')}`),
  )
  expect(known).toEqual(expect.arrayContaining(ANSWERS.map(([request]) => request)))
})
