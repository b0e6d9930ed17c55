import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { COMMANDS } from '#cli/commands.ts'
import { commandHelp } from '#cli/help.ts'
import { reference } from '#cli/reference.ts'
import { signerOf } from '#protocol/envelope.ts'
import { parseNodeId } from '#protocol/ids.ts'
import { request } from '#test/coordinator/live.ts'
import { BIN, consilium, jsonLines } from './command.ts'
import { Shell } from './shell.ts'

let folder = ''
let shell: Shell
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'consilium-command-'))
  shell = new Shell({ cwd: folder })
})
afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

describe('help', () => {
  test.each(COMMANDS.map((command) => [command.name, command] as const))(
    'of %s names all its options and an example',
    (name, command) => {
      const help = commandHelp(command)
      for (const { name: option, hidden } of command.options) expect(help.includes(`--${option}`)).toBe(hidden !== true)
      expect(help).toContain(`$ consilium ${name}`)
      expect(help).toContain('--json')
    },
  )

  test.each(COMMANDS.map(({ name, load }) => [name, load] as const))(
    '%s has its work where the table says',
    async (_name, load) => {
      expect(typeof (await load()).execute).toBe('function')
    },
  )

  test('without arguments, and with --help, lists every command on stdout and nothing on stderr', async () => {
    for (const ran of [await consilium([]), await shell.run(['--help']), await shell.run(['help'])]) {
      const { code, stdout, stderr } = ran
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      for (const { name } of COMMANDS) expect(stdout).toContain(`consilium ${name}`)
    }
  })

  test('is a topic too, and a command by two words', async () => {
    expect((await shell.run(['help', 'exit-codes'])).stdout).toMatch(/8 {2}verification failed/)
    expect((await shell.run(['help', 'node', 'up'])).stdout).toMatch(/--coordinator-key/)
    expect(await shell.run(['help', 'exitcodes'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/exit-codes\?/),
    })
  })

  test('is docs/cli.md too: npm run cli-docs writes it', async () => {
    expect(await readFile(join(import.meta.dirname, '../../docs/cli.md'), 'utf8')).toBe(reference())
  })

  test('loads nothing but the table', async () => {
    const trace = [
      "import { registerHooks } from 'node:module'",
      'const files = []',
      'registerHooks({ load: (url, context, next) => { files.push(url); return next(url, context) } })',
      "process.on('exit', () => console.error(JSON.stringify([files, process.moduleLoadList])))",
    ].join(';')
    const options = `--import=data:text/javascript,${encodeURIComponent(trace)}`
    const { stderr, stdout } = await consilium(['--help'], { env: { NODE_OPTIONS: options } })
    expect(stdout).toContain('consilium runs watch')
    const [files, builtin] = JSON.parse(stderr) as [string[], string[]]
    const root = pathToFileURL(`${process.cwd()}/`).href
    const own = files.filter((url) => url.startsWith('file:')).map((url) => url.slice(root.length))
    // What is written is made plain on its way, whatever it is.
    const table = [
      ...['main', 'arguments', 'command', 'commands', 'failure', 'help', 'output', 'render/width'].map(
        (name) => `cli/${name}.ts`,
      ),
      'protocol/nearest.ts',
    ]
    expect(own.filter((file) => !/^cli\/(bin\.js|registry\/\w+\.ts)$/.test(file) && !table.includes(file))).toEqual([])
    expect(own.length).toBeLessThan(30)
    expect(builtin.filter((name) => /sqlite|tls|http/.test(name))).toEqual([])
  })
})

const OPEN = ['--population', 'open', '--data', BIN] as const
const PINNED = ['--coordinator-key', signerOf(new Uint8Array(32).fill(1)).id] as const

