import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import type { Scope } from '#coordinator/api/caller.ts'
import { failureView } from '#coordinator/api/pin-schemas.ts'
import { problemView } from '#coordinator/api/schemas.ts'
import { BOUNDS } from '#coordinator/bounds.ts'
import type { Schema } from '#dashboard/reference.ts'
import type { EventLog } from '#protocol/ports.ts'
import { request } from './live.ts'
import { type Asked, type Said, served } from './served.ts'
import { valuesOf } from './shaped.ts'

type Body = { readonly content: Readonly<Record<string, { readonly schema: Schema; readonly example?: unknown }>> }
type Parameter = { readonly in: 'query' | 'path' | 'header'; readonly name: string; readonly schema: Schema }
export type Operation = {
  readonly path: string
  readonly method: NonNullable<Asked['method']>
  readonly parameters: readonly Parameter[]
  readonly requestBody?: Body
  readonly 'x-scope'?: Scope | 'any'
  readonly responses: Readonly<Record<string, Partial<Body>>>
}

const description = JSON.parse(readFileSync('docs/openapi.json', 'utf8'))
export const SHAPES: Readonly<Record<string, Schema>> = description.components.schemas
export const OPERATIONS: readonly Operation[] = Object.entries(description.paths as Record<string, object>).flatMap(
  ([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...{ path, method: method.toUpperCase(), parameters: [] },
      ...operation,
    })),
)

/** The example of a body, wherever OpenAPI has it. */
export function exampleOf(body: Partial<Body> | undefined): unknown {
  const { schema, example } = body?.content?.['application/json'] ?? {}
  return example ?? SHAPES[schema?.$ref?.split('/').at(-1) ?? '']?.examples?.[0]
}

const DEEP = 20_000
const HOSTILE: fc.Arbitrary<unknown> = fc.constantFrom<unknown>(
  ...[
    null,
    true,
    -1,
    0,
    1.5,
    1e308,
    2 ** 53,
    -(2 ** 31),
    '',
    '0',
    'x'.repeat(10_000),
    '\0',
    '\ud800',
    '../../etc/passwd',
  ],
  ...['__proto__', 'constructor', '%2f', 'a\r\nset-cookie: x=1', [], {}, [[]], ['x'], { $ref: '#' }, { length: 1e9 }],
)
const TEXTS = fc.oneof(
  fc.constantFrom(
    ...['', '{', 'null', '[]', '"text"', '{"task":{}}', `{"rounds":${'9'.repeat(400)}}`, '\ufeff{}', '{"a":1,"a":2}'],
    ...[
      '{"__proto__":{"scopes":["keys:admin"]}}',
      '{"constructor":{"prototype":{"federation":null}}}',
      '\0',
      '{"a":NaN}',
    ],
    ...[
      '['.repeat(DEEP),
      `{"task":${'['.repeat(DEEP)}${']'.repeat(DEEP)}}`,
      ' '.repeat(300_000),
      `"${'x'.repeat(300_000)}"`,
    ],
  ),
  fc.json(),
  fc.string(),
)
const SEGMENTS = fc.oneof(
  fc.constantFrom(
    ...['..', '.', '%2e%2e%2f', '%2f', '%00', '%ff', '%', '%0d%0ax-evil:%201', '__proto__', 'constructor', 'toString'],
    ...['a'.repeat(3000), 'run_', 'run_00000000000000000000000000', '*', ':id', '-1', '0', '1e9', '9'.repeat(30)],
  ),
  fc.string({ maxLength: 30 }).map(encodeURIComponent),
)
const CONTENT_TYPES = fc.constantFrom(
  ...[
    'application/json',
    'application/json; charset=utf-8',
    'text/plain',
    'application/xml',
    'multipart/form-data',
    '',
  ],
  ...['application/json; charset=nonsense', 'application/octet-stream', 'x', 'application/x-www-form-urlencoded'],
)
const HEADERS = fc.record(
  {
    'idempotency-key': fc.constantFrom('same', 'other', '', 'x'.repeat(256), '\u00e9', '__proto__'),
    'if-match': fc.constantFrom('*', '"x"', 'W/"x"', ',,,', 'x'.repeat(2000)),
    'if-none-match': fc.constantFrom('*', '"x"', ''),
    'last-event-id': fc.constantFrom('0', '-1', '9'.repeat(20), 'x'),
    'x-csrf-token': fc.constantFrom('', 'x'),
    cookie: fc.constantFrom(
      'consilium_session=',
      'consilium_session=root.9999999999999.00.00',
      'a=b; ;=;',
      ';'.repeat(500),
    ),
  },
  { requiredKeys: [] },
)

