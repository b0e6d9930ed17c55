import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { verifySignature } from '#sdk/webhook-signature.ts'
import { type Live, live } from '#test/coordinator/live.ts'
import { temporaryFolder } from '#test/folder.ts'
import { BIN, consilium, jsonLines } from './command.ts'
import { checkPrinted } from './printed.ts'
import { Shell } from './shell.ts'

let at: Live
let shell: Shell
let [one, two] = ['', '']
const run = (...args: string[]) => shell.run(args)
beforeAll(async () => {
  at = await live({ webhookHosts: new Set(['hooks.example.org:8443']) })
  const { url } = at.coordinator
  shell = new Shell({
    env: { CONSILIUM_COORDINATOR: url, CONSILIUM_HOME: at.state, XDG_CACHE_HOME: at.state, XDG_CONFIG_HOME: at.state },
  })
  // Nobody is there to train: each round is aborted, and the run with it.
  const order = { timing: { selectionMillis: 50 }, failuresMax: 2 }
  const ids = await Promise.all(
    ['100', '200'].map(async (budget) => ((await (await at.launch({ ...order, budget })).json()) as { id: string }).id),
  )
  ;[one = '', two = ''] = ids
  for (const id of ids) await run('runs', 'watch', id)
})
afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

test('runs logs tells what happened, or what of it is asked for', async () => {
  const all = jsonLines((await run('runs', 'logs', one, '--json')).stdout)
  expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index))
  expect(all.at(-1)).toMatchObject({ type: 'run.failed' })
  const rounds = await run('runs', 'logs', one, '--type', 'round.*', '--since', '1h')
  expect(rounds.stdout).toMatch(/^\S+Z +\d+ round\.opened round=1 purpose=train .*\n(.*\n)*.*round\.aborted round=2 /)
  expect(rounds.stdout).not.toContain('run.created')
  expect(await run('runs', 'logs', one, '--since', '2999-01-01T00:00:00Z')).toMatchObject({ code: 0, stdout: '' })
  expect(await run('runs', 'logs', one, '--site', 'z6Mk')).toMatchObject({ code: 0, stdout: '' })
  expect(await run('runs', 'logs', one, '--since', 'yesterday')).toMatchObject({ code: 2 })
  const unknown = await run('runs', 'logs', one, '--type', 'round.*', '--type', 'round.complete')
  expect(unknown).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(/there is no event "round.complete"/),
  })
  expect(unknown.stderr).toMatch(/ events +run\.created, .*vectors\.deleted; [\s\S]* fix +--type round\.completed$/m)
  const followed = jsonLines((await run('events', 'tail', one, '--json')).stdout)
  expect(followed).toEqual(all.slice(-10))
})

test('rounds are listed, and each shown', async () => {
  const [listed] = jsonLines((await run('rounds', 'ls', one, '--json')).stdout)
  expect(listed).toMatchObject({ data: [{ round: 1 }, { round: 2 }] })
  expect((await run('rounds', 'ls', one)).stdout).toMatch(/^round +purpose[\s\S]*too-few-nodes in selection\n$/)
  expect((await run('rounds', 'show', one, '2')).stdout).toContain('no seats')
  expect(await run('rounds', 'show', one, '9')).toMatchObject({ code: 4 })
  expect(await run('rounds', 'show', one, 'last')).toMatchObject({ code: 2 })
  expect((await run('runs', 'show', one, '--curves')).stdout).toMatch(/no curve yet/)
})

test('runs are compared with what differs in their tasks', async () => {
  const [compared] = jsonLines((await run('runs', 'compare', one, two, '--json')).stdout)
  expect(compared).toMatchObject({
    runs: [
      { id: one, rounds_closed: 0, rounds_aborted: 2, best_accuracy: null },
      { id: two, status: 'failed' },
    ],
    differences: [{ pointer: '/budget', values: ['100', '200'] }],
  })
  expect(await run('runs', 'compare', one)).toMatchObject({ code: 2 })
  expect(await run('runs', 'compare', one, one)).toMatchObject({ code: 2 })
})

test('api sends what is typed to the coordinator and nowhere else', async () => {
  const listed = await run('api', 'GET', '/v1/runs', '-f', 'limit=1')
  expect(JSON.parse(listed.stdout)).toMatchObject({ data: [{ id: expect.any(String) }], has_more: true })
  expect(await run('api', 'POST', `/v1/runs/${one}/stop`, '-f', 'reason=over')).toMatchObject({ code: 5 })
  expect(await run('api', 'POST', '/v1/runs', '-f', 'rounds=0')).toMatchObject({ code: 2 })
  expect(await run('api', '/v1/nothing')).toMatchObject({ code: 4 })
  for (const path of ['@127.0.0.1:9/v1/runs', '.example.org/', 'http://127.0.0.1:9/'])
    expect(await run('api', 'GET', path)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('begins with a slash'),
    })
})

test('webhooks are made, listed and taken away', async () => {
  const made = await run('webhooks', 'create', 'http://hooks.example.org:8443/x', '--event', 'run.*', '--json')
  const [{ id, secret } = {}] = jsonLines(made.stdout)
  expect(secret).toMatch(/^whsec_/)
  expect((await run('webhooks', 'ls')).stdout).toBe(
    `${id}  on       run.*                     http://hooks.example.org:8443/x\n`,
  )
  expect(await run('webhooks', 'deliveries', String(id))).toMatchObject({ code: 0, stdout: '' })
  expect(await run('webhooks', 'rm', String(id))).toMatchObject({ code: 0 })
  expect(await run('webhooks', 'rm', String(id))).toMatchObject({ code: 4 })
  expect(await run('webhooks', 'create', 'http://127.0.0.1:9/')).toMatchObject({ code: 2 })
  const unknown = await run('webhooks', 'create', 'http://hooks.example.org:8443/x', '--event', 'rounds.*')
  expect(unknown).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/such as round\.\*; there are run\.created, /),
  })
})