describe('what is typed wrongly is exit 2, with what was meant', () => {
  test.each([
    [['demmo'], 'unknown_command', /did you mean consilium demo\?/],
    [['node', 'pu'], 'unknown_command', /did you mean consilium node up\?/],
    [['runs'], 'missing_verb', /consilium runs ls, consilium runs show, consilium runs watch/],
    [['--jsno'], 'unknown_flag', /--json/],
    [['verify', 'x', '--expct', 'y'], 'unknown_flag', /--expect/],
    [['coordinator', 'up'], 'who_may_link', /--allow nodes.txt .*--open/],
    [['coordinator', 'up', '--open', '--tls-cert', 'x'], 'incomplete_tls', /--tls-key/],
    [['node', 'up', '--coordinator-key', 'z6Mkx'], 'bad_value', /z6Mk and 44 more/],
    [['node', 'up', ...PINNED, '--population', 'hospital'], 'who_is_allowed', /fix +--allow nodes.txt/],
    [['node', 'up', ...PINNED, '--population', 'open', '--max-corrupt', '0'], 'bad_value', /from 1 to 128/],
    [['node', 'up', ...PINNED, ...OPEN, '--share', '7412'], 'bad_value', /--share 127.0.0.1:7412/],
    [['node', 'up', ...PINNED, ...OPEN, '--share-tls-key', 'x'], 'incomplete_tls', /--share-tls-cert/],
    [['node', 'up', ...PINNED, ...OPEN, '--site-nodes', 'http://a:1/x'], 'bad_value', /--site-nodes/],
    [['node', 'up', ...PINNED, ...OPEN, '--bandwidth', '4Mb/s'], 'bad_value', /--bandwidth 4Mbit\/s/],
    [['node', 'up', ...PINNED, ...OPEN, '--bandwidth', '8Mbit/s,1kbit/s'], 'bad_value', /at least 256kbit\/s/],
    [['node', 'up', ...PINNED, ...OPEN, '--gateway', 'ftp://x'], 'bad_value', /--gateway is an http or https URL/],
    [['demo', '--label', 'num'], 'missing_flag', /--data/],
    [['demo', '--chaos', '--nodes', '3'], 'bad_value', /4 or more/],
    [['coordinator', 'up', '--open', '--cors-origin', '*'], 'bad_cors_origin', /https:\/\/lab\.example\.org/],
  ] as const)('%j', async (args, code, words) => {
    const ran = await shell.run(args)
    expect(ran).toMatchObject({ code: 2, stdout: '' })
    expect(ran.stderr).toMatch(new RegExp(`^error  ${code}  .*\\(exit 2\\)\n`))
    expect(ran.stderr).toMatch(words)
    expect(ran.stderr).not.toMatch(/\n {4}at /)
  })

  test('with --json the error is one object on stderr', async () => {
    const { code, stdout, stderr } = await consilium(['coordinator', 'up', '--json'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(JSON.parse(stderr)).toMatchObject({ code: 'who_may_link', exit: 2, retryable: false })
  })
})

test('version is one line, or one object', async () => {
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'))
  expect((await consilium(['version'])).stdout).toMatch(new RegExp(`^consilium ${version}  node .*\n$`))
  expect(jsonLines((await shell.run(['--json', 'version'])).stdout)).toMatchObject([{ version }])
  expect(jsonLines((await shell.run(['--version', '--json'])).stdout)).toMatchObject([{ version }])
})

test('a node has one id for its folder, and its key is for its owner only', async () => {
  const state = join(folder, 'node')
  const first = await consilium(['node', 'id', '--state', state])
  expect(parseNodeId(first.stdout.trim()).ok).toBe(true)
  expect((await consilium(['node', 'id'], { env: { CONSILIUM_HOME: state } })).stdout).toBe(first.stdout)
  expect((await consilium(['node', 'id'], { env: { XDG_STATE_HOME: folder } })).stdout).not.toBe(first.stdout)
  expect((await stat(join(folder, 'consilium/node/node.key'))).mode & 0o777).toBe(0o600)
})

test('a node that is not on its own allow-list says so before it starts, and how to mend it', async () => {
  const state = join(folder, 'listed')
  const id = (await consilium(['node', 'id', '--state', state])).stdout.trim()
  const [allow, data] = [join(folder, 'nodes.txt'), join(folder, 'no.csv')]
  const up = ['node', 'up', '--state', state, ...PINNED, '--population', 'hospital', '--allow', allow, '--data', data]
  await writeFile(allow, `${PINNED[1]}\n`)
  const ran = await consilium(up)
  expect(ran).toMatchObject({ code: 2, stderr: expect.stringMatching(/^error {2}not_on_allow_list/) })
  expect(ran.stderr).toContain(`add ${id}`)
  await writeFile(allow, `${PINNED[1]}\n${id}  # this one\n`)
  expect(await consilium(up)).toMatchObject({ code: 11, stderr: expect.stringMatching(/^error {2}no_data/) })
})

test('what cannot be reached, is not there, or is not as it must be has an exit code of its own', async () => {
  const key = { CONSILIUM_API_KEY: 'ck_0' }
  const nowhere = await consilium(['runs', 'ls', '--coordinator', 'http://127.0.0.1:9'], { env: key })
  expect(nowhere).toMatchObject({ code: 10, stderr: expect.stringMatching(/^error {2}unreachable/) })
  expect(await shell.run(['runs', 'ls', '--state', folder])).toMatchObject({ code: 3 })
  expect(await consilium(['run', 'nothing.json'], { env: key, cwd: folder })).toMatchObject({ code: 4 })
  expect(await consilium(['run', '-'], { env: key, input: '{' })).toMatchObject({ code: 2 })
  expect(await shell.run(['verify', 'nothing.car'])).toMatchObject({ code: 4 })
  await writeFile(join(folder, 'text.car'), 'text')
  expect(await shell.run(['verify', 'text.car'])).toMatchObject({
    code: 8,
    stdout: expect.stringMatching(/FAILED at container/),
  })
  const table = join(folder, 'one.table')
  await writeFile(table, 'x,y\n1,0\n')
  const up = [
    'node',
    'up',
    '--state',
    join(folder, 'gpu'),
    '--data',
    table,
    '--population',
    'open',
    '--backend',
    'cuda',
  ]
  const gpu = await consilium([...up, ...PINNED], { env: { TFJS_NODE: folder } })
  expect(gpu).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error {2}cannot_start .*\n {2}fix/) })
  const empty = ['demo', '--data', folder, '--label', 'x', '--folder', join(folder, 'demo')]
  expect(await shell.run(empty)).toMatchObject({ code: 11, stderr: expect.stringMatching(/0 CSV files/) })
})

