import { glob, readFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import { Consilium } from '#sdk/client.ts'
import { CODES } from '#sdk/codes.ts'
import { Run } from '#sdk/runs.ts'
import type { Ask } from '#sdk/stats.ts'
import type { NewTask } from '#sdk/task.ts'
import type { CallOptions } from '#sdk/transport.ts'
import type { RunView } from '#sdk/views/runs.ts'

/** Whatever the API has for people, the SDK reaches, with everything that a request of it can say. */
type Schema = {
  readonly $ref?: string
  readonly properties?: object
  readonly example?: unknown
  readonly examples?: readonly unknown[]
}
type Media = { readonly [type: string]: { readonly schema?: Schema; readonly example?: unknown } }
type Operation = {
  readonly parameters?: readonly { readonly in: string; readonly name: string }[]
  readonly requestBody?: { readonly content: Media }
  readonly responses: Readonly<Record<string, { readonly content?: Media }>>
}
const { paths, components } = JSON.parse(await readFile('docs/openapi.json', 'utf8')) as {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}
const OPERATIONS: ReadonlyMap<string, Operation> = new Map(
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
  ),
)

/** Which operations no person calls through an SDK, and who does. */
const OTHERS: Readonly<Record<string, string>> = {
  'GET /healthz': 'for supervisors',
  'GET /readyz': 'for load balancers',
  'GET /metrics': 'for Prometheus',
  'POST /v1/session': 'for browsers, which keep a cookie instead of a key',
  'GET /v1/session': 'for browsers',
  'DELETE /v1/session': 'for browsers',
  'POST /v1/invites/accept': 'for nodes: it is signed with a key that no client has',
  'GET /v1/pinning/pins': 'the IPFS Pinning Service API, for tools that speak it',
  'POST /v1/pinning/pins': 'the same',
  'GET /v1/pinning/pins/{requestid}': 'the same',
  'POST /v1/pinning/pins/{requestid}': 'the same',
  'DELETE /v1/pinning/pins/{requestid}': 'the same',
}

const page = { after: 'z', limit: 7 }
const RUN = (components.schemas['Run'] as { examples: [RunView] }).examples[0]
const TASK = (components.schemas['NewTask'] as { examples: [NewTask] }).examples[0]
const order = (body: string) => (components.schemas[body] as { examples: [never] }).examples[0]
const run = (client: Consilium) => new Run(client.transport, RUN)
const ASK: Ask = {
  question: { v: 1, kind: 'question', name: 'q', minCell: 1, minCohort: 3, items: [{ kind: 'count', column: null }] },
  ...{ population: 'open', federation: null, secure: {}, cohort: { min: 3, max: 3, quorum: 3 }, timing: {} },
  ...{ failuresMax: 1, onFailures: 'end' },
}
const first = async <T>(list: AsyncIterable<T>) => {
  for await (const item of list) return item
  return undefined
}

