import { glob, readFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import { Consilium } from '#sdk/client.ts'
import { CODES } from '#sdk/codes.ts'
import type { Ask } from '#sdk/stats.ts'
import type { NewTask } from '#sdk/task.ts'
import type { RunView } from '#sdk/views.ts'

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
const run = async (client: Consilium) => client.runs.get(RUN.id)
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
const CALLS: Readonly<Record<string, (client: Consilium) => unknown>> = {
  'GET /v1/coordinator': (client) => client.coordinator(),
  'GET /v1/whoami': (client) => client.whoami(),
  'GET /v1/api-keys': (client) => client.keys.list(page).page(),
  'POST /v1/api-keys': (client) =>
    client.keys.create({ name: 'a', scopes: [], federation: null, expiresAt: null }, { idempotencyKey: 'k' }),
  'GET /v1/api-keys/{id}': (client) => client.keys.get('key_1'),
  'DELETE /v1/api-keys/{id}': (client) => client.keys.revoke('key_1'),
  'GET /v1/audit-events': (client) => client.keys.audit(page).page(),
  'GET /v1/nodes': (client) => client.nodes.list({ ...page, which: 'known' }).page(),
  'GET /v1/nodes/{id}': (client) => client.nodes.get('z6Mk'),
  'GET /v1/datasets': (client) => client.nodes.datasets(page).page(),
  'GET /v1/federations': (client) => client.federations.list(page).page(),
  'POST /v1/federations': (client) => client.federations.create({ name: 'a', description: 'b' }),
  'GET /v1/federations/{id}': (client) => client.federations.get('fed_1'),
  'PATCH /v1/federations/{id}': (client) => client.federations.amend('fed_1', { name: 'a', description: null }),
  'DELETE /v1/federations/{id}': (client) => client.federations.remove('fed_1'),
  'GET /v1/federations/{id}/members': (client) => client.federations.members('fed_1', page).page(),
  'POST /v1/federations/{id}/members': (client) =>
    client.federations.addMember('fed_1', { node: 'z6Mk', operator: null }),
  'DELETE /v1/federations/{id}/members/{node}': (client) => client.federations.removeMember('fed_1', 'z6Mk'),
  'GET /v1/federations/{id}/invites': (client) => client.federations.invites('fed_1', page).page(),
  'POST /v1/federations/{id}/invites': (client) =>
    client.federations.invite('fed_1', { operator: null, uses: 1, expiresAt: null }),
  'DELETE /v1/federations/{id}/invites/{invite}': (client) => client.federations.withdrawInvite('fed_1', 'inv_1'),
  'POST /v1/runs/dry-run': (client) => client.runs.dryRun(order('CreateRun')),
  'POST /v1/runs': (client) => client.runs.create(order('CreateRun')),
  'GET /v1/runs': (client) => client.runs.list(page).page(),
  'GET /v1/runs/{id}': (client) => client.runs.get('run_1'),
  'GET /v1/runs/{id}/events': async (client) => (await run(client)).past({ after: 1, limit: 2 }),
  'GET /v1/events': (client) => first(client.changes()),
  'GET /v1/runs/{id}/rounds': async (client) => (await run(client)).rounds(page).page(),
  'GET /v1/runs/{id}/rounds/{round}': async (client) => (await run(client)).round(1),
  'GET /v1/runs/{id}/metrics': async (client) => (await run(client)).metrics({ keys: ['loss'], downsample: 9 }),
  'GET /v1/runs/{id}/model': async (client) => (await run(client)).model({ round: 1 }),
  'GET /v1/models/{cid}': (client) => client.tasks.model('bafy'),
  'GET /v1/runs/{id}/card': async (client) => (await run(client)).card(),
  'GET /v1/runs/{id}/matrix': async (client) => (await run(client)).matrix(page).page(),
  'GET /v1/runs/{id}/rounds/{round}/receipts': async (client) => (await run(client)).receipts(1, page).page(),
  'GET /v1/payouts': (client) => client.payments.list({ ...page, run: 'run_1', node: 'z6Mk' }).page(),
  'GET /v1/balances': (client) => client.payments.balances(page).page(),
  'POST /v1/runs/{id}/verification': async (client) => (await run(client)).verify(),
  'GET /v1/runs/{id}/verification': async (client) => (await run(client)).verification(),
  'POST /v1/tasks': (client) => client.tasks.create(TASK),
  'GET /v1/tasks': (client) => client.tasks.list(page).page(),
  'GET /v1/tasks/{cid}': (client) => client.tasks.get('bafy'),
  'GET /v1/runs/{id}/bundle': async (client) => (await run(client)).bundle({ round: 1, vectors: false }),
  'POST /v1/runs/{id}/resume': (client) => client.runs.resume(RUN.id),
  'POST /v1/runs/{id}/pause': (client) => client.runs.pause(RUN.id, 'lunch'),
  'POST /v1/runs/{id}/extend': (client) => client.runs.extend(RUN.id, { rounds: 1, budget: '1' }),
  'POST /v1/runs/{id}/stop': (client) => client.runs.stop(RUN.id, 'enough'),
  'POST /v1/stats-queries': (client) => client.stats.ask(ASK),
  'GET /v1/stats-queries': (client) => client.stats.list(page).page(),
  'GET /v1/stats-queries/{id}': (client) => client.stats.get('run_1'),
  'GET /v1/publications': (client) => client.publications.list({ run: 'run_1', limit: 3 }),
  'GET /v1/pin-providers': (client) => client.publications.providers().page(),
  'GET /v1/webhook-endpoints': (client) => client.webhooks.list(page).page(),
  'POST /v1/webhook-endpoints': (client) => client.webhooks.create({ url: 'https://a', events: [], description: '' }),
  'GET /v1/webhook-endpoints/{id}': (client) => client.webhooks.get('we_1'),
  'PATCH /v1/webhook-endpoints/{id}': (client) =>
    client.webhooks.change('we_1', { url: 'https://a', events: [], description: '', enabled: false }),
  'DELETE /v1/webhook-endpoints/{id}': (client) => client.webhooks.remove('we_1'),
  'GET /v1/webhook-endpoints/{id}/deliveries': (client) => client.webhooks.deliveries('we_1', page).page(),
  'POST /v1/webhook-endpoints/{id}/deliveries/{delivery}/redeliver': (client) =>
    client.webhooks.redeliver('we_1', 'msg_1'),
  'POST /v1/webhook-endpoints/{id}/test': (client) => client.webhooks.test('we_1'),
  'POST /v1/files': (client) => client.tasks.keepFile(new Blob(['file'])),
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
    fetch: async (input, { method, headers, body } = {}) => {
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
    await Promise.resolve(CALLS[name]?.(client)).catch((cause: Error) => cause)
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
})