describe('a coordinator', () => {
  const started = () =>
    spawn(process.execPath, [
      BIN,
      'coordinator',
      'up',
      '--open',
      '--port',
      '0',
      '--json',
      '--tethered',
      '--grace',
      '200',
      '--state',
      join(folder, 'coordinator'),
    ])
  const firstLine = (child: ReturnType<typeof started>) =>
    new Promise<Record<string, unknown>>((heard) =>
      child.stdout.once('data', (data) => heard(JSON.parse(String(data)))),
    )
  const ended = (child: ReturnType<typeof started>) =>
    new Promise((over) => child.once('close', (code, signal) => over(code ?? signal)))

  test('says where it is and where its key lies, never the key, and stops cleanly on SIGTERM', async () => {
    const child = started()
    const over = ended(child)
    const ready = await firstLine(child)
    expect(ready).toEqual({
      ...{ type: 'coordinator.ready', url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/), pid: child.pid },
      ...{ coordinator: expect.stringMatching(/^z6Mk/), api_key_file: join(folder, 'coordinator/api-key') },
    })
    const state = ['--state', join(folder, 'coordinator'), '--coordinator', String(ready['url'])]
    const listed = await shell.run(['runs', 'ls', ...state, '--json'])
    expect(jsonLines(listed.stdout)).toEqual([{ data: [], has_more: false, next: null }])
    const second = await shell.run(['coordinator', 'up', '--open', '--port', '0', ...state.slice(0, 2)])
    expect(second).toMatchObject({ code: 1, stderr: expect.stringMatching(/in use by another process/) })
    const lonely = JSON.stringify(request({ timing: { selectionMillis: 50 } }))
    const failed = await consilium(['run', '-', '--watch', ...state], { input: lonely })
    expect(failed).toMatchObject({
      code: 7,
      stdout: expect.stringMatching(/^masking none[\s\S]*aborted="too-few-nodes"/),
    })
    const waits = 'round 1 waits for nodes of its population: 0 nodes linked, 2 needed'
    expect(failed.stderr.split('\n')[0]).toBe(waits)
    expect(failed.stderr.slice(waits.length + 1)).toMatch(/^error {2}run_failed .*too-few-nodes .*\(exit 7\)/)
    child.kill('SIGTERM')
    expect(await over).toBe(0)
  })

  test('that is tethered ends with whoever started it', async () => {
    const child = started()
    const over = ended(child)
    await firstLine(child)
    child.stdin.destroy()
    expect(await over).toBe(0)
  })

  test('refuses an allow-list that it cannot read as one, with the line', async () => {
    const list = join(folder, 'allow.txt')
    await writeFile(list, '# our nodes\n\nz6Mk-nobody # a typo\n')
    const refused = await shell.run(['coordinator', 'up', '--allow', list, '--state', join(folder, 'other')])
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/allow\.txt, line 3: /) })
  })

  test('does not listen beyond this machine without TLS', async () => {
    const other = ['--state', join(folder, 'other')]
    const refused = await shell.run(['coordinator', 'up', '--open', '--host', '0.0.0.0', ...other])
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/without TLS/) })
  })
})
