import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

/**
 * What a person gets who installs the package: JavaScript, because Node strips no types under node_modules. The tarball is
 * unpacked beside links to the packages that the lockfile does not mark as for development, so no registry is asked.
 */
const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'consilium-package-'))
const installed = join(folder, 'node_modules/consilium')
const run = promisify(execFile)
const node = (...args: readonly string[]) => run(process.execPath, [...args], { cwd: folder, encoding: 'utf8' })

type Lock = { readonly packages: Readonly<Record<string, { readonly dev?: boolean }>> }

beforeAll(async () => {
  await run(process.execPath, [join(root, 'tools/build.mjs'), '--no-check'], { cwd: root })
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const pack = ['pack', '--ignore-scripts', '--json', '--offline', '--pack-destination', folder]
  const [tarball] = JSON.parse((await run(npm, pack, { cwd: root, encoding: 'utf8' })).stdout)
  mkdirSync(installed, { recursive: true })
  await run('tar', ['-xzf', join(folder, tarball.filename), '--strip-components=1', '-C', installed])
  const lock: Lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  for (const [path, { dev }] of Object.entries(lock.packages)) {
    if (dev || !/^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) || !existsSync(join(root, path))) continue
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    symlinkSync(join(root, path), join(folder, path), 'junction')
  }
}, 240_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the installed package', () => {
  const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version

  test('says its version', async () => {
    expect((await node(join(installed, 'cli/bin.js'), 'version')).stdout).toContain(version)
  })

  test('has the schemas of what its commands print, and takes their fields', async () => {
    const ran = await node(join(installed, 'cli/bin.js'), 'help', 'runs', 'ls', '--json=commands.schema')
    const { commands } = JSON.parse(ran.stdout) as { commands: { schema: string }[] }
    expect(commands.map(({ schema }) => existsSync(join(installed, schema)))).toEqual([true])
  })

  test('can verify: the command is there and explains itself', async () => {
    expect((await node(join(installed, 'cli/bin.js'), 'verify', '--help')).stdout).toMatch(/verify/)
  })

  test('can be imported by its rooms, which find one another and their dependencies', async () => {
    const script =
      "import { parseRunId } from 'consilium/protocol/ids'\n" +
      "import { signerOf } from 'consilium/protocol/envelope'\n" +
      "console.log(parseRunId('run_').refusal, signerOf(new Uint8Array(32)).id)"
    const { stdout } = await node('--input-type=module', '--eval', script)
    expect(stdout).toBe('bad-run-id z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp\n')
  })

  test('is a client of the API, and says tasks, by its SDK', async () => {
    const script =
      "import { Consilium } from 'consilium/sdk'\n" +
      "import { dense, sequential } from 'consilium/sdk/layers'\n" +
      "import { adam } from 'consilium/sdk/task'\n" +
      "import { kerasModel } from 'consilium/sdk/keras'\n" +
      "const { transport } = new Consilium({ url: 'http://127.0.0.1:7410/' })\n" +
      'console.log(transport.url, sequential([dense(2)])[0].name, adam().rateMicro, typeof kerasModel)'
    const { stdout } = await node('--input-type=module', '--eval', script)
    expect(stdout).toBe('http://127.0.0.1:7410 dense_1 1000 function\n')
  })

  test('makes a folder to start from, as the worked examples are', async () => {
    await node(join(installed, 'cli/bin.js'), 'create', 'study', '--template', 'text')
    expect(readdirSync(join(folder, 'study')).sort()).toEqual(['README.md', 'data.ts', 'package.json', 'task.ts'])
    const made = readFileSync(join(folder, 'study/task.ts'), 'utf8')
    expect(made).toBe(readFileSync(join(root, 'examples/text/task.ts'), 'utf8'))
  })

  test('finds its masking thread, which is as exact as the caller’s own', async () => {
    const script = `
      import { openMaskRemoval } from ${JSON.stringify(pathToFileURL(join(installed, 'dist/threads/removal.js')).href)}
      import { removeMasks } from 'consilium/aggregation/secagg/removal'
      await using threads = openMaskRemoval({ threads: 2, hereBytes: 0 })
      const masks = [1, -1, 1].map((sign, index) => ({ seed: new Uint8Array(40).fill(index), sign }))
      const sums = [new Uint32Array(200_000), new Uint32Array(200_000)]
      await removeMasks(sums[0], masks)
      await threads.removeMasks(sums[1], masks)
      console.log(sums[0].some((lane) => lane !== 0), sums[0].every((lane, at) => lane === sums[1][at]))`
    const { stdout } = await node('--input-type=module', '--eval', script)
    expect(stdout).toBe('true true\n')
  })

  test('holds no source and no test, and a declaration for every script', () => {
    const paths = readdirSync(installed, { recursive: true, encoding: 'utf8' }).map((path) =>
      path.replaceAll('\\', '/'),
    )
    expect(paths.filter((path) => /(?<!\.d)\.ts$/.test(path))).toEqual([])
    expect(paths.filter((path) => /(^|\/)(test|bench|tools|node_modules)\//.test(path))).toEqual([])
    const scripts = paths.filter((path) => path.startsWith('dist/') && path.endsWith('.js'))
    expect(scripts.length).toBeGreaterThan(20)
    expect(scripts.filter((path) => !paths.includes(path.replace(/\.js$/, '.d.ts')))).toEqual([])
  })
})

test('an older Node is told what to do', async () => {
  // As Node 20 is: another version, and a node:module without what came later.
  const older = `
    import module from 'node:module'
    Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.1.0' } })
    module.registerHooks({
      resolve: (name, context, next) =>
        name === 'node:module' && context.parentURL?.endsWith('/cli/bin.js')
          ? { url: 'data:text/javascript,export default {}', shortCircuit: true }
          : next(name, context),
    })`
  const refused = node(
    '--import',
    `data:text/javascript,${encodeURIComponent(older)}`,
    join(root, 'cli/bin.js'),
    'version',
  )
  await expect(refused).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/Node 24[\s\S]*20\.1\.0[\s\S]*fix/),
  })
})
