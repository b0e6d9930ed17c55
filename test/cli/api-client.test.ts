import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { ApiClient, unreachable } from '#cli/api-client.ts'
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

describe('against a coordinator', () => {
  test('launches, lists and shows runs, and a repeated key answers the first', async () => {
    await using coordinator = await live()
    const api = new ApiClient(coordinator.coordinator.url, await readFile(coordinator.coordinator.apiKeyFile, 'utf8'))
    const task = JSON.stringify(request())
    const run = await api.launch(task, 'once')
    expect(await api.launch(task, 'once')).toMatchObject({ id: run.id })
    expect((await api.runs(10)).data.map(({ id }) => id)).toEqual([run.id])
    expect(await api.run(run.id.slice(0, 10))).toMatchObject({ id: run.id, masking: 'none' })
    expect(await api.nodes()).toEqual([])
  })

  test('what the API refuses is a failure with its exit code, its reason and its request', async () => {
    await using coordinator = await live()
    const { url, apiKeyFile } = coordinator.coordinator
    const api = new ApiClient(url, await readFile(apiKeyFile, 'utf8'))
    await expect(new ApiClient(url, 'guessed').runs(1)).rejects.toMatchObject({ exit: 3, code: 'unauthorized' })
    await expect(api.run('run_00000000000000000000000000')).rejects.toMatchObject({ exit: 4, code: 'not_found' })
    await expect(api.launch('{}', undefined)).rejects.toMatchObject({ exit: 2, code: 'invalid_request' })
    const { id } = await api.launch(JSON.stringify(request()), undefined)
    await expect(api.bundle(id)).rejects.toMatchObject({ exit: 5, code: 'run_not_ended' })
    const impossible = JSON.stringify(request({ cohort: { min: 3, max: 2, quorum: 2 } }))
    await expect(api.launch(impossible, undefined)).rejects.toMatchObject({
      exit: 2,
      lines: expect.arrayContaining([
        ['/cohort/min', expect.any(String)],
        ['request', expect.stringMatching(/^req_/)],
      ]),
    })
  })

  test('follows a run to its failure: nobody joined it', async () => {
    await using coordinator = await live()
    const api = new ApiClient(coordinator.coordinator.url, await readFile(coordinator.coordinator.apiKeyFile, 'utf8'))
    const { id } = await api.launch(JSON.stringify(request({ timing: { selectionMillis: 50 } })), undefined)
    const events = await Array.fromAsync(api.events(id, AbortSignal.timeout(20_000)))
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
    const events = await Array.fromAsync(new ApiClient(server.url, 'key').events('run_1', AbortSignal.timeout(20_000)))
    expect(events.map(({ seq }) => seq)).toEqual([0, 1, 2, 3])
    expect(asked).toEqual([undefined, '1', '1'])
  })

  test('a refusal ends an event stream at once: asking again would not help', async () => {
    await using server = await serve((_, response) => void response.writeHead(404).end())
    const events = new ApiClient(server.url, 'key').events('run_1', AbortSignal.timeout(20_000))
    await expect(Array.fromAsync(events)).rejects.toMatchObject({ exit: 4 })
  })

  test('nobody there is exit 10, and so is a server that says: not now', async () => {
    const gone = await serve(() => undefined)
    await gone[Symbol.asyncDispose]()
    await expect(new ApiClient(gone.url, 'key').runs(1)).rejects.toMatchObject({ exit: 10, code: 'unreachable' })
    await using busy = await serve((_, response) => void response.writeHead(503).end('<html>'))
    await expect(new ApiClient(busy.url, 'key').runs(1)).rejects.toMatchObject({
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
    await expect(new ApiClient(other.url, 'key').run('run_1')).rejects.toMatchObject({ exit: 1, code: 'bad_answer' })
  })
})
