import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from '@jest/globals'
import { dryRun } from '#cli/command.ts'
import { COMMANDS } from '#cli/commands.ts'
import { here } from './here.ts'

const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV'
const [RUN, KEY, ENDPOINT] = [`run_${ULID}`, `key_${ULID}`, `we_${ULID}`]
const [FEDERATION, INVITE, NODE] = [`fed_${ULID}`, `inv_${ULID}`, 'z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH']
const TIME = '2026-11-22T09:31:04.120Z'
const CARDIO = { id: FEDERATION, name: 'cardio', description: null, members: 0, created_at: TIME, updated_at: TIME }

/** What says that it is a coordinator with one federation, and keeps what it is asked to change. */
async function pretender() {
  const changes: { method: string | undefined; key: string | string[] | undefined }[] = []
  const server = createServer((request, response) => {
    request.resume()
    if (request.method !== 'GET') changes.push({ method: request.method, key: request.headers['idempotency-key'] })
    const answer = request.method === 'GET' ? { data: [CARDIO], has_more: false, next: null } : CARDIO
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    changes,
    environment: {
      CONSILIUM_COORDINATOR: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      CONSILIUM_API_KEY: 'key',
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Each command that changes something, and the request that it would send. */
const CHANGES: readonly (readonly [line: string, method: string, path: string, body: object | null])[] = [
  ['keys create --name a --scopes runs:read', 'POST', '/v1/api-keys', { name: 'a', scopes: ['runs:read'] }],
  [`keys revoke ${KEY}`, 'DELETE', `/v1/api-keys/${KEY}`, null],
  ['federations create other', 'POST', '/v1/federations', { name: 'other' }],
  ['federations rename cardio heart', 'PATCH', `/v1/federations/${FEDERATION}`, { name: 'heart' }],
  ['federations rm cardio', 'DELETE', `/v1/federations/${FEDERATION}`, null],
  [`invite revoke cardio ${INVITE}`, 'DELETE', `/v1/federations/${FEDERATION}/invites/${INVITE}`, null],
  [`members add cardio ${NODE}`, 'POST', `/v1/federations/${FEDERATION}/members`, { node: NODE }],
  [`members rm cardio ${NODE}`, 'DELETE', `/v1/federations/${FEDERATION}/members/${NODE}`, null],
  [`nodes drain ${NODE}`, 'POST', `/v1/nodes/${NODE}/drain`, null],
  [`nodes resume ${NODE}`, 'POST', `/v1/nodes/${NODE}/resume`, null],
  ['webhooks create https://a.example.org/', 'POST', '/v1/webhook-endpoints', { url: 'https://a.example.org/' }],
  [
    `webhooks rotate ${ENDPOINT} --overlap 60`,
    'POST',
    `/v1/webhook-endpoints/${ENDPOINT}/rotate-secret`,
    { overlapSeconds: 60 },
  ],
  [`webhooks rm ${ENDPOINT}`, 'DELETE', `/v1/webhook-endpoints/${ENDPOINT}`, null],
  [`webhooks test ${ENDPOINT}`, 'POST', `/v1/webhook-endpoints/${ENDPOINT}/test`, null],
  [
    `runs label ${RUN} --name n --set a=b=c --unset d`,
    'PATCH',
    `/v1/runs/${RUN}`,
    { name: 'n', labels: { a: 'b=c', d: null } },
  ],
  [`runs pause ${RUN} --reason night`, 'POST', `/v1/runs/${RUN}/pause`, { reason: 'night' }],
  [`runs extend ${RUN} --rounds 3`, 'POST', `/v1/runs/${RUN}/extend`, { rounds: 3, budget: '0' }],
  [`runs resume ${RUN} --wait`, 'POST', `/v1/runs/${RUN}/resume`, null],
  [`runs stop ${RUN}`, 'POST', `/v1/runs/${RUN}/stop`, { reason: 'by its owner' }],
  ['stats ask --count', 'POST', '/v1/stats-queries', { population: 'open' }],
  ['api DELETE /v1/anything', 'DELETE', '/v1/anything', null],
]
/** It asks for the words that its code is told with before. */
const ELSEWHERE = ['invite create']

test('with --dry-run every command that changes something tells the request, and sends none', async () => {
  await using at = await pretender()
  for (const [line, method, path, body] of CHANGES) {
    const ran = await here([...line.split(' '), '--dry-run', '--json'], at.environment)
    expect([line, ran.code, ran.stderr]).toEqual([line, 0, ''])
    expect(JSON.parse(ran.stdout)).toEqual({
      ...{ dry_run: true, method, path },
      body: body && expect.objectContaining(body),
    })
  }
  const shown = await here(['runs', 'pause', RUN, '--dry-run'], at.environment)
  expect(shown.stdout).toBe(`would send  POST /v1/runs/${RUN}/pause\n{\n  "reason": "by its owner"\n}\n`)
  expect(at.changes).toEqual([])

  const covered = CHANGES.map(([line]) => COMMANDS.find(({ name }) => `${line} `.startsWith(`${name} `))?.name)
  const changing = COMMANDS.filter(({ options }) => options.includes(dryRun)).map(({ name }) => name)
  expect(changing.sort()).toEqual([...covered, ...ELSEWHERE].sort())
})

test('what makes something goes under the key that was given for it', async () => {
  await using at = await pretender()
  await here(['federations', 'create', 'cardio', '--idempotency-key', 'once'], at.environment)
  expect(at.changes).toEqual([{ method: 'POST', key: 'once' }])
})
