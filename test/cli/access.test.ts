import { expect, test } from '@jest/globals'
import { live } from '#test/coordinator/live.ts'
import { jsonLines } from './command.ts'
import { here } from './here.ts'

test('a key is made for somebody, is good for what it was made for, and good no more once it is revoked', async () => {
  await using at = await live()
  const root = { CONSILIUM_COORDINATOR: at.coordinator.url, CONSILIUM_HOME: at.state }
  const wanted = ['keys', 'create', '--name', 'nightly', '--scopes', 'runs:read,audit:read', '--expires', '2200-01-31']
  const made = await here(wanted, root)
  expect(made.stdout).toMatch(/^ck_live_key_[0-9A-Z]{26}_[0-9a-f]{56}\n$/)
  const [id = ''] = made.stdout.match(/key_[0-9A-Z]{26}/) ?? []
  expect(made.stderr).toBe(`${id}  nightly  shown this once: keep it where nobody else can read it\n`)

  const theirs = { CONSILIUM_COORDINATOR: at.coordinator.url, CONSILIUM_API_KEY: made.stdout.trim() }
  const [who, refused, listed] = await Promise.all([
    here(['whoami'], theirs),
    here(['keys', 'create', '--name', 'x', '--scopes', 'runs:read'], theirs),
    here(['keys', 'ls', '--json'], root),
  ])
  expect(who.stdout).toMatch(
    new RegExp(`^key +${id} +nightly\nscopes +runs:read audit:read\nfederation +all\nexpires +2200`),
  )
  expect([refused.code, refused.stdout]).toEqual([3, ''])
  expect(refused.stderr).toContain('keys:admin')
  expect(jsonLines(listed.stdout)).toMatchObject([{ data: [{ id, name: 'nightly', revoked_at: null }] }])

  const revoked = await here(['keys', 'revoke', id], root)
  expect(revoked.stdout).toMatch(
    new RegExp(`^${id}  revoked 20\\d\\d-\\d\\d-\\d\\d  used .* nightly  runs:read audit:read\n$`),
  )
  expect((await at.api('/v1/whoami', { headers: { authorization: `Bearer ${made.stdout.trim()}` } })).status).toBe(401)
  const audited = await here(['audit', 'ls'], root)
  expect(audited.stdout.split('\n').map((line) => line.split('  ').slice(1).join('  '))).toEqual([
    `200  root  DELETE /v1/api-keys/{id}  /v1/api-keys/${id}`,
    '403  nightly  POST /v1/api-keys',
    `201  root  POST /v1/api-keys  /v1/api-keys/${id}`,
    '',
  ])
  const verified = await here(['audit', 'verify'], root)
  const [, head = ''] = /^entries {4}3\nhead {7}(2:[0-9a-f]{64})\n$/.exec(verified.stdout) ?? []
  expect(verified.stderr).toContain(`audit verify --head ${head}`)
  await here(['keys', 'create', '--name', 'later', '--scopes', 'runs:read'], root)
  expect((await here(['audit', 'verify', '--head', head], root)).stdout).toMatch(/^entries {4}4\nhead {7}3:/)
  const other = head.replace(/.$/, (letter) => (letter === '0' ? '1' : '0'))
  for (const [noted, code] of [
    [other, 8],
    [head.replace('2:', '4:'), 8],
    [head.slice(2), 2],
  ] as const)
    expect(await here(['audit', 'verify', '--head', noted], root)).toMatchObject({ code, stdout: '' })
  for (const { stdout, stderr } of [who, listed, revoked, audited])
    expect(stdout + stderr).not.toContain(made.stdout.slice(-57, -9))
}, 60_000)