/** Somewhere in it another value, one thing less, or one more that nobody knows. */
function spoilt(value: unknown): fc.Arbitrary<unknown> {
  if (typeof value !== 'object' || value === null) return HOSTILE
  const here = fc.tuple(fc.constantFrom(...Object.keys(value), 'unknown'), fc.oneof(HOSTILE, fc.constant(undefined)))
  return here.chain(([name, other]) => {
    const inner = (value as Record<string, unknown>)[name]
    const put = (one: unknown) =>
      Array.isArray(value) ? value.with(Number(name) || 0, one) : { ...value, [name]: one }
    return fc.oneof(fc.constant(put(other)), spoilt(inner).map(put))
  })
}

function bodiesOf(operation: Operation): fc.Arbitrary<string | undefined> {
  const schema = operation.requestBody?.content['application/json']?.schema
  if (!schema) return fc.oneof({ arbitrary: fc.constant(undefined), weight: 3 }, TEXTS)
  const example = exampleOf(operation.requestBody)
  const json = (values: fc.Arbitrary<unknown>) => values.map((value) => JSON.stringify(value) ?? '')
  return fc.oneof(
    json(fc.constant(example)),
    { arbitrary: json(spoilt(example)), weight: 3 },
    { arbitrary: json(valuesOf(schema, SHAPES)), weight: 2 },
    { arbitrary: TEXTS, weight: 2 },
  )
}

function queriesOf({ parameters }: Operation): fc.Arbitrary<string> {
  const named = parameters.filter((one) => one.in === 'query')
  const values = named.map(({ name, schema }) =>
    fc.option(fc.oneof(valuesOf(schema, SHAPES), HOSTILE)).map((value) => (value === null ? '' : pair(name, value))),
  )
  const odd = fc.constantFrom('', '', '__proto__=1', 'limit=1&limit=2', 'after[]=1', '%ff=%', '&&&', 'x'.repeat(3000))
  return fc.tuple(...values, odd).map((parts) => parts.filter((part) => part !== '').join('&'))
}

function pair(name: string, value: unknown): string {
  return `${name}=${encodeURIComponent((typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed())}`
}

/** The API with runs, keys and pins of its own, and what may be sent to it. */
async function world() {
  const plenty = { perSecond: 1e6, burst: 1e6 }
  const bounds = { requests: plenty, strangers: plenty, connections: { total: 1e9, each: 1e9 }, unfinishedRuns: 1e6 }
  const api = await served({ bounds: { ...BOUNDS, ...bounds } })
  const post = async (url: string, payload: object) => (await api.ask(url, { method: 'POST', payload })).body
  const keyOf = (scopes: readonly string[], federation: string | null) =>
    post('/v1/api-keys', { name: 'one', scopes, federation })
  const [reader, tenant, gone] = [
    await keyOf(['runs:read', 'nodes:read'], null),
    await keyOf(['keys:admin', 'audit:read', 'runs:write'], 'fed_01KQ7ZT2B4C6D8E0F1G2H3J4K5'),
    await keyOf(['keys:admin'], null),
  ]
  await api.ask(`/v1/api-keys/${gone.id}`, { method: 'DELETE' })
  for (const { key } of [reader, tenant]) await api.ask('/v1/whoami', { key })
  const run = await post('/v1/runs', request({ budget: '0' }))
  const secrets = ['key', reader.key, tenant.key, gone.key].filter((key) => key.length > 10)
  const keys = fc.oneof(
    { arbitrary: fc.constant('key'), weight: 4 },
    fc.constantFrom(reader.key, tenant.key, gone.key, 'nonsense', reader.key.slice(0, -1), null),
  )
  const ids = fc.constantFrom(run.id, reader.id, tenant.id, '1')
  return { api, secrets, keys, ids }
}
type World = Awaited<ReturnType<typeof world>>

