import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { COMMON } from '#cli/arguments.ts'
import { COMMANDS } from '#cli/commands.ts'
import { asProcessOne, type Container, container, obstacle, root } from './container.ts'

const missing = obstacle()
if (missing !== undefined) console.log(`skipped: the entry of the images is not run, since ${missing}`)
const inContainer = missing === undefined ? test : test.skip

/** Loopback alone, on a free port: flags after the role win over what the environment says. */
const COORDINATOR = ['coordinator', '--host', '127.0.0.1', '--port', '0', '--json', '--log-level', 'silent']
const SECRET = 'redis://consilium:hunter2@redis:6379'

async function nodeId({ enter }: Container, state: string): Promise<string> {
  const { code, stdout } = await enter(['consilium', 'node', 'id', '--state', state]).ended
  expect(code).toBe(0)
  return stdout.trim()
}

describe('an environment that cannot work is refused with what to do', () => {
  const coordinator = (env: Record<string, string>) => ({ args: ['coordinator'], env })
  inContainer.each([
    ['no command', { args: [], env: {} }, /nothing to run[\s\S]*fix/],
    ['no state folder', coordinator({ CONSILIUM_HOME: '' }), /CONSILIUM_HOME names no folder[\s\S]*fix/],
    ['a state folder that is not there', coordinator({ CONSILIUM_HOME: '/nowhere' }), /cannot write[\s\S]*chown/],
    [
      'an allow list that is not there',
      coordinator({ CONSILIUM_ALLOW_FILE: '/nowhere' }),
      /ALLOW_FILE names \/nowhere/,
    ],
    [
      'half of TLS',
      coordinator({ CONSILIUM_TLS_CERT_FILE: '/nowhere' }),
      /both its files[\s\S]*CONSILIUM_TLS_KEY_FILE/,
    ],
    ['a switch that is neither', coordinator({ CONSILIUM_OPEN: 'true' }), /CONSILIUM_OPEN is yes or no, not true/],
    ['an authority that is not there', coordinator({ NODE_EXTRA_CA_CERTS: '/nowhere' }), /NODE_EXTRA_CA_CERTS names/],
    ['a node without data', { args: ['node'], env: {} }, /CONSILIUM_DATA names no data[\s\S]*fix/],
    ['a node without a coordinator', { args: ['node'], env: { CONSILIUM_DATA: '/data' } }, /no coordinator[\s\S]*fix/],
  ])('%s', async (_name, { args, env }, said) => {
    await using here = await container()
    expect(await here.enter(args, env as Record<string, string>).ended).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(said),
    })
  })

  inContainer('a state folder that this user may not write', async () => {
    await using here = await container()
    chmodSync(here.state, 0o500)
    expect((await here.enter(['coordinator']).ended).stderr).toMatch(/uid \d+ cannot write .*state\n {2}fix .*chown/)
  })

  inContainer('a password where docker inspect shows it, which is not repeated', async () => {
    await using here = await container()
    const { code, stderr } = await here.enter(['coordinator'], { CONSILIUM_REDIS: SECRET }).ended
    expect([code, stderr]).toEqual([2, expect.stringMatching(/docker inspect[\s\S]*CONSILIUM_REDIS_FILE/)])
    expect(stderr).not.toContain('hunter2')
  })

  inContainer('a secret file that is empty', async () => {
    await using here = await container()
    const file = join(here.folder, 'redis-url')
    writeFileSync(file, '')
    const { stderr } = await here.enter(['coordinator'], { CONSILIUM_REDIS_FILE: file }).ended
    expect(stderr).toMatch(/redis-url, which is empty/)
  })

  const asRoot = root && missing === undefined ? test : test.skip
  if (!root) console.log('skipped: that root is refused, since only root can try')
  asRoot('root, whatever it wants to run', async () => {
    await using here = await container()
    for (const args of [['coordinator'], ['node'], ['consilium', 'version']])
      expect(await here.enter(args, {}, ['env']).ended).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/root/),
      })
  })
})

