import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import {
  byTag,
  curlOf,
  type Description,
  kindOf,
  matches,
  type Operation,
  operationsIn,
  partsOf,
  type Schema,
} from '#dashboard/reference.ts'

const description: Description = JSON.parse(readFileSync('docs/openapi.json', 'utf8'))
const schemas = description.components?.schemas ?? {}
const operations = operationsIn(description)
const the = (method: string, path: string) =>
  operations.find((one) => one.method === method && one.path === path) as Operation

describe("the API's reference", () => {
  test('has each operation once, by what it is about, with who may call it', () => {
    const told = Object.values(description.paths).flatMap((methods) => Object.keys(methods))
    expect(operations).toHaveLength(told.length)
    expect(new Set(operations.map(({ id }) => id)).size).toBe(operations.length)
    expect([...byTag(operations).values()].flat()).toHaveLength(operations.length)
    expect(
      byTag(operations)
        .get('runs')
        ?.map(({ path }) => path),
    ).toContain('/v1/runs/{id}/pause')
    expect([the('POST', '/v1/runs').scope, the('GET', '/v1/whoami').scope, the('GET', '/healthz').scope]).toEqual([
      ...['runs:write', 'any', null],
    ])
  })

  test('shows an example of each body, and what each of its fields is', () => {
    const bodies = operations.flatMap(({ body }) => body ?? [])
    expect(bodies.length).toBeGreaterThan(10)
    for (const { example, schema } of bodies) {
      const names = partsOf(schema as Schema, schemas).map(({ name }) => name)
      expect(names).toEqual(expect.arrayContaining(Object.keys(example as object)))
    }
    const rounds = partsOf(the('POST', '/v1/runs').body?.schema as Schema, schemas).find(
      ({ name }) => name === 'rounds',
    )
    expect(rounds).toMatchObject({ isRequired: true, description: expect.stringContaining('training rounds') })
    expect(kindOf(rounds?.schema as Schema)).toMatch(/^integer, 1 … \d+$/)
  })

  test('ends, whatever shapes are made of', () => {
    let seen = 0
    const walk = (schema: Schema, depth: number): void => {
      seen++
      expect(kindOf(schema)).not.toBe('')
      if (depth > 0) for (const part of partsOf(schema, schemas)) walk(part.schema, depth - 1)
    }
    for (const schema of Object.values(schemas)) walk(schema, 2)
    expect(seen).toBeGreaterThan(500)
    const itself = { $ref: '#/a' }
    for (const a of [{ anyOf: [itself, itself] }, { items: itself }, { allOf: [itself] }, itself])
      expect(partsOf(a, { a })).toEqual([])
    expect(partsOf({ $ref: '#/nothing' }, {})).toEqual([])
  })

  test('gives a line that a shell takes as it is meant', () => {
    for (const one of operations) {
      const line = curlOf(one, 'http://127.0.0.1:7410')
      expect(line).not.toMatch(/undefined|[{}](?=[^']*"$)/)
    }
    const { body, ...relabel } = the('PATCH', '/v1/runs/{id}')
    const payload = { name: `it's "so" $HOME \\n`, labels: { a: '`b`' } }
    const line = curlOf(
      { ...relabel, body: { ...body, type: 'application/json', schema: {}, example: payload } },
      'http://x',
    )
    const shell = `curl() { for word in "$@"; do printf '%s\\0' "$word"; done; }; ${line}`
    const { stdout } = spawnSync('sh', ['-c', shell], {
      env: { ID: 'run_1', CONSILIUM_API_KEY: 'ck' },
      encoding: 'utf8',
    })
    expect(stdout.split('\0').slice(0, -1)).toEqual([
      ...['-X', 'PATCH', '-H', 'authorization: Bearer ck', '-H', 'content-type: application/json', '-d'],
      ...[JSON.stringify(payload), 'http://x/v1/runs/run_1'],
    ])
    expect(curlOf(the('GET', '/v1/events'), '')).toContain("-N -H 'accept: text/event-stream'")
    expect(curlOf(the('GET', '/healthz'), '')).toBe('curl "/healthz"')
    expect(curlOf(the('POST', '/v1/runs'), '')).toContain('-H "idempotency-key: $IDEMPOTENCY_KEY"')
    expect(curlOf(the('POST', '/v1/runs/{id}/pause'), '')).not.toContain('idempotency')
  })

  test('is searched by all words at once, in whatever they are', () => {
    const found = (search: string) =>
      operations.filter((one) => matches(one, search)).map(({ method, path }) => `${method} ${path}`)
    expect(found('')).toHaveLength(operations.length)
    expect(found('POST runs:write PAUSE')).toEqual([...['POST /v1/runs/{id}/resume', 'POST /v1/runs/{id}/pause']])
    expect(found('nobody has this')).toEqual([])
  })
})
