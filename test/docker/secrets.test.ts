import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { temporaryFolder } from '#test/folder.ts'
import { redisPath, startRedis } from '#test/redis.ts'
import { type Container, container, DOCKER, obstacle } from './container.ts'

const openssl = spawnSync('openssl', ['version']).status === 0
if (!openssl) console.log('skipped: no secrets are made for the images, since there is no openssl here')
const withOpenssl = openssl ? test : test.skip

/** Runs docker/secrets.sh beside a copy of itself. @returns the folder that it made, and what it said */
function makeSecrets(folder: string, ...names: readonly string[]) {
  const script = join(folder, 'secrets.sh')
  cpSync(join(DOCKER, 'secrets.sh'), script)
  const { status, stdout, stderr } = spawnSync('/bin/sh', [script, ...names], { encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, ''])
  return { secrets: join(folder, 'secrets'), said: stdout }
}

describe('docker/secrets.sh', () => {
  withOpenssl('makes a certificate for the names, by an authority that can make no other', async () => {
    await using folder = await temporaryFolder()
    const { secrets } = makeSecrets(folder.path, 'coordinator.example', '192.0.2.7')
    const ask = (...args: readonly string[]) => spawnSync('openssl', args, { cwd: secrets, encoding: 'utf8' }).stdout
    for (const name of [
      ['-verify_hostname', 'coordinator.example'],
      ['-verify_ip', '192.0.2.7'],
    ])
      expect(ask('verify', '-CAfile', 'authority.pem', ...name, 'tls-cert.pem')).toBe('tls-cert.pem: OK\n')
    expect(readdirSync(secrets).filter((name) => /key/.test(name))).toEqual(['tls-key.pem'])
  })

  withOpenssl('prints no secret, lets nobody else in, and leaves alone what is there', async () => {
    await using folder = await temporaryFolder()
    const { secrets, said } = makeSecrets(folder.path)
    const contents = () => readdirSync(secrets).map((name) => readFileSync(join(secrets, name), 'utf8'))
    const before = contents()
    const [, password = ''] = /consilium:(\w{64})@/.exec(readFileSync(join(secrets, 'redis-url'), 'utf8')) ?? []
    expect(password).not.toBe('')
    expect(said + readFileSync(join(secrets, 'redis.acl'), 'utf8')).not.toContain(password)
    expect(statSync(secrets).mode & 0o777).toBe(0o700)
    expect(makeSecrets(folder.path, 'another.example').said).toBe('')
    expect(contents()).toEqual(before)
  })
})

/** The image's Redis, but for where it listens and keeps its files. */
async function startComposedRedis(acl: string) {
  const elsewhere = /^(bind|port|dir|aclfile|save) /
  const settings = readFileSync(join(DOCKER, 'redis.conf'), 'utf8').split('\n')
  const flags = settings
    .filter((line) => /^\w/.test(line) && !elsewhere.test(line))
    .flatMap((line) => line.split(' ').map((word, at) => (at === 0 ? `--${word}` : word)))
  return await startRedis(redisPath() as string, [...flags, '--aclfile', acl])
}

const reasons = [
  ...(openssl ? [] : ['openssl']),
  ...(redisPath() ? [] : ['redis-server']),
  ...(obstacle() ? ['user'] : []),
]
if (reasons.length > 0)
  console.log(`skipped: no coordinator meets the Redis of compose.cluster.yaml, without: ${reasons.join(', ')}`)
const withRedis = reasons.length === 0 ? test : test.skip

withRedis('the Redis of the cluster takes a coordinator that has the secret, and nobody else', async () => {
  await using here: Container = await container()
  const work = join(here.folder, 'docker')
  mkdirSync(work)
  const { secrets } = makeSecrets(work)
  chmodSync(secrets, 0o755)
  await using redis = await startComposedRedis(join(secrets, 'redis.acl'))
  const url = readFileSync(join(secrets, 'redis-url'), 'utf8').replace('redis:6379', `127.0.0.1:${redis.port}`)
  const file = join(here.folder, 'redis-url')
  writeFileSync(file, url)

  const cli = (...args: readonly string[]) =>
    spawnSync('redis-cli', ['-e', '-p', String(redis.port), ...args], { encoding: 'utf8' })
  if (cli('--version').error) console.log('skipped: nobody without a password asks Redis, since there is no redis-cli')
  else {
    expect(cli('ping')).toMatchObject({ status: 0, stdout: 'PONG\n' })
    for (const more of [['get', 'key'], ['config', 'get', 'save'], ['flushall']])
      expect(cli(...more)).toMatchObject({ status: 1, stderr: expect.stringMatching(/NOPERM/) })
  }

  const args = ['coordinator', '--host', '127.0.0.1', '--port', '0', '--json', '--log-level', 'warn']
  const running = here.enter(args, {
    CONSILIUM_OPEN: 'yes',
    CONSILIUM_REDIS_FILE: file,
    CONSILIUM_REDIS_TRUSTED: 'yes',
  })
  const { port } = new URL(String((await running.line('coordinator.ready'))['url']))
  expect(await here.health('coordinator', { CONSILIUM_PORT: port })).toBe(0)
  const ready = await fetch(`http://127.0.0.1:${port}/readyz`)
  expect(ready.status).toBe(200)
  const commandLine = readFileSync(`/proc/${running.child.pid}/cmdline`, 'utf8')
  expect(commandLine).toContain('--redis-trusted')
  expect(commandLine).not.toContain('redis://')
  running.child.kill('SIGTERM')
  expect(await running.ended).toMatchObject({ code: 0, stderr: expect.not.stringMatching(/NOPERM|err/) })
})
