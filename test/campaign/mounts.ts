import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from '@jest/globals'

/** Whatever it mounts is seen by itself and its children alone, and is gone with them. */
const ALONE = ['--mount', '--propagation', 'private']

/**
 * A test of a script of test/chaos that mounts file systems of its own. Where none can be mounted it is skipped, with the
 * reason printed.
 * @param check given what the script has said
 */
export function testWithMounts(
  what: string,
  script: string,
  args: readonly string[],
  check: (said: string) => void,
  timeoutMillis: number,
): void {
  const tried = spawnSync('unshare', [...ALONE, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { encoding: 'utf8' })
  if (tried.status !== 0) {
    process.stderr.write(
      `skipped: ${what}, since no file system can be mounted here: ${tried.error ?? tried.stderr.trim()}\n`,
    )
    test.skip(what, () => undefined)
    return
  }
  const path = join(import.meta.dirname, '../chaos', script)
  test(
    what,
    async () => {
      const child = spawn('unshare', [...ALONE, process.execPath, path, ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      check(await text(child.stdout))
    },
    timeoutMillis,
  )
}
