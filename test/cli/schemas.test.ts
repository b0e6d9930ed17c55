import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { COMMANDS } from '#cli/commands.ts'
import { schemaFiles } from '#cli/shapes.ts'
import { type Live, live, RawNode, request } from '#test/coordinator/live.ts'
import { temporaryFolder } from '#test/folder.ts'
import { here } from './here.ts'

const ROOT = join(import.meta.dirname, '../..')

/**
 * Where what a command really prints is held against its schema, of those that are not run below: whatever a test runs with
 * --json is. Elsewhere they have something to tell of.
 */
const SEEN: Readonly<Record<string, string>> = {
  demo: 'test/e2e/demo.e2e.test.ts',
  'coordinator up': 'test/cli/watch.test.ts',
  'node up': 'test/cli/node-conduct.test.ts',
  'node backends': 'test/campaign/commands.campaign.ts',
  'node bench': 'test/campaign/commands.campaign.ts',
  run: 'test/cli/watch.test.ts',
  'stats ask': 'test/cli/stats-ask.test.ts',
  'webhooks listen': 'test/cli/history.test.ts',
  verify: 'test/cli/verify.test.ts',
  'bundles export': 'test/cli/bundles.test.ts',
  'bundles import': 'test/cli/bundles.test.ts',
  'bundles diff': 'test/cli/bundles.test.ts',
  'bundles show': 'test/cli/bundles.test.ts',
  sim: 'test/cli/sim.test.ts',
  'model pull': 'test/cli/models.test.ts',
  'model diff': 'test/cli/models.test.ts',
  'model card': 'test/cli/models.test.ts',
  'receipt show': 'test/cli/models.test.ts',
}
/** A script for a shell, and whatever a route answers. */
const NOT_OURS = ['api', 'completion']

describe('the schemas of what commands print', () => {
  test('are those of the table: npm run cli-docs writes them', async () => {
    const folder = join(ROOT, 'docs/schemas/cli')
    const made = schemaFiles()
    expect((await readdir(folder)).sort()).toEqual([...made.keys()].sort())
    for (const [name, text] of made) expect([name, await readFile(join(folder, name), 'utf8')]).toEqual([name, text])
  })

  test('leave out no command but those that print what is not ours', () => {
    expect(COMMANDS.filter(({ prints }) => prints === 'as-it-comes').map(({ name }) => name)).toEqual(NOT_OURS)
  })
})