describe('every flag of a command has its variable, by its name', () => {
  /** What the entry script becomes, where the command only says what it is given. */
  async function given(role: string, env: Readonly<Record<string, string>>) {
    await using here = await container()
    const command = join(here.folder, 'bin/consilium')
    rmSync(command)
    writeFileSync(command, '#!/bin/sh\nprintf "%s\\n" "$@"\n', { mode: 0o755 })
    const needs = { CONSILIUM_COORDINATOR: 'https://coordinator.example:7410', CONSILIUM_DATA: '/data' }
    const { code, stdout, stderr } = await here.enter([role], { ...(role === 'node' && needs), ...env }).ended
    return { code, words: stdout.trim().split('\n'), stderr }
  }
  const variable = (flag: string) => `CONSILIUM_${flag.toUpperCase().replaceAll('-', '_')}`
  const optionsOf = (name: string) => COMMANDS.find((command) => command.name === name)?.options ?? []
  /** Where a variable is called otherwise: a file whose reading is checked, the folder, or what the command reads itself. */
  const OTHERWISE = new Set(['allow', 'tls-cert', 'tls-key', 'redis', 'state', 'coordinator', 'coordinator-key'])

  inContainer.each([
    ['coordinator', 'coordinator up'],
    ['node', 'node up'],
  ])('%s', async (role, name) => {
    const options = [...optionsOf(name), ...COMMON].filter((option) => !OTHERWISE.has(option.name))
    const words = options.map((option) =>
      option.value && !option.bare ? `--${option.name}=a b "c" $d` : `--${option.name}`,
    )
    const env = options.map((option) => [variable(option.name), option.value && !option.bare ? 'a b "c" $d' : 'yes'])
    const said = await given(role, Object.fromEntries(env))
    expect([said.code, said.words.slice(0, 2).join(' ')]).toEqual([0, name])
    expect(said.words).toEqual(expect.arrayContaining(words))
    expect(options.length).toBeGreaterThan(20)

    const others = options.filter((option) => option.name !== 'data').map((option) => variable(option.name))
    for (const nothing of ['', 'no']) {
      const { code, words: few } = await given(role, Object.fromEntries(others.map((other) => [other, nothing])))
      expect([code, few]).toEqual([0, [...name.split(' '), ...(role === 'node' ? ['--data=/data'] : [])]])
    }
  })

  inContainer('what the commands read from the environment themselves is no flag', async () => {
    const read = [...new Set(COMMANDS.flatMap(({ options }) => options.flatMap(({ env = [] }) => env)))]
    const secrets = new Set(['CONSILIUM_REDIS'])
    const env = Object.fromEntries(read.filter((name) => !secrets.has(name)).map((name) => [name, 'x']))
    const known = optionsOf('coordinator up').map((option) => `--${option.name}=x`)
    delete env['CONSILIUM_HOME']
    const { words } = await given('coordinator', { ...env, CONSILIUM_API_KEY: 'ck_1' })
    expect(words.filter((word) => word.startsWith('--') && !known.includes(word))).toEqual([])
  })

  inContainer('one that may be given again has a line for each', async () => {
    const { words } = await given('coordinator', { CONSILIUM_WEBHOOK_HOST: 'a.example:1\n\nb.example:2' })
    expect(words.filter((word) => word.startsWith('--webhook-host')).toSorted()).toEqual([
      ...['--webhook-host=a.example:1', '--webhook-host=b.example:2'],
    ])
  })

  inContainer('a line of a value is not taken for a variable, nor run', async () => {
    const { words } = await given('coordinator', {
      NOTE: 'x\nCONSILIUM_OPEN=yes\nCONSILIUM_PORT=$(id)',
      CONSILIUM_HOST: '$(id)`id`',
    })
    expect(words.slice(2)).toEqual(['--host=$(id)`id`'])
  })

  inContainer('one that is misspelt is refused, with the nearest', async () => {
    await using here = await container()
    const { code, stderr } = await here.enter(['coordinator'], { CONSILIUM_OPEN: 'yes', CONSILIUM_KEEP_VECTOR: '9' })
      .ended
    expect([code, stderr]).toEqual([2, expect.stringMatching(/no --keep-vector\b[\s\S]*--keep-vectors/)])
  })

  inContainer('a secret, or a file under another name, is refused with the variable that is meant', async () => {
    for (const [name, instead] of [
      ['CONSILIUM_KUBO_AUTHORIZATION', 'CONSILIUM_KUBO_KEY'],
      ['CONSILIUM_KUBO_PRIVATE_AUTHORIZATION', 'CONSILIUM_KUBO_PRIVATE_KEY'],
      ['CONSILIUM_ALLOW', 'CONSILIUM_ALLOW_FILE'],
      ['CONSILIUM_TLS_KEY', 'CONSILIUM_TLS_KEY_FILE'],
      ['CONSILIUM_STATE', 'CONSILIUM_HOME'],
    ] as const) {
      const { code, stderr } = await given('coordinator', { [name]: 'hunter2' })
      expect([code, stderr]).toEqual([2, expect.stringMatching(new RegExp(`${name} [\\s\\S]*${instead}\\b`))])
      expect(stderr).not.toContain('hunter2')
    }
  })
})

