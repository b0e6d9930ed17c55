import { expect, test } from '@jest/globals'
import { dryRun } from '#cli/command.ts'
import { COMMANDS } from '#cli/commands.ts'
import { live, signer } from '#test/coordinator/live.ts'
import { here } from './here.ts'

const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV'
const [KEY, ENDPOINT, NODE] = [`key_${RUN.slice(4)}`, `we_${RUN.slice(4)}`, signer('a member').id]
const FEDERATION = { at: '' }

/** Each command that changes something, and the request that it would send. */
const CHANGES: readonly (readonly [line: string, method: string, path: string, body: object | null])[] = [
  ['keys create --name a --scopes runs:read', 'POST', '/v1/api-keys', { name: 'a', scopes: ['runs:read'] }],
  [`keys revoke ${KEY}`, 'DELETE', `/v1/api-keys/${KEY}`, null],
  ['federations create other', 'POST', '/v1/federations', { name: 'other' }],
  ['federations rm cardio', 'DELETE', '/v1/federations/FED', null],
  ['invite create cardio --uses 2', 'POST', '/v1/federations/FED/invites', { uses: 2 }],
  [`invite revoke cardio inv_${RUN.slice(4)}`, 'DELETE', `/v1/federations/FED/invites/inv_${RUN.slice(4)}`, null],
  [`members add cardio ${NODE}`, 'POST', '/v1/federations/FED/members', { node: NODE }],
  [`members rm cardio ${NODE}`, 'DELETE', `/v1/federations/FED/members/${NODE}`, null],
  ['webhooks create https://a.example.org/', 'POST', '/v1/webhook-endpoints', { url: 'https://a.example.org/' }],
  [`webhooks rm ${ENDPOINT}`, 'DELETE', `/v1/webhook-endpoints/${ENDPOINT}`, null],
  [`webhooks test ${ENDPOINT}`, 'POST', `/v1/webhook-endpoints/${ENDPOINT}/test`, null],
  [`runs pause ${RUN} --reason night`, 'POST', `/v1/runs/${RUN}/pause`, { reason: 'night' }],
  [`runs extend ${RUN} --rounds 3`, 'POST', `/v1/runs/${RUN}/extend`, { rounds: 3, budget: '0' }],
  [`runs resume ${RUN} --wait`, 'POST', `/v1/runs/${RUN}/resume`, null],
  [`runs stop ${RUN}`, 'POST', `/v1/runs/${RUN}/stop`, { reason: 'by its owner' }],
  ['stats ask --count', 'POST', '/v1/stats-queries', { population: 'open' }],
  ['api DELETE /v1/anything', 'DELETE', '/v1/anything', null],
]

test('with --dry-run every command that changes something tells the request, and nothing is changed', async () => {
  await using at = await live()
  const environment = { CONSILIUM_COORDINATOR: at.coordinator.url, CONSILIUM_API_KEY: at.key }
  const made = await here(['federations', 'create', 'cardio', '--idempotency-key', 'once', '--json'], environment)
  FEDERATION.at = JSON.parse(made.stdout).id
  // The same is answered under the same key.
  const again = await here(['federations', 'create', 'cardio', '--idempotency-key', 'once', '--json'], environment)
  expect(JSON.parse(again.stdout).id).toBe(FEDERATION.at)

  for (const [line, method, path, body] of CHANGES) {
    const ran = await here([...line.split(' '), '--dry-run', '--json'], environment)
    expect([line, ran.code, ran.stderr]).toEqual([line, 0, ''])
    expect(JSON.parse(ran.stdout)).toEqual({
      ...{ dry_run: true, method, path: path.replace('FED', FEDERATION.at) },
      body: body && expect.objectContaining(body),
    })
  }
  const audited = await here(['audit', 'ls', '--json=data.action'], environment)
  expect(JSON.parse(audited.stdout)).toEqual({ data: [{ action: 'POST /v1/federations' }] })
  const shown = await here(['runs', 'pause', RUN, '--dry-run'], environment)
  expect(shown.stdout).toBe(`would send  POST /v1/runs/${RUN}/pause\n{\n  "reason": "by its owner"\n}\n`)

  const covered = CHANGES.map(([line]) => COMMANDS.find(({ name }) => `${line} `.startsWith(`${name} `))?.name)
  expect(
    COMMANDS.filter(({ options }) => options.includes(dryRun))
      .map(({ name }) => name)
      .sort(),
  ).toEqual(covered.sort())
})
