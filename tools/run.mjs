// The two commands of the README come through here on whatever Node npm runs on (20 or later). Plain JavaScript, no
// dependency: it installs what the lockfile names when that changed, finds the pinned Node 24, and hands over to it.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', join(modules, 'jest/bin/jest.js')]
const bin = (name) => join(modules, '.bin', name)

/** Each command is a list of [program, …arguments]; `node` stands for the pinned Node. They run in order until one fails. */
const commands = {
  demo: (rest) => [['node', join(root, 'cli/bin.js'), 'demo', ...rest]],
  test: (rest) => [['node', ...jest, ...rest]],
  check: () => [
    ['node', join(modules, '@biomejs/biome/bin/biome'), 'check', '--error-on-warnings', '.'],
    ['node', join(modules, 'typescript/bin/tsc'), '-p', '.'],
    [bin('knip'), '--no-progress'],
  ],
  // What comes after a pattern of files would be another one of them.
  campaign: (rest) => [['node', ...jest, ...rest, '--testMatch', '<rootDir>/test/campaign/*.campaign.ts']],
  bench: (rest) => [['node', join(root, 'bench/main.ts'), ...rest]],
  openapi: () => [['node', join(root, 'tools/openapi.mjs')]],
  'cli-docs': () => [
    ['node', join(root, 'tools/cli-docs.mjs')],
    ['node', join(root, 'tools/cli-schemas.mjs')],
  ],
  build: () => [['node', join(root, 'tools/build.mjs')]],
}

function fail(problem, fix) {
  process.stderr.write(`error  ${problem}\n  fix  ${fix}\n`)
  process.exit(1)
}

/** Installs only when the lockfile is not the one that node_modules was made from: a running process keeps its files. */
function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const stamp = join(modules, '.consilium-lock')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  process.stderr.write('installing what package-lock.json names (once) …\n')
  const started = Date.now()
  const npm = process.env.npm_execpath
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  const stdio = ['ignore', 2, 2]
  const done = npm?.endsWith('.js')
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio })
    : spawnSync('npm', args, { cwd: root, stdio, shell: process.platform === 'win32' })
  if (done.status !== 0)
    fail(
      'npm ci failed (its words are above)',
      'check that the npm registry can be reached, then run the command again',
    )
  writeFileSync(stamp, lock)
  process.stderr.write(`installed in ${Math.round((Date.now() - started) / 1000)} s\n`)
}

function pinnedNode() {
  const path = join(modules, 'node/bin/node')
  if (existsSync(path)) return path
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath
  return fail(
    `consilium runs on Node 24 or later; this is ${process.versions.node} and the packaged one is missing`,
    'npm config set ignore-scripts false && rm -rf node_modules && run the command again, or install Node 24',
  )
}

const [name, ...rest] = process.argv.slice(2)
const command = commands[name]
if (!command) fail(`no command ${name ?? '(none)'}`, `one of: ${Object.keys(commands).join(', ')}`)
install()
const node = pinnedNode()
const path = `${dirname(node)}${process.platform === 'win32' ? ';' : ':'}${process.env.PATH}`
for (const [program, ...args] of command(rest)) {
  const child = spawn(program === 'node' ? node : program, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  })
  const pass = (signal) => child.kill(signal)
  process.on('SIGINT', pass)
  process.on('SIGTERM', pass)
  const code = await new Promise((settle) => {
    child.on('error', (cause) =>
      fail(`${program} could not start: ${cause.message}`, 'rm -rf node_modules and run the command again'),
    )
    child.on('close', (status, signal) => settle(status ?? (signal === 'SIGINT' ? 130 : 143)))
  })
  process.off('SIGINT', pass)
  process.off('SIGTERM', pass)
  if (code !== 0) process.exit(code)
}