describe('what is printed is as its schema says', () => {
  let at: Live
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const ran = new Set<string>(NOT_OURS)

  beforeAll(async () => {
    at = await live({ webhookHosts: new Set(['127.0.0.1:9']) })
    folder = await temporaryFolder()
  })
  afterAll(async () => {
    await folder[Symbol.asyncDispose]()
    await at[Symbol.asyncDispose]()
  })

  /** Throws where what it printed is not as it should be. */
  async function says(line: string, exit = 0): Promise<Record<string, unknown>> {
    const words = line.split(' ')
    ran.add(COMMANDS.find(({ name }) => `${line} `.startsWith(`${name} `))?.name ?? line)
    const { code, stdout, stderr } = await here([...words, '--json'], {
      ...{ CONSILIUM_COORDINATOR: at.coordinator.url, CONSILIUM_HOME: at.state },
      ...{ XDG_CONFIG_HOME: folder.path, XDG_CACHE_HOME: folder.path },
    })
    expect([line, code, code === 0 ? stderr : '']).toEqual([line, exit, ''])
    return JSON.parse(stdout.split('\n')[0] || '{}')
  }

  test('and is no part of what the API says of itself, in a process that has both', async () => {
    const served = await (await fetch(`${at.coordinator.url}/openapi.json`)).json()
    const committed = JSON.parse(await readFile(join(ROOT, 'docs/openapi.json'), 'utf8'))
    expect(Object.keys(served.components.schemas).sort()).toEqual(Object.keys(committed.components.schemas).sort())
  })

  test('of keys, settings and this machine', async () => {
    await says('whoami')
    const { id } = await says('keys create --name nightly --scopes runs:read')
    await says('keys ls')
    await says(`keys revoke ${id}`)
    await says('audit ls')
    await says('audit verify')
    await says(`login ${at.coordinator.url} --key ${join(at.state, 'api-key')}`)
    await says('config set timeout 30')
    await says('config get')
    await says('config get timeout')
    await says('config path')
    await says('config path --explain')
    await says('logout')
    await says('config get nothing', 2)
    for (const line of ['version', 'help', 'help runs show', 'kubo config', 'kubo swarm-key']) await says(line)
    await says(`create ${join(folder.path, 'study')}`)
    const state = join(folder.path, 'node')
    for (const line of ['node id', 'node pause', 'node resume', 'node drain']) await says(`${line} --state ${state}`)
    await here(['doctor', '--json'], { CONSILIUM_COORDINATOR: at.coordinator.url, CONSILIUM_HOME: at.state })
    ran.add('doctor')
  })

  test('of federations, nodes and pay', async () => {
    await says('federations create cardio --description all')
    const asked = 'invite create cardio --operator st-elsewhere --idempotency-key one'
    expect(await says(`${asked} --dry-run`)).toMatchObject({ method: 'POST', body: { operator: 'st-elsewhere' } })
    const { id: invite, code } = await says(asked)
    const state = join(folder.path, 'site')
    const { node: joined } = await says(
      `node join ${code} --coordinator-key ${at.coordinator.id} --state ${state} --coordinator ${at.coordinator.url}`,
    )
    await says('members ls cardio')
    await says(`members rm cardio ${joined}`)
    await says(`members add cardio ${joined} --operator st-elsewhere`)
    await says('invite ls cardio')
    await says(`invite revoke cardio ${invite}`)
    expect(await says('federations rename cardio heart --description all')).toMatchObject({ description: 'all' })
    for (const line of ['federations show heart', 'federations ls', 'federations rm heart']) await says(line)
    await using node = new RawNode(at.coordinator.url, at.coordinator.id, 'linked, and no more')
    await node.link()
    for (const line of ['nodes ls', `nodes show ${node.signer.id}`, 'datasets ls']) await says(line)
    for (const line of ['earnings', 'payouts ls', 'pins ls', 'pins check']) await says(line)
  })

  test('of runs', async () => {
    const task = join(folder.path, 'task.json')
    // Nobody is there to train: round after round is aborted.
    const lonely = { timing: { selectionMillis: 50 }, failuresMax: 1000 }
    await writeFile(task, JSON.stringify(request(lonely)))
    await says(`check ${task}`, 7)
    const { id } = await says(`run ${task}`)
    expect(await says(`runs pause ${id} --wait`)).toMatchObject({ status: 'paused' })
    expect(await says(`runs resume ${id} --wait=running`)).toMatchObject({ status: 'running' })
    await says(`runs extend ${id} --rounds 2`)
    expect(await says(`runs stop ${id} --wait`)).toMatchObject({ status: 'stopped' })
    await says(`runs watch ${id}`, 14)
    for (const line of ['runs show', 'runs logs', 'rounds ls', 'events tail']) await says(`${line} ${id}`)
    await says(`rounds show ${id} 1`)
    await writeFile(task, JSON.stringify(request({ ...lonely, failuresMax: 1 })))
    const { id: other, status } = await says(`run ${task} --wait`, 7)
    expect(status).toBe('failed')
    await says(`runs compare ${id} ${other}`)
    expect(await says(`runs label ${id} --name one --set study=heart --set arm=b`)).toMatchObject({ name: 'one' })
    expect(await says(`runs label ${id} --unset arm`)).toMatchObject({ name: 'one', labels: { study: 'heart' } })
    expect(await says('runs ls --label study=heart')).toMatchObject({ data: [{ id }] })
    expect(await says('runs ls --label study=lung')).toMatchObject({ data: [] })
    const named = (line: string) => says(`runs ls ${line}`)
    expect(await named('--status failed --since 1d')).toMatchObject({ data: [{ id: other }] })
    expect(await named('--status stopped,failed')).toMatchObject({ data: [{ id: other }, { id }] })
    expect(await named('--status running --status paused')).toMatchObject({ data: [] })
    expect(await named('--since 2999-01-01T00:00:00Z')).toMatchObject({ data: [] })
    await says('runs ls --status complete', 2)
    await says('runs ls --since yesterday', 2)
    await says(`runs label ${id}`, 2)
    await says(`runs label ${id} --set study`, 2)
    await says('runs ls')
  })

  test('of webhooks', async () => {
    const { id } = await says('webhooks create http://127.0.0.1:9/hook --description mine')
    await says('webhooks ls')
    await says(`webhooks test ${String(id).slice(3, 20)}`, 10)
    await says(`webhooks deliveries ${id}`)
    expect(await says(`webhooks rotate ${id} --overlap 0`)).toMatchObject({ id, old_secret_until: null })
    await says(`webhooks rm ${id}`)
  })

  test('of every other command another test has it', async () => {
    expect(COMMANDS.map(({ name }) => name).filter((name) => !ran.has(name) && !SEEN[name])).toEqual([])
    for (const [name, file] of Object.entries(SEEN)) {
      const text = await readFile(join(ROOT, file), 'utf8')
      const words = name.split(' ').map((word) => `'${word}'`)
      const isRun = text.includes(words.join(', ')) || text.includes(`'${name}'`)
      expect([name, isRun && text.includes("'--json'")]).toEqual([name, true])
    }
  })
})