function requestsOf(operation: Operation, { keys, ids }: World) {
  const segments = operation.path
    .split('/')
    .map((part) => (part.startsWith('{') ? fc.oneof(ids, SEGMENTS) : fc.constant(part)))
  const path = fc.tuple(...segments).map((parts) => parts.join('/'))
  return fc.record({
    ...{ path, query: queriesOf(operation), body: bodiesOf(operation), key: keys, headers: HEADERS },
    type: fc.oneof({ arbitrary: fc.constant('application/json'), weight: 6 }, CONTENT_TYPES),
  })
}

/**
 * Whatever is sent: no fault of ours, no answer of another shape than documented, nothing of the inside in it, and nothing
 * changed by what was refused or only read.
 *
 * @param runs requests to each operation
 * @returns how many were answered with which status
 */
export async function fuzz(seed: number, runs: number): Promise<Readonly<Record<number, number>>> {
  const at = await world()
  const seen: Record<number, number> = {}
  for (const operation of OPERATIONS) {
    const { method } = operation
    await fc.assert(
      fc.asyncProperty(requestsOf(operation, at), async ({ path, query, body, key, headers, type }) => {
        const before = await contentOf(at.api.log)
        const said = await at.api.ask(query === '' ? path : `${path}?${query}`, {
          ...{ method, key, headers: body === undefined ? headers : { ...headers, 'content-type': type } },
          ...(body !== undefined && { payload: body }),
        })
        seen[said.status] = (seen[said.status] ?? 0) + 1
        checkAnswer(operation, said, at.secrets)
        if (method !== 'GET' && said.status < 400) return
        const after = await contentOf(at.api.log)
        if (after !== before) throw new Error(`${said.status} changed the log: ${before} to ${after}`)
      }),
      { seed, numRuns: runs },
    )
  }
  await at.api.server.close()
  return seen
}

const INSIDE = /node_modules|\.ts\b|\n\s+at |\bat \S+ \(|TypeError|ReferenceError|\bstack\b|fst_err/i

function checkAnswer({ path }: Operation, { status, text, headers }: Said, secrets: readonly string[]): void {
  const fault = (what: string) => new Error(`${what}: ${status} ${text.slice(0, 500)}`)
  if (status >= 500) throw fault('a fault')
  if (headers['x-evil'] !== undefined) throw fault('a header of theirs')
  if (status < 400) return
  if (INSIDE.test(text.replace(/"instance":"[^"]*"|"detail":"there is no [^"]*"/g, '')))
    throw fault('something of the inside')
  if (secrets.some((secret) => text.includes(secret))) throw fault('a secret')
  const body = JSON.parse(text)
  const isPinning = path.startsWith('/v1/pinning') && 'error' in body
  const shape = isPinning ? failureView.strict() : problemView.strict()
  if (!shape.safeParse(body).success || (!isPinning && body.status !== status)) throw fault('another shape')
}

/** How long each stream is; what was refused may be audited. */
async function contentOf(log: EventLog): Promise<string> {
  const heads: string[] = []
  for await (const stream of log.streams('')) if (stream !== 'audit') heads.push(`${stream} ${await log.head(stream)}`)
  return heads.join()
}
