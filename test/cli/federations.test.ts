import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { fingerprintOf } from '#protocol/fingerprint.ts'
import { live } from '#test/coordinator/live.ts'
import { temporaryFolder } from '#test/folder.ts'
import { jsonLines } from './command.ts'
import { here } from './here.ts'

test('a node is asked in, compares the words, joins and is a member; without a word of a person nothing is sent', async () => {
  await using at = await live({ admits: new Map() })
  await using folder = await temporaryFolder()
  const env = { CONSILIUM_COORDINATOR: at.coordinator.url }
  const run = (...args: string[]) => here(args, { ...env, CONSILIUM_HOME: at.state })
  const site = join(folder.path, 'site')
  const node = (...args: string[]) => here(['node', 'join', ...args, '--state', site], env)
  const words = fingerprintOf(at.coordinator.id)

  expect((await run('federations', 'create', 'cardio')).stdout).toMatch(/^fed_\w{26}\n$/)
  const invited = await run('invite', 'create', 'cardio', '--operator', 'st-elsewhere')
  const [, code = ''] = /^code +(\S+)$/m.exec(invited.stdout) ?? []
  expect(invited.stdout).toContain(`fingerprint  ${words}`)

  const unasked = await node(code)
  expect([unasked.code, unasked.stdout]).toEqual([2, expect.stringContaining(words)])
  expect(unasked.stderr).toContain('not_confirmed')
  await expect(stat(site)).rejects.toThrow(/ENOENT/)
  const elsewhere = await node(code, '--coordinator-key', `z6Mk${'1'.repeat(44)}`)
  expect([elsewhere.code, elsewhere.stderr]).toEqual([3, expect.stringContaining('wrong_coordinator')])

  const joined = await node(code.toLowerCase(), '--coordinator-key', at.coordinator.id, '--json')
  const [answer] = jsonLines(joined.stdout)
  expect(answer).toMatchObject({ name: 'cardio', operator: 'st-elsewhere', coordinator: at.coordinator.id })
  expect((await stat(join(site, 'node.key'))).mode & 0o777).toBe(0o600)
  const [shown] = jsonLines((await run('federations', 'show', 'cardio', '--json')).stdout)
  expect(shown).toMatchObject({ members: [{ node: answer?.['node'], via: 'invite' }], invites: [{ uses_left: 0 }] })
  expect((await run('members', 'rm', 'cardio', String(answer?.['node']))).code).toBe(0)
  const again = await node(code, '--yes')
  expect([again.code, again.stderr]).toEqual([5, expect.stringContaining('invite_taken')])
})