test('webhooks listen tells a receiver here what an endpoint would be told, signed, and what became of each', async () => {
  const got: { headers: IncomingHttpHeaders; body: string }[] = []
  const receiver = createServer(async (request, response) => {
    got.push({ headers: request.headers, body: await text(request) })
    // Once it fails, and is told the same again.
    response.writeHead(got.length === 1 ? 500 : 204).end()
  }).listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  const hook = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
  const listen = ['webhooks', 'listen', '--forward', hook, '--event', 'run.created', '--event', 'run.failed', '--json']
  const env = { PATH: process.env['PATH'], CONSILIUM_COORDINATOR: at.coordinator.url, CONSILIUM_HOME: at.state }
  const child = spawn(process.execPath, [BIN, ...listen], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async () => {
    const value = String((await lines.next()).value)
    checkPrinted(listen, { stdout: value })
    return JSON.parse(value)
  }
  const { secret, ...first } = await next()
  expect(first).toEqual({ type: 'webhooks.listening', forward: hook, events: ['run.created', 'run.failed'] })
  // It says so once the feed is open: what begins then is told.
  const { id } = (await (await at.launch({ timing: { selectionMillis: 50 } })).json()) as { id: string }
  expect(await next()).toMatchObject({ run: id, type: 'run.created', seq: 0, status: 500, outcome: 'failed' })
  expect(await next()).toMatchObject({ type: 'run.created', attempt: 2, status: 204, outcome: 'delivered' })
  expect(await next()).toMatchObject({ run: id, type: 'run.failed', attempt: 1, outcome: 'delivered' })
  expect(new Set(got.map(({ headers }) => headers['webhook-id'])).size).toBe(2)
  for (const { headers, body } of got) expect(await verifySignature({ secret, headers, body })).toBe(true)
  child.kill('SIGINT')
  expect(await once(child, 'exit')).toEqual([130, null])
  receiver.close()

  for (const [code, ...more] of [
    ['missing_flag'],
    ['not_loopback', '--forward', 'http://hooks.example.org/'],
    ['not_loopback', '--forward', 'http://127.0.0.1.example.org/'],
    ['bad_value', '--forward', 'localhost:3000'],
    ['bad_value', '--forward', hook, '--event', 'round completed'],
    ['--event round.completed', '--forward', hook, '--event', 'run.*', '--event', 'round.complete'],
    ['bad_secret', '--forward', hook, '--secret', join(at.state, 'api-key')],
  ] as const)
    expect(await run('webhooks', 'listen', ...more)).toMatchObject({ code: 2, stderr: expect.stringContaining(code) })
})

test('doctor finds a coordinator that answers, its version and a key that is good; or says what to do', async () => {
  const { stdout, code } = await run('doctor', '--json')
  const [{ checks = [] } = {}] = jsonLines(stdout) as { checks: { check: string; status: string }[] }[]
  const status = Object.fromEntries(checks.map((each) => [each.check, each.status]))
  expect(status).toMatchObject({ node: 'ok', coordinator: 'ok', clock: 'ok', key: 'ok', tls: 'ok' })
  // The coordinator of this test says that it is 0.0.0.
  expect({ code, version: status['version'] }).toEqual({ code: 12, version: 'failed' })
  const away = await run('doctor', '--coordinator', 'http://127.0.0.1:9')
  expect(away).toMatchObject({ code: 10, stdout: expect.stringMatching(/^failed +coordinator .*\n +fix /m) })
})

test('completion knows commands, options, and the runs that there are', async () => {
  const next = async (...words: string[]) =>
    (await run('complete', '--', ...words)).stdout.split('\n').map((line) => line.split('\t')[0])
  expect(await next('ru')).toEqual(expect.arrayContaining(['run', 'runs']))
  expect(await next('runs', '')).toEqual(expect.arrayContaining(['ls', 'watch', 'compare']))
  expect(await next('runs', 'watch', '--no')).toContain('--no-input')
  expect(await next('runs', 'watch', '')).toEqual(expect.arrayContaining([one, two]))
  expect(await next('runs', 'compare', one, two.slice(0, 20))).toContain(two)
  expect(await next('runs', 'ls', '')).not.toContain(one)
  for (const shell of ['bash', 'zsh', 'fish', 'powershell'])
    expect((await run('completion', shell)).stdout).toMatch(/consilium.* complete '?--/)
  expect(await run('completion', 'tcsh')).toMatchObject({ code: 2, stderr: expect.stringContaining('bash, zsh') })
})

test('completion offers no run that a shell would take for more than an id', async () => {
  await using folder = await temporaryFolder()
  const runs = ['run_x;touch$IFS/tmp/x', '$(reboot)', one].map((id) => ({ id, name: 'n' }))
  await mkdir(join(folder.path, 'consilium'))
  const kept = { 'http://theirs': { at: Date.now(), runs } }
  await writeFile(join(folder.path, 'consilium/completion.json'), JSON.stringify(kept))
  const env = { CONSILIUM_COORDINATOR: 'http://theirs', XDG_CACHE_HOME: folder.path, XDG_CONFIG_HOME: folder.path }
  const { stdout } = await consilium(['complete', '--', 'runs', 'watch', ''], { env })
  expect(stdout).toContain(one)
  expect(stdout).not.toMatch(/touch|reboot/)
})
