import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { COMMANDS } from '#cli/commands.ts'
import { DOCKER } from './container.ts'
import { lastOf, readDockerfile, type Stage, sentPaths, stageOf } from './dockerfile.ts'

const root = join(DOCKER, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const manifest = JSON.parse(read('package.json'))
const run = (program: string, ...args: readonly string[]) => spawnSync(program, args, { cwd: root, encoding: 'utf8' })
const installed = (path: string): string => join(root, 'node_modules', path)

const options = (name: string) => COMMANDS.find((command) => command.name === name)?.options ?? []

const dockerfile = readDockerfile()
const { base, stages } = dockerfile
const stage = (name: string): Stage => stageOf(dockerfile, name)
const last = (target: string, name: string): string | undefined => lastOf(dockerfile, target, name)

describe('the images', () => {
  test('are built by a Dockerfile that the linter takes', () => {
    const { status, stdout } = run(
      process.execPath,
      installed('dockerfile-utils/bin/dockerfile-utils'),
      'lint',
      'docker/Dockerfile',
    )
    expect([stdout, status]).toEqual(['', 0])
  })

  test('start from the Node that is tested, by its exact version, and from stages of their own', () => {
    expect(base).toBe(`node:${manifest.devDependencies.node}-bookworm-slim`)
    for (const { from } of stages) expect([base, ...stages.map(({ name }) => name)]).toContain(from)
  })

  test.each(['coordinator', 'node'])('%s: no root, and its process is the one that is signalled', (target) => {
    expect(last(target, 'USER')).toBe('10001:10001')
    expect(last(target, 'STOPSIGNAL')).toBe('SIGTERM')
    expect(JSON.parse(last(target, 'ENTRYPOINT') ?? '')).toEqual(['/opt/consilium/docker/entry.sh'])
    expect(JSON.parse(last(target, 'CMD') ?? '')).toEqual([target])
    const health = last(target, 'HEALTHCHECK')?.replace(/^CMD /, '')
    expect(JSON.parse(health ?? '')).toEqual(['node', '/opt/consilium/docker/health.mjs', target])
    expect(last(target, 'VOLUME')).toBe('/var/lib/consilium')
  })

  test('run no script of a package, neither to build nor to run', () => {
    const installs = stages.flatMap(({ instructions }) =>
      instructions.filter(({ rest }) => /\bnpm (ci|install)\b/.test(rest)),
    )
    expect(installs.map(({ rest }) => /--ignore-scripts/.test(rest))).toEqual([true, true])
    expect(stage('dependencies').instructions.find(({ name }) => name === 'RUN')?.rest).toMatch(/npm ci --omit=dev/)
  })

  test('are sent every room and what their stages copy, and nothing else of a clone', () => {
    const sent = sentPaths()
    for (const path of sent) expect([path, existsSync(join(root, path))]).toEqual([path, true])
    const rooms = Object.keys(manifest.imports).flatMap((name) => /^#(\w+)\/\*\.ts$/.exec(name)?.[1] ?? [])
    const copied = stages.flatMap(({ instructions }) =>
      instructions
        .filter(({ name, flags }) => name === 'COPY' && !flags.some((flag) => flag.startsWith('--from=')))
        .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1))
        .filter((path) => path !== '.'),
    )
    const bundlers = ['build', 'dashboard', 'lend', 'page-zod', 'pages'].map((name) => `tools/${name}.mjs`)
    const said = ['tsconfig.json', ...bundlers, 'examples', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md']
    expect(sent.toSorted()).toEqual(
      [...new Set([...rooms.filter((room) => room !== 'test'), ...copied, ...said])].toSorted(),
    )
  })
})

describe('the scripts', () => {
  const scripts = globSync('docker/*.sh', { cwd: root })
  const shellcheck = run('shellcheck', '--version').status === 0
  if (!shellcheck) console.log('skipped: the shell scripts are not read by shellcheck, which is not on the PATH')
  const withShellcheck = shellcheck ? test : test.skip

  test.each(['sh', 'dash'])('are read by %s', (shell) => {
    if (run(shell, '-c', 'true').error) return console.log(`skipped: there is no ${shell} here`)
    for (const script of scripts) expect(run(shell, '-n', script)).toMatchObject({ status: 0, stderr: '' })
  })

  withShellcheck('are read by shellcheck', () => {
    expect(run('shellcheck', ...scripts)).toMatchObject({ status: 0, stdout: '' })
  })

  const entry = read('docker/entry.sh')
  const [forNode = '', forCoordinator = ''] = entry
    .slice(entry.indexOf('"$role" = node'))
    .split('exec consilium node up')
  const common = entry.slice(0, entry.indexOf('"$role" = node'))

  test.each([
    ['node up', common + forNode],
    ['coordinator up', common + forCoordinator],
  ])('give %s only flags that it has', (name, text) => {
    const flags = [...text.matchAll(/set -- ([^\n]*)"\$@"/g)].flatMap(
      ([, given = '']) => given.match(/--[a-z-]+/g) ?? [],
    )
    // The others by a rule: entry.test.ts sets the variable of every flag that there is.
    expect(flags).toContain('--allow')
    for (const flag of flags) expect(options(name).map((option) => `--${option.name}`)).toContain(flag)
  })

  test('are explained: every variable that they read is in docker/README.md', () => {
    const passed = [...entry.matchAll(/^ +([A-Z_ |]+)\) continue/gm)].flatMap(([, names = '']) => names.split(' | '))
    const used = new Set([
      ...(entry.match(/\bCONSILIUM_[A-Z_]+\b|NODE_EXTRA_CA_CERTS/g) ?? []),
      ...passed.map((name) => `CONSILIUM_${name}`),
    ])
    expect(used.size).toBeGreaterThan(15)
    for (const name of used) expect(read('docker/README.md')).toContain(`\`${name}`)
  })
})

