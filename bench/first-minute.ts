import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { noOpRun } from './no-op.ts'
import type { Report } from './report.ts'

const BIN = join(import.meta.dirname, '../cli/bin.js')
const TIMES = 7
/** Rounds to which nobody comes: each is a few events, as soon as its selection is over. */
const ROUNDS = 10

/** What somebody waits for who has just come: each beside the start of Node itself, in the same minute on the same machine. */
export async function bench(): Promise<Report> {
  const folder = await mkdtemp(join(tmpdir(), 'consilium-first-minute-'))
  try {
    const bare = await median(() => timeOf(['-e', '0']))
    const help = await median(() => timeOf([BIN, '--help']))
    const version = await median(() => timeOf([BIN, 'version']))
    const complete = await median(() => timeOf([BIN, 'complete', '--', 'runs', '']))
    const served = await ofCoordinator(folder)
    const round = await firstRound(folder)
    const waited = [
      ['node -e 0', bare],
      ['consilium --help', help],
      ['consilium version', version],
      ['consilium complete -- runs', complete],
      ['coordinator up, to the first answer of /healthz', served.answersMillis],
      ['demo, to the first round that has closed', round],
    ] as const
    return {
      bench: 'first-minute',
      notes: [
        `Processes of their own, with Node's cache of compiled code; the median of ${TIMES}, of one coordinator and one demo.`,
        'Event to line: from the time of an event to its line of runs watch --json, the median of a run.',
      ],
      tables: [
        {
          title: 'what is waited for',
          columns: ['what', 'ms', 'times node -e 0'],
          rows: waited.map(([what, millis]) => [what, millis.toFixed(0), (millis / bare).toFixed(1)]),
        },
        {
          title: 'what comes after',
          columns: ['what', 'figure'],
          rows: [
            ['event to line, ms', served.lineMillis.toFixed(1)],
            ['the page at / with its files, compressed, bytes', served.pageBytes],
          ],
        },
      ],
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function median(measure: () => Promise<number>): Promise<number> {
  const found: number[] = []
  // The first one fills the caches.
  for (let time = 0; time <= TIMES; time++) found.push(await measure())
  return middle(found.slice(1))
}

function middle(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[values.length >> 1] ?? Number.NaN
}

async function timeOf(args: readonly string[]): Promise<number> {
  const began = performance.now()
  await once(spawn(process.execPath, [...args], { stdio: 'ignore' }), 'exit')
  return performance.now() - began
}

/** A command that says lines, ended when it is let go. */
function speaking(args: readonly string[], cwd: string): AsyncDisposable & { readonly lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, [BIN, ...args, '--json'], { cwd, stdio: ['pipe', 'pipe', 'ignore'] })
  return {
    lines: createInterface(child.stdout)[Symbol.asyncIterator](),
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      child.kill('SIGTERM')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}

async function ofCoordinator(folder: string) {
  const state = join(folder, 'state')
  const began = performance.now()
  await using up = speaking(['coordinator', 'up', '--open', '--tethered', '--port', '0', '--state', state], folder)
  const { url } = JSON.parse((await up.lines.next()).value)
  await fetch(`${url}/healthz`)
  const answersMillis = performance.now() - began
  const pageBytes = await pageOf(url)
  const timing = { selectionMillis: 100 }
  const cohort = { min: 2, max: 2, quorum: 2 }
  const order = { ...noOpRun(10), rounds: 1, cohort, timing, failuresMax: ROUNDS, onFailures: 'end' }
  const task = join(folder, 'task.json')
  await writeFile(task, JSON.stringify(order))
  await using watch = speaking(['run', task, '--watch', '--coordinator', url, '--state', state], folder)
  const late: number[] = []
  for (let read = await watch.lines.next(); !read.done; read = await watch.lines.next()) {
    const now = Date.now()
    const { type, time } = JSON.parse(read.value)
    if (type === 'round.aborted') late.push(now - Date.parse(time))
  }
  return { answersMillis, pageBytes, lineMillis: middle(late) }
}

/** All that a browser fetches before it shows something. */
async function pageOf(url: string): Promise<number> {
  const get = async (path: string) => {
    const response = await fetch(new URL(path, url), { headers: { 'accept-encoding': 'gzip' } })
    const text = await response.text()
    return { text, bytes: Number(response.headers.get('content-length') ?? text.length) }
  }
  const { text, bytes } = await get('/')
  let sum = bytes
  for (const [, path] of text.matchAll(/(?:src|href)="([^"#:]+)"/g)) sum += (await get(path ?? '')).bytes
  return sum
}

async function firstRound(folder: string): Promise<number> {
  const began = performance.now()
  await using demo = speaking(['demo', '--rounds', '1', '--folder', join(folder, 'demo')], folder)
  for (let read = await demo.lines.next(); !read.done; read = await demo.lines.next())
    if (JSON.parse(read.value).type === 'round.completed') return performance.now() - began
  return Number.NaN
}
