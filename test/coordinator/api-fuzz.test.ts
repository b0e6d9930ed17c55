import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import { SCOPES } from '#coordinator/api/caller.ts'
import { problemView } from '#coordinator/api/schemas.ts'
import { exampleOf, fuzz, OPERATIONS, type Operation, SHAPES } from './api-fuzz.ts'
import { type Live, live } from './live.ts'
import { served } from './served.ts'

test('every operation answers what is valid, what is not and what is meant ill, each by name, and nothing leaks or changes', async () => {
  const seen = await fuzz(1, 12)
  for (const status of [200, 201, 400, 401, 403, 404, 415, 422]) expect(seen[status]).toBeGreaterThan(0)
})

describe('what no client library would send', () => {
  let at: Live
  beforeAll(async () => {
    at = await live()
  })
  afterAll(async () => at[Symbol.asyncDispose]())

  test.each([
    ['up and out of the routes', 'GET /v1/../../etc/passwd HTTP/1.1', '', 404],
    ['the same, encoded', 'GET /v1/runs/%2e%2e%2f%2e%2e%2fapi-key HTTP/1.1', '', 404],
    ['half an escape', 'GET /v1/runs/%f HTTP/1.1', '', 400],
    ['an escape of half a letter', 'GET /v1/runs/%ff HTTP/1.1', '', 400],
    ['a NUL', 'GET /v1/runs/\0 HTTP/1.1', '', 400],
    ['another server', 'GET http://example.org/v1/runs/x HTTP/1.1', '', 404],
    ['a slash too many', 'GET //v1/runs HTTP/1.1', '', 404],
    ['a segment without end', `GET /v1/runs/${'a'.repeat(9000)} HTTP/1.1`, '', 414],
    ['headers without end', 'GET /v1/runs HTTP/1.1', `x: ${'a'.repeat(40_000)}\r\n`, 431],
    ['a header that is two', 'GET /v1/runs HTTP/1.1', 'x: a\rset-cookie: x=1\r\n', 400],
    ['two lengths', 'POST /v1/runs HTTP/1.1', 'content-length: 1\r\ncontent-length: 2\r\n', 400],
    ['a length and chunks', 'POST /v1/runs HTTP/1.1', 'content-length: 1\r\ntransfer-encoding: chunked\r\n', 400],
    ['a method that nobody has', 'BREW /v1/runs HTTP/1.1', '', 400],
    ['a method that no route has', 'TRACE /v1/runs HTTP/1.1', '', 404],
    ['another protocol', 'hello', '', 400],
  ])('is told so by name and left: %s', async (_what, line, headers, status) => {
    const socket = connect(Number(new URL(at.coordinator.url).port), '127.0.0.1')
    socket.write(
      Buffer.from(
        `${line}\r\nhost: x\r\nauthorization: Bearer ${at.key}\r\n${headers}connection: close\r\n\r\n`,
        'latin1',
      ),
    )
    const answer = await text(socket)
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(head).toMatch(/^content-type: application\/problem\+json/m)
    expect(head).not.toContain('set-cookie')
    expect(problemView.strict().parse(JSON.parse(body)).status).toBe(status)
    expect(answer).not.toContain(at.key)
  })
})

describe('every operation', () => {
  const named = OPERATIONS.map((one) => [`${one.method} ${one.path}`, one] as const)

  test.each(named)('has an example of what is sent and of what comes back: %s', (_name, { requestBody, responses }) => {
    if (requestBody) expect(problemsOf(requestBody)).toEqual([])
    for (const [status, answer] of Object.entries(responses))
      if (answer.content?.['application/json']) expect([status, problemsOf(answer)]).toEqual([status, []])
  })

  test('is refused without a key, and with one that has every scope but its own, and not with one that has no other', async () => {
    const api = await served()
    const keyOf = async (scopes: readonly string[]) =>
      (await api.ask('/v1/api-keys', { method: 'POST', payload: { name: 'one', scopes } })).body.key as string
    const keys = new Map<string, { readonly only: string; readonly lacking: string }>()
    for (const scope of SCOPES)
      keys.set(scope, { only: await keyOf([scope]), lacking: await keyOf(SCOPES.filter((other) => other !== scope)) })
    // An invite's code is a key of its own.
    const open = ['/healthz', '/readyz', '/metrics', '/v1/session', '/v1/coordinator', '/v1/invites/accept']
    for (const { method, path, 'x-scope': scope } of OPERATIONS) {
      const ask = async (key: string | null) => (await api.ask(path.replace(/[{}]/g, ''), { method, key })).status
      if (scope === undefined) expect(open).toContain(path)
      else expect([path, await ask(null)]).toEqual([path, 401])
      const { only = '', lacking = '' } = keys.get(scope ?? '') ?? {}
      if (lacking !== '') expect([path, await ask(lacking), (await ask(only)) === 403]).toEqual([path, 403, false])
    }
  })

  test('asks for a scope that docs/api.md tells of', async () => {
    const text = await readFile('docs/api.md', 'utf8')
    const told = [...text.matchAll(/^\| `([a-z]+:[a-z]+)` \|/gm)].map(([, scope]) => scope)
    expect(told).toEqual([...SCOPES])
  })

  test('takes its own example', async () => {
    const api = await served()
    /** The id of something that a path names: made after the example of its collection. */
    const made = new Map<string, string>()
    const idIn = async (path: string): Promise<string> => {
      const [collection = ''] = path.split('/{')
      const known = made.get(collection)
      if (known !== undefined) return known
      const { body } = await api.ask(collection, {
        method: 'POST',
        payload: exampleOf(bodyOf(collection)) as object,
        headers: { 'idempotency-key': `made at ${collection}` },
      })
      made.set(collection, body.id ?? body.requestid)
      return body.id ?? body.requestid
    }
    // A code and a signature over it that are an example are nobody's.
    const sent = OPERATIONS.filter(({ requestBody, path }) => requestBody && path !== '/v1/invites/accept')
    for (const { method, path, requestBody } of sent) {
      const url = path.includes('{') ? path.replace(/\{\w+\}/, await idIn(path)) : path
      const payload = exampleOf(requestBody) as object
      const { status, body } = await api.ask(url, {
        method,
        headers: { 'idempotency-key': `${method} ${path}` },
        payload: path === '/v1/session' ? { key: 'key' } : payload,
      })
      expect([method, path, status < 300, body?.errors ?? []]).toEqual([method, path, true, []])
    }
  })
})

function bodyOf(path: string) {
  return OPERATIONS.find((one) => one.method === 'POST' && one.path === path)?.requestBody
}

const DEFINED = JSON.parse(JSON.stringify(SHAPES).replaceAll('#/components/schemas/', '#/$defs/'))
const known = new Map<string, z.ZodType>()

/** What is wrong with the example of a body; that there is none is. */
function problemsOf(body: NonNullable<Operation['requestBody']> | Partial<NonNullable<Operation['requestBody']>>) {
  const schema = JSON.stringify(body.content?.['application/json']?.schema).replaceAll(
    '#/components/schemas/',
    '#/$defs/',
  )
  const read = known.get(schema) ?? z.fromJSONSchema({ ...JSON.parse(schema), $defs: DEFINED })
  known.set(schema, read)
  const example = exampleOf(body)
  if (schema === '{}' || schema === '{"not":{}}') return []
  return example === undefined ? ['none'] : (read.safeParse(example).error?.issues ?? [])
}