type Service = {
  readonly image: string
  readonly build?: { readonly target: string; readonly dockerfile: string; readonly args: { readonly VERSION: string } }
  readonly user?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly env_file?: readonly { readonly path: string; readonly required: boolean }[]
  readonly ports?: readonly { readonly host_ip: string }[]
  readonly volumes?: readonly string[]
  readonly secrets?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>> | readonly string[]
  readonly healthcheck?: { readonly test: readonly string[] }
}
type Compose = {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes?: object
  readonly secrets?: Readonly<Record<string, { readonly file: string }>>
}

const composed = readdirSync(DOCKER)
  .filter((name) => name.startsWith('compose.'))
  .map((name): [string, Compose] => [name, parse(read(`docker/${name}`), { merge: true })])

test('the compose files keep the schema and the linter’s rules', () => {
  const { status, stdout, stderr } = run(
    process.execPath,
    installed('dclint/bin/dclint.cjs'),
    '--config',
    'docker/.dclintrc.json',
    'docker',
  )
  expect([stdout.trim(), stderr.trim(), status]).toEqual(['', '', 0])
})

describe.each(composed)('%s', (_file, { services, volumes = {}, secrets = {} }) => {
  const each = Object.entries(services)

  test.each(each)('%s may do no more than it needs', (_name, service) => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      pids_limit: expect.any(Number),
      mem_limit: expect.stringMatching(/^\d+[mg]$/),
      restart: 'unless-stopped',
      stop_grace_period: '30s',
      logging: { options: { 'max-size': expect.any(String), 'max-file': expect.any(String) } },
    })
    expect(service).not.toHaveProperty('privileged')
    expect(service).not.toHaveProperty('network_mode')
    if (!service.build) expect(service.user).toMatch(/^[1-9]\d*:[1-9]\d*$/)
  })

  test.each(each)('%s is a version, and says how it is', (_name, { image, build, healthcheck }) => {
    if (build) {
      expect(image).toBe(`consilium-${build.target}:${manifest.version}`)
      expect(build.args.VERSION).toBe(manifest.version)
      expect(existsSync(join(root, build.dockerfile))).toBe(true)
      expect(last(build.target, 'HEALTHCHECK')).toBeDefined()
    } else {
      expect(image).toMatch(/^[a-z]+:\d+\.\d+\.\d+-/)
      expect(healthcheck?.test[0]).toBe('CMD')
    }
  })

  test.each(each)('%s publishes to this machine alone, and mounts only what is declared or read', (_name, service) => {
    for (const { host_ip } of service.ports ?? []) expect(host_ip).toMatch(/^\$\{CONSILIUM_ADDRESS:-127\.0\.0\.1\}$/)
    for (const volume of service.volumes ?? []) {
      const [source = '', , mode] = volume.split(/:(?=\/|ro$)/)
      if (/^[.$]/.test(source)) expect(mode).toBe('ro')
      else expect(Object.keys(volumes)).toContain(source)
      if (source.startsWith('./') && !source.startsWith('./demo/')) expect(existsSync(join(DOCKER, source))).toBe(true)
    }
    for (const secret of service.secrets ?? []) expect(Object.keys(secrets)).toContain(secret)
    const mounted = new Set(
      Object.values(service.environment ?? {}).flatMap((value) => /^\/run\/secrets\/(.*)/.exec(value)?.[1] ?? []),
    )
    for (const secret of mounted) expect(service.secrets).toContain(secret)
  })

  test('no secret is in it, and every variable is one that is read', () => {
    const known = `${read('docker/entry.sh')} ${COMMANDS.flatMap(({ options }) => options.map(({ env }) => env)).join(' ')}`
    const variables = (name: string) =>
      options(name).map((option) => `CONSILIUM_${option.name.toUpperCase().replaceAll('-', '_')}`)
    for (const [, { environment = {}, build }] of each)
      for (const [name, value] of Object.entries(environment)) {
        expect([...known.split(/[^A-Z_]+/), ...variables(`${build?.target} up`)]).toContain(name)
        expect(value).not.toMatch(/rediss?:\/\/|password/i)
      }
    // Every other flag of the command comes from a file of its own, which no clone has.
    for (const [, { env_file, build }] of each)
      expect(env_file).toEqual(build && [{ path: `./${build.target}.env`, required: false }])
    for (const { file } of Object.values(secrets)) expect(file).toMatch(/^\.\/secrets\//)
  })
})
