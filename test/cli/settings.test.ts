import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parseArguments } from '#cli/arguments.ts'
import { COMMANDS } from '#cli/commands.ts'
import { keepSettings, readProfile } from '#cli/profile.ts'
import { apiKey } from '#cli/state.ts'
import { type Live, live } from '#test/coordinator/live.ts'
import { consilium, jsonLines } from './command.ts'
import { Shell } from './shell.ts'

let folder = ''
let at: Live
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'consilium-settings-'))
  at = await live()
})
afterAll(async () => {
  await at[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const found = (name: string) => {
  const command = COMMANDS.find((other) => other.name === name)
  if (!command) throw new Error(`no command ${name}`)
  return command
}
const given = (rest: readonly string[], environment: Record<string, string> = {}) => {
  const args = parseArguments(found('runs ls'), rest, { XDG_CONFIG_HOME: folder, ...environment })
  return args.under(readProfile(args))
}

test('a flag comes before a variable, that before the file of settings, that before the default', () => {
  const file = join(folder, 'consilium/config.json')
  const env = { CONSILIUM_COORDINATOR: 'http://env' }
  expect(given([]).given('coordinator')).toEqual({ value: 'http://127.0.0.1:7410', origin: 'default' })
  keepSettings(file, 'default', { coordinator: 'http://file' })
  expect(given([]).given('coordinator')).toEqual({ value: 'http://file', origin: 'config' })
  expect(given([], env).given('coordinator')).toEqual({ value: 'http://env', origin: 'environment' })
  expect(given(['--coordinator', 'http://flag'], env).given('coordinator')).toEqual({
    ...{ value: 'http://flag', origin: 'flag' },
  })
  keepSettings(file, 'work', { coordinator: 'http://work' })
  expect(given(['--profile', 'work']).text('coordinator')).toBe('http://work')
  expect(given([], { CONSILIUM_PROFILE: 'work' }).text('coordinator')).toBe('http://work')
  expect(() => given(['--profile', 'wrok'])).toThrow(/has no profile wrok/)
  expect(() => given(['--profile', '__proto__'])).toThrow(/has no profile/)
})

test('a key goes to its own coordinator, whoever else is asked', async () => {
  const file = join(folder, 'consilium/config.json')
  const state = join(folder, 'local')
  await mkdir(state)
  await writeFile(join(state, 'api-key'), 'ck_root')
  keepSettings(file, 'keyed', { coordinator: 'http://mine', key: 'ck_mine' })
  const keyFor = (url: string, environment = {}) =>
    apiKey(given(['--profile', 'keyed', '--state', state], environment), url)
  expect(await keyFor('http://mine')).toBe('ck_mine')
  expect(await keyFor('http://mine/', { CONSILIUM_COORDINATOR: 'http://theirs' })).toBe('ck_mine')
  // The root's key is that of the coordinator on this machine.
  for (const url of ['http://127.0.0.1:7410', 'https://localhost', 'http://[::1]:1'])
    expect(await keyFor(url)).toBe('ck_root')
  for (const url of [
    'http://theirs',
    'http://mine.evil',
    'http://mine@evil',
    'http://127.0.0.1@evil',
    'http://127.0.0.1.evil',
  ])
    await expect(keyFor(url)).rejects.toMatchObject({ code: 'no_api_key', exit: 3 })
  expect(await keyFor('http://theirs', { CONSILIUM_API_KEY: 'ck_env' })).toBe('ck_env')
  // What cannot be sent is shown by whoever refuses it.
  for (const key of ['ck_sec\nret', 'ck_sec ret', '“ck”'])
    await expect(keyFor('http://theirs', { CONSILIUM_API_KEY: key })).rejects.toThrow(/^what was given is no API key$/)
  const both = { CONSILIUM_API_KEY: 'ck_env\r', CONSILIUM_COORDINATOR: 'http://ours' }
  expect(await keyFor('http://ours', both)).toBe('ck_env')
  await expect(keyFor('http://theirs', both)).rejects.toThrow(/no API key is for http:\/\/theirs/)
})

test('login tries the key, keeps it for its owner alone, and never shows it; logout forgets it', async () => {
  const home = join(folder, 'home')
  const env = { XDG_CONFIG_HOME: home, CONSILIUM_HOME: join(folder, 'nothing') }
  const { url } = at.coordinator
  const wrong = await consilium(['login', url], { env, input: 'ck_wrong\n' })
  expect(wrong).toMatchObject({ code: 3, stdout: '' })
  const ran = await consilium(['login', url], { env, input: `${at.key}\n` })
  expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining(`logged in to ${url}`) })
  const file = join(home, 'consilium/config.json')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await readFile(file, 'utf8')).includes(at.key.trim())).toBe(true)
  await using shell = new Shell({ env })
  expect((await shell.run(['runs', 'ls', '--json'])).code).toBe(0)
  // Records are read with it, too.
  for (const words of [
    ['verify', url, '--run'],
    ['bundles', 'export', '--from', url, '--out', 'none.car'],
  ])
    expect((await shell.run([...words, 'run_00000000000000000000000000'])).code).toBe(4)
  const explained = await shell.run(['config', 'path', '--explain'])
  expect(explained.stdout).toMatch(/coordinator .* by the file of settings\n/)
  expect(explained.stdout).toMatch(/key .* of consilium login\n/)
  const got = await shell.run(['config', 'get', '--json'])
  expect(jsonLines(got.stdout)).toEqual([{ profile: 'default', settings: { coordinator: url }, has_key: true }])
  for (const { stdout, stderr } of [ran, wrong, explained, got]) expect(stdout + stderr).not.toContain(at.key.trim())
  expect(await shell.run(['config', 'set', 'key', 'ck_1'])).toMatchObject({ code: 2 })
  expect((await shell.run(['logout'])).code).toBe(0)
  expect((await shell.run(['runs', 'ls'])).code).toBe(3)
}, 60_000)

test('a file of settings that is none is said to be so, and nothing of it is believed', async () => {
  const home = join(folder, 'broken/consilium')
  const env = { XDG_CONFIG_HOME: join(folder, 'broken') }
  keepSettings(join(home, 'config.json'), 'default', {})
  for (const text of ['{', '[]', '{"current":1}', '{"current":"a","profiles":{"a":{"coordinator":1}}}']) {
    await writeFile(join(home, 'config.json'), text)
    expect(() => given([], env)).toThrow(/is no file of settings/)
  }
  expect((await consilium(['version'], { env })).code).toBe(0)
})
