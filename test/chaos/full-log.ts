import { spawnSync } from 'node:child_process'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { playFull } from '#test/coordinator/full-log.ts'
import { served } from '#test/coordinator/served.ts'
import { temporaryFolder } from '#test/folder.ts'

/**
 * Run inside a mount namespace: two processes' API over a log in SQLite on a disk of its own, which is filled up before every
 * change. Says how many of them were refused, in one line.
 */
const rounds = Number(process.argv[2])
if (!(rounds > 0)) throw new Error('how often')
/** A schema, a write-ahead log and what it is merged into. */
const DISK = '1m'

let refused = 0
for (let round = 0; round < rounds; round++) {
  await using folder = await temporaryFolder()
  const disk = join(folder.path, 'disk')
  await mkdir(disk)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=700`, 'tmpfs', disk], {
    encoding: 'utf8',
  })
  if (mounted.status !== 0) throw new Error(`no disk of its own: ${mounted.stderr.trim()}`)
  await using _ = { [Symbol.asyncDispose]: async () => void spawnSync('umount', [disk]) }
  const filler = join(disk, 'filler')
  const fill = async (): Promise<void> => {
    await using file = await open(filler, 'w')
    for (let written = true; written; )
      written = await file.write(Buffer.alloc(4096)).then(
        () => true,
        (cause: NodeJS.ErrnoException) => {
          if (cause.code !== 'ENOSPC') throw cause
          return false
        },
      )
  }
  await using one = openSqliteLog({ file: join(disk, 'log') })
  await using two = openSqliteLog({ file: join(disk, 'log') })
  const first = await served({ log: one })
  const apis = [first, await served({ ...first, log: two })] as const
  refused += await playFull({ apis, fill, empty: () => rm(filler, { force: true }) }, 0, (round % 2) as 0 | 1)
}
process.stdout.write(`${JSON.stringify({ rounds, refused })}\n`)