/** By operation how it is asked for, with every query and every member of a body that there is. */
const CALLS: Readonly<Record<string, (client: Consilium, options: CallOptions) => unknown>> = {
  'GET /v1/coordinator': (client, options) => client.coordinator(options),
  'GET /v1/whoami': (client, options) => client.whoami(options),
  'GET /v1/api-keys': (client, options) => client.keys.list({ ...page, ...options }).page(),
  'POST /v1/api-keys': (client, options) =>
    client.keys.create(
      { name: 'a', scopes: [], federation: null, expiresAt: null },
      { ...options, idempotencyKey: 'k' },
    ),
  'GET /v1/api-keys/{id}': (client, options) => client.keys.get('key_1', options),
  'DELETE /v1/api-keys/{id}': (client, options) => client.keys.revoke('key_1', options),
  'GET /v1/audit-events': (client, options) => client.keys.audit({ ...page, ...options }).page(),
  'GET /v1/nodes': (client, options) => client.nodes.list({ ...page, ...options, which: 'known' }).page(),
  'GET /v1/nodes/{id}': (client, options) => client.nodes.get('z6Mk', options),
  'GET /v1/datasets': (client, options) => client.nodes.datasets({ ...page, ...options }).page(),
  'GET /v1/federations': (client, options) => client.federations.list({ ...page, ...options }).page(),
  'POST /v1/federations': (client, options) => client.federations.create({ name: 'a', description: 'b' }, options),
  'GET /v1/federations/{id}': (client, options) => client.federations.get('fed_1', options),
  'PATCH /v1/federations/{id}': (client, options) =>
    client.federations.amend('fed_1', { name: 'a', description: null }, options),
  'DELETE /v1/federations/{id}': (client, options) => client.federations.remove('fed_1', options),
  'GET /v1/federations/{id}/members': (client, options) =>
    client.federations.members('fed_1', { ...page, ...options }).page(),
  'POST /v1/federations/{id}/members': (client, options) =>
    client.federations.addMember('fed_1', { node: 'z6Mk', operator: null }, options),
  'DELETE /v1/federations/{id}/members/{node}': (client, options) =>
    client.federations.removeMember('fed_1', 'z6Mk', options),
  'GET /v1/federations/{id}/invites': (client, options) =>
    client.federations.invites('fed_1', { ...page, ...options }).page(),
  'POST /v1/federations/{id}/invites': (client, options) =>
    client.federations.invite('fed_1', { operator: null, uses: 1, expiresAt: null }, options),
  'DELETE /v1/federations/{id}/invites/{invite}': (client, options) =>
    client.federations.withdrawInvite('fed_1', 'inv_1', options),
  'POST /v1/runs/dry-run': (client, options) => client.runs.dryRun(order('CreateRun'), options),
  'POST /v1/runs': (client, options) => client.runs.create(order('CreateRun'), options),
  'GET /v1/runs': (client, options) =>
    client.runs
      .list({ ...page, ...options, label: 'a:b', status: ['running', 'paused'], createdAfter: '2026-11-22T00:00:00Z' })
      .page(),
  'GET /v1/runs/counts': (client, options) => client.runs.counts({ ...options, since: '2026-11-22T00:00:00Z' }),
  'GET /v1/runs/{id}': (client, options) => client.runs.get('run_1', options),
  'PATCH /v1/runs/{id}': (client, options) => client.runs.relabel('run_1', { name: 'a', labels: { b: null } }, options),
  'GET /v1/runs/{id}/events': (client, options) =>
    run(client)
      .past({ ...options, after: 1, limit: 2 })
      .page(),
  'GET /v1/events': (client, options) => first(client.changes(options)),
  'GET /v1/runs/{id}/rounds': (client, options) =>
    run(client)
      .rounds({ ...page, ...options })
      .page(),
  'GET /v1/runs/{id}/rounds/{round}': (client, options) => run(client).round(1, options),
  'GET /v1/runs/{id}/metrics': (client, options) => run(client).metrics({ ...options, keys: ['loss'], downsample: 9 }),
  'GET /v1/runs/{id}/model': (client, options) => run(client).model({ ...options, round: 1 }),
  'GET /v1/models/{cid}': (client, options) => client.tasks.model('bafy', options),
  'GET /v1/runs/{id}/card': (client, options) => run(client).card(options),
  'GET /v1/runs/{id}/matrix': (client, options) =>
    run(client)
      .matrix({ ...page, ...options })
      .page(),
  'GET /v1/runs/{id}/rounds/{round}/receipts': (client, options) =>
    run(client)
      .receipts(1, { ...page, ...options })
      .page(),
  'GET /v1/payouts': (client, options) =>
    client.payments.list({ ...page, ...options, run: 'run_1', node: 'z6Mk' }).page(),
  'GET /v1/balances': (client, options) => client.payments.balances({ ...page, ...options }).page(),
  'POST /v1/runs/{id}/verification': (client, options) => run(client).verify(options),
  'GET /v1/runs/{id}/verification': (client, options) => run(client).verification(options),
  'POST /v1/tasks': (client, options) => client.tasks.create(TASK, options),
  'GET /v1/tasks': (client, options) => client.tasks.list({ ...page, ...options }).page(),
  'GET /v1/tasks/{cid}': (client, options) => client.tasks.get('bafy', options),
  'GET /v1/runs/{id}/bundle': (client, options) => run(client).bundle({ ...options, round: 1, vectors: false }),
  'POST /v1/runs/{id}/resume': (client, options) => client.runs.resume(RUN.id, options),
  'POST /v1/runs/{id}/pause': (client, options) => client.runs.pause(RUN.id, 'lunch', options),
  'POST /v1/runs/{id}/extend': (client, options) => client.runs.extend(RUN.id, { rounds: 1, budget: '1' }, options),
  'POST /v1/runs/{id}/stop': (client, options) => client.runs.stop(RUN.id, 'enough', options),
  'POST /v1/stats-queries': (client, options) => client.stats.ask(ASK, options),
  'GET /v1/stats-queries': (client, options) => client.stats.list({ ...page, ...options }).page(),
  'GET /v1/stats-queries/{id}': (client, options) => client.stats.get('run_1', options),
  'GET /v1/publications': (client, options) => client.publications.list({ ...options, run: 'run_1', limit: 3 }),
  'GET /v1/pin-providers': (client, options) => client.publications.providers(options).page(),
  'GET /v1/webhook-endpoints': (client, options) => client.webhooks.list({ ...page, ...options }).page(),
  'POST /v1/webhook-endpoints': (client, options) =>
    client.webhooks.create({ url: 'https://a', events: [], description: '' }, options),
  'GET /v1/webhook-endpoints/{id}': (client, options) => client.webhooks.get('we_1', options),
  'PATCH /v1/webhook-endpoints/{id}': (client, options) =>
    client.webhooks.change('we_1', { url: 'https://a', events: [], description: '', enabled: false }, options),
  'DELETE /v1/webhook-endpoints/{id}': (client, options) => client.webhooks.remove('we_1', options),
  'GET /v1/webhook-endpoints/{id}/deliveries': (client, options) =>
    client.webhooks.deliveries('we_1', { ...page, ...options }).page(),
  'POST /v1/webhook-endpoints/{id}/deliveries/{delivery}/redeliver': (client, options) =>
    client.webhooks.redeliver('we_1', 'msg_1', options),
  'POST /v1/webhook-endpoints/{id}/rotate-secret': (client, options) =>
    client.webhooks.rotateSecret('we_1', { ...options, overlapSeconds: 60 }),
  'POST /v1/webhook-endpoints/{id}/test': (client, options) => client.webhooks.test('we_1', options),
  'POST /v1/files': (client, options) => client.tasks.keepFile(new Blob(['file']), options),
}

