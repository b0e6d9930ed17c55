import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'

const root = join(import.meta.dirname, '../..')
const docker = (...args: readonly string[]) => spawnSync('docker', args, { cwd: root, encoding: 'utf8' })

const engine = docker('version', '--format', '{{.Server.Version}}').status === 0
if (!engine) console.log('skipped: the images are not built, since no Docker engine answers here')
const withEngine = engine ? test : test.skip
/** As the compose files run them. */
const HARDENED = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges:true', '--tmpfs', '/tmp']

withEngine.each(['coordinator', 'node'])(
  'the image of the %s is built, and its command runs as no root on a read-only file system',
  (target) => {
    const tag = `consilium-test-${target}:${process.pid}`
    try {
      const built = docker('build', '--file', 'docker/Dockerfile', '--target', target, '--tag', tag, '.')
      expect([built.status, built.stderr.slice(-2000)]).toEqual([0, expect.any(String)])
      expect(docker('run', '--rm', ...HARDENED, tag, 'id', '-u').stdout.trim()).toBe('10001')
      expect(docker('run', '--rm', ...HARDENED, tag, 'consilium', 'version')).toMatchObject({ status: 0 })
      expect(docker('run', '--rm', '--user', '0', tag)).toMatchObject({
        status: 2,
        stderr: expect.stringMatching(/not run as root/),
      })
    } finally {
      docker('image', 'rm', '--force', tag)
    }
  },
  600_000,
)

withEngine(
  'a coordinator becomes healthy, and drains when Docker stops it',
  () => {
    const [tag, name] = [`consilium-test-up:${process.pid}`, `consilium-test-up-${process.pid}`]
    try {
      expect(docker('build', '--file', 'docker/Dockerfile', '--target', 'coordinator', '--tag', tag, '.').status).toBe(
        0,
      )
      const open = ['--env', 'CONSILIUM_OPEN=yes']
      expect(docker('run', '--detach', '--name', name, ...HARDENED, ...open, tag).status).toBe(0)
      const ask = ['exec', name, 'node', '/opt/consilium/docker/health.mjs', 'coordinator']
      const tries = Array.from({ length: 30 }, () => ask)
      expect(tries.some((command) => docker(...command).status === 0)).toBe(true)
      expect(docker('stop', '--timeout', '30', name).status).toBe(0)
      expect(docker('inspect', '--format', '{{.State.ExitCode}}', name).stdout.trim()).toBe('0')
    } finally {
      docker('rm', '--force', '--volumes', name)
      docker('image', 'rm', '--force', tag)
    }
  },
  600_000,
)