inContainer('what the environment says reaches a coordinator and a node, who find one another', async () => {
  await using here = await container()
  const state = join(here.folder, 'state/node')
  const [list, data] = [join(here.folder, 'nodes.txt'), join(here.folder, 'site.csv')]
  writeFileSync(list, `${await nodeId(here, state)}\n`)
  writeFileSync(data, `age,outcome\n${'40,0\n60,1\n'.repeat(8)}`)
  const limits = { CONSILIUM_GRACE: '5000', CONSILIUM_QUOTA: '1000000', CONSILIUM_LOG_LEVEL: 'silent' }
  const coordinator = here.enter(COORDINATOR, { CONSILIUM_ALLOW_FILE: list, ...limits })
  const ready = await coordinator.line('coordinator.ready')
  // The shell became the command: what Docker signals is what drains.
  expect(ready['pid']).toBe(coordinator.child.pid)

  const { port } = new URL(String(ready['url']))
  expect(await here.health('coordinator', { CONSILIUM_PORT: port })).toBe(0)
  const link = { CONSILIUM_COORDINATOR: String(ready['url']), CONSILIUM_COORDINATOR_KEY: String(ready['coordinator']) }
  expect(await here.health('node', link)).toBe(0)
  const node = here.enter(['node', '--json', '--state', state], {
    ...{ ...link, CONSILIUM_ALLOW_FILE: list, CONSILIUM_DATA: data, CONSILIUM_POPULATION: 'open' },
    ...{ CONSILIUM_COHORT_MIN: '3', CONSILIUM_MAX_CORRUPT: '1', CONSILIUM_MIN_CELL: '5', CONSILIUM_BACKEND: 'cpu' },
    CONSILIUM_WITHHOLD_EVALUATION: 'yes',
  })
  expect(await node.line('"linked"')).toMatchObject({ type: 'node.link' })
  const flags = '--population=open --cohort-min=3 --max-corrupt=1 --min-cell=5 --backend=cpu --withhold-evaluation'
  const commandLine = readFileSync(`/proc/${node.child.pid}/cmdline`, 'utf8').split('\0')
  expect(commandLine).toEqual(expect.arrayContaining(flags.split(' ')))

  for (const running of [node, coordinator]) running.child.kill('SIGTERM')
  expect((await coordinator.ended).code).toBe(0)
  expect((await node.ended).code).toBe(0)
  expect(await here.health('coordinator', { CONSILIUM_PORT: port })).toBe(1)
  expect(await here.health('node', link)).toBe(1)
})

const processOne = missing === undefined ? asProcessOne() : undefined
if (processOne === undefined) console.log('skipped: nothing runs as process 1, since no namespace may be made here')
const withNamespace = processOne === undefined ? test.skip : test

withNamespace('as process 1 of its namespace it hears the signal and drains', async () => {
  await using here = await container()
  const running = here.enter([...COORDINATOR], { CONSILIUM_OPEN: 'yes' }, processOne)
  expect((await running.line('coordinator.ready'))['pid']).toBe(1)
  const { pid } = running.child
  const inside = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))
  process.kill(inside, 'SIGTERM')
  expect((await running.ended).code).toBe(0)
})