type Request = {
  readonly operation: string
  readonly query: URLSearchParams
  readonly body: object
  readonly headers: Headers
}

/** A coordinator that answers the example of each operation, and keeps what it was asked. */
function answering() {
  const asked: Request[] = []
  const client = new Consilium({
    ...{ url: 'http://coordinator', maxRetries: 0 },
    fetch: async (input, { method, headers, body, signal } = {}) => {
      signal?.throwIfAborted()
      const { pathname, searchParams } = new URL(String(input))
      const name = [...OPERATIONS.keys()].find((one) => matches(one, `${method} ${pathname}`))
      const told = { query: searchParams, headers: new Headers(headers) }
      asked.push({ operation: name ?? pathname, ...told, body: typeof body === 'string' ? JSON.parse(body) : {} })
      const operation = name === undefined ? undefined : OPERATIONS.get(name)
      return operation ? exampleOf(operation) : new Response('', { status: 404 })
    },
  })
  return { client, asked }
}

/** The one with the fewest blanks is meant: `/v1/runs/dry-run` is no run. */
function matches(operation: string, asked: string): boolean {
  const [due, told] = [operation.split('/'), asked.split('/')]
  const isSame = due.length === told.length && due.every((part, at) => part === told[at] || part.startsWith('{'))
  return isSame && (operation === asked || !OPERATIONS.has(asked))
}

function exampleOf({ responses }: Operation): Response {
  const status = Object.keys(responses).find((code) => code.startsWith('2')) as string
  const [[type, media] = ['', {}]] = Object.entries(responses[status]?.content ?? {})
  if (status === '204') return new Response(null, { status: 204 })
  const schema = media.schema?.$ref ? components.schemas[media.schema.$ref.split('/').at(-1) as string] : media.schema
  const example = media.example ?? schema?.example ?? schema?.examples?.[0] ?? ''
  const text = typeof example === 'string' ? example : JSON.stringify(example)
  return new Response(text, { status: Number(status), headers: { 'content-type': type } })
}

test('every code that the API refuses with is one that the SDK knows', async () => {
  const files = await Array.fromAsync(glob('coordinator/api/*.ts'))
  const texts = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n')
  const patterns = [/new Problem\(\s*\d+,\s*'(\w+)'/g, /\blater\(\s*\d+,\s*'(\w+)'/g, /\bcode: '(\w+)'/g]
  const told = new Set(patterns.flatMap((pattern) => [...texts.matchAll(pattern)].map(([, code]) => code as string)))
  expect(told.size).toBeGreaterThan(40)
  // The one that a schema has for what it says in words.
  told.delete('custom')
  expect([...told].filter((code) => !CODES.some((known) => known === code))).toEqual([])
})

describe('an operation of the API', () => {
  test('is in the SDK, or somebody else’s, and there is no other', () => {
    expect([...Object.keys(CALLS), ...Object.keys(OTHERS)].sort()).toEqual([...OPERATIONS.keys()].sort())
  })

  test.each(Object.keys(CALLS))('%s is asked for, with everything that it can be told', async (name) => {
    const { client, asked } = answering()
    // The model that comes is none: it is enough that it was asked for.
    await Promise.resolve(CALLS[name]?.(client, {})).catch((cause: Error) => cause)
    const request = asked.find(({ operation }) => operation === name) as Request
    expect(asked.map(({ operation }) => operation)).toContain(name)
    const { parameters = [], requestBody } = OPERATIONS.get(name) as Operation
    const queries = parameters.filter((one) => one.in === 'query').map((one) => one.name)
    expect([...request.query.keys()].sort()).toEqual(queries.sort())
    const { schema } = requestBody?.content['application/json'] ?? {}
    const body = schema?.$ref ? components.schemas[schema.$ref.split('/').at(-1) as string] : schema
    const isWhole = name === 'POST /v1/tasks' || name === 'POST /v1/runs' || name === 'POST /v1/runs/dry-run'
    // What a run can be told has a test of its own.
    if (!isWhole) expect(Object.keys(request.body).sort()).toEqual(Object.keys(body?.properties ?? {}).sort())
    if (name.startsWith('POST')) expect(request.headers.get('idempotency-key')).toMatch(/^(k|[0-9a-f]{32})$/)
  })

  test.each(Object.keys(CALLS))('%s is not asked for once its signal has fired', async (name) => {
    const { client, asked } = answering()
    const signal = AbortSignal.abort('enough')
    const told = await Promise.resolve(CALLS[name]?.(client, { signal })).catch((cause: unknown) => cause)
    // A stream that nobody wants any more just ends.
    expect(told).toBe(name === 'GET /v1/events' ? undefined : 'enough')
    expect(asked).toEqual([])
  })
})
