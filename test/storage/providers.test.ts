import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { readProviders } from '#storage/pinning/providers.ts'
import { temporaryFolder } from '#test/folder.ts'

const one = { name: 'one', url: 'https://api.example.org/psa/', token: { env: 'ONE_TOKEN' } }

async function read(list: unknown, environment: Record<string, string> = { ONE_TOKEN: 'secret-1' }) {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'providers.json')
  await writeFile(file, typeof list === 'string' ? list : JSON.stringify(list))
  await writeFile(join(folder.path, 'token'), 'secret-2\n', { mode: 0o600 })
  await writeFile(join(folder.path, 'open'), 'secret-3\n')
  await chmod(join(folder.path, 'open'), 0o644)
  return await readProviders(file, environment)
}

test('a list of providers has tokens from the environment and from files beside it', async () => {
  const two = { name: 'two', url: 'http://127.0.0.1:3456', token: { file: 'token' }, quirks: { slowQueue: true } }
  expect(await read({ providers: [one, two] })).toEqual([
    { name: 'one', url: 'https://api.example.org/psa', token: 'secret-1', slow: false },
    { name: 'two', url: 'http://127.0.0.1:3456', token: 'secret-2', slow: true },
  ])
})

test.each<readonly [string, unknown, RegExp]>([
  ['what is no JSON', '{', /providers.json/],
  ['no provider', { providers: [] }, /providers/],
  ['17 providers', { providers: Array.from({ length: 17 }, (_, at) => ({ ...one, name: `p${at}` })) }, /providers/],
  ['a token in the list itself', { providers: [{ ...one, token: 'secret-0' }] }, /token/],
  ['two of one name', { providers: [one, one] }, /one name/],
  ['a name that is none', { providers: [{ ...one, name: 'One\u001b[31m' }] }, /a-z/],
  ['an address in the clear', { providers: [{ ...one, url: 'http://api.example.org' }] }, /in the clear/],
  ['a variable that is not set', { providers: [{ ...one, token: { env: 'TWO_TOKEN' } }] }, /TWO_TOKEN holds no token/],
  ['a file that is not there', { providers: [{ ...one, token: { file: 'none' } }] }, /none holds no token/],
  ['a file that others can read', { providers: [{ ...one, token: { file: 'open' } }] }, /can be read by others/],
  ['a quirk that nobody knows', { providers: [{ ...one, quirks: { fuzzy: true } }] }, /fuzzy/],
])('a list with %s is refused, and no token is shown', async (_, list, message) => {
  const failed = await read(list).catch((cause: unknown) => cause)
  expect((failed as Error).message).toMatch(message)
  expect((failed as Error).message).not.toContain('secret-')
})

test('a token that would break its header is refused, and not shown', async () => {
  const failed = await read({ providers: [one] }, { ONE_TOKEN: 'secret-1\r\nX: y' }).catch((cause: unknown) => cause)
  expect((failed as Error).message).toMatch(/visible ASCII/)
  expect((failed as Error).message).not.toContain('secret-')
})
