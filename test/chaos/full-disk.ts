import { spawnSync } from 'node:child_process'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { temporaryFolder } from '#test/folder.ts'
import { checkLedger, compare, figures, type Harmed, orderOf, play, Receipts } from './campaign.ts'
import { Deployment } from './deployment.ts'

/**
 * Run inside a mount namespace: a coordinator on a small disk, which is filled up at moments drawn from the seeds
 * and emptied again. Says what became of it, in one line.
 */
const [first, count] = process.argv.slice(2).map(Number)
if (first === undefined || count === undefined) throw new Error('the first seed, and how many')
/** Several times what the write-ahead logs of all stores take before they are merged: it is full only while it is filled. */
const DISK = '96m'
/** The longest that it is full; and from one time to the next, on average. */
const FULL_MILLIS = 1000
const BETWEEN_MILLIS = 700
const FEDERATION = { seed: 'full disk', nodes: 3 }

await using folder = await temporaryFolder()
const state = join(folder.path, 'state')
await mkdir(state, { mode: 0o700 })
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=700`, 'tmpfs', state], { encoding: 'utf8' })
if (mounted.status !== 0) throw new Error(`no disk of its own: ${mounted.stderr.trim()}`)
await using _ = { [Symbol.asyncDispose]: async () => void spawnSync('umount', [state]) }

/** Until nothing more goes onto it, not even a page of a log. */
async function fill(unit: () => number): Promise<void> {
  const path = join(state, 'filler')
  await using file = await open(path, 'w')
  const full = (cause: NodeJS.ErrnoException): void => {
    if (cause.code !== 'ENOSPC') throw cause
    written = false
  }
  let written = true
  for (const piece of [2 ** 20, 4096])
    for (written = true; written; ) await file.write(Buffer.alloc(piece)).then(undefined, full)
  await pause(FULL_MILLIS * unit())
  await rm(path)
}

async function disturbed() {
  await using deployment = await Deployment.open({ ...FEDERATION, state })
  const receipts = new Receipts(deployment)
  const played: Harmed[] = []
  let held = 0
  for (let seed = first as number; seed < (first as number) + (count as number); seed++) {
    const risks = { others: [{ name: 'disk full', likely: 1, befall: fill }] }
    const name = `full disk ${seed}`
    const one = await play(deployment, orderOf(name), {
      seed,
      risks,
      meanMillis: BETWEEN_MILLIS,
      crashesMax: 0,
      pauseMillis: 0,
    })
    held += receipts.check(one.account)
    played.push({ ...one, name, harmless: false })
  }
  await deployment.close()
  await using log = openSqliteLog({ file: join(state, 'log.sqlite') })
  await checkLedger(
    log,
    played.map(({ account }) => account),
  )
  return { played, held }
}

const { played, held } = await disturbed()
await using calm = await Deployment.open(FEDERATION)
const compared = await compare(calm, played)
process.stdout.write(`${JSON.stringify(figures(played, { receipts: held, compared }))}\n`)
