import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from '@jest/globals'

/** How often all changes are made, one time for forty seeds of a simulation. */
const ROUNDS = Math.ceil(Number(process.env['CONSILIUM_SEEDS'] ?? 200) / 40)

const SCRIPT = join(import.meta.dirname, '../chaos/full-log.ts')
/** Whatever it mounts is seen by itself and its children alone, and is gone with them. */
const ALONE = ['--mount', '--propagation', 'private']

const what =
  'a disk that is full before every change, under two processes: what is refused is not there, and what is there stays'
const tried = spawnSync('unshare', [...ALONE, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { encoding: 'utf8' })
if (tried.status !== 0) {
  process.stderr.write(
    `skipped: ${what}, since no file system can be mounted here: ${tried.error ?? tried.stderr.trim()}\n`,
  )
  test.skip(what, () => undefined)
} else
  test(what, async () => {
    const args = [...ALONE, process.execPath, SCRIPT, String(ROUNDS)]
    const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const said = JSON.parse((await text(child.stdout)) || '{}') as {
      readonly rounds?: number
      readonly refused?: number
    }
    process.stdout.write(`full log campaign: ${JSON.stringify(said)}\n`)
    expect(said.rounds).toBe(ROUNDS)
    expect(said.refused).toBeGreaterThan(ROUNDS)
  }, 600_000)
