import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from '@jest/globals'

/** How many runs, one for twenty seeds of a simulation, and from which seed on. */
const RUNS = Math.ceil(Number(process.env['CONSILIUM_SEEDS'] ?? 200) / 20)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 60_000)

const SCRIPT = join(import.meta.dirname, '../chaos/full-disk.ts')
/** Whatever it mounts is seen by itself and its children alone, and is gone with them. */
const ALONE = ['--mount', '--propagation', 'private']

const what = `${RUNS} runs from seed ${FIRST} on, on a disk that is full again and again: each waits and goes on, and nothing is lost`
const tried = spawnSync('unshare', [...ALONE, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { encoding: 'utf8' })
if (tried.status !== 0) {
  process.stderr.write(
    `skipped: ${what}, since no file system can be mounted here: ${tried.error ?? tried.stderr.trim()}\n`,
  )
  test.skip(what, () => undefined)
} else
  test(what, async () => {
    const args = [...ALONE, process.execPath, SCRIPT, String(FIRST), String(RUNS)]
    const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const said = await text(child.stdout)
    expect(JSON.parse(said || '{}')).toMatchObject({ runs: RUNS, completed: RUNS, compared: RUNS, aborted: {} })
    process.stdout.write(`disk campaign: ${said}`)
  }, 3_600_000)
