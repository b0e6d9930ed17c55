import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { chromiumPath } from '#test/chromium.ts'
import { noOpRun } from './no-op.ts'
import { openPageLoads } from './page-load.ts'
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
    const { page } = served
    const round = await firstRound(folder)
    const waited = [
      ['node -e 0', bare],
      ['consilium --help', help],
      ['consilium version', version],
      ['consilium complete -- runs', complete],
      ['coordinator up, to the first answer of /healthz', served.answersMillis],
      ['demo, to the first round that has closed', round],
      ...(page
        ? ([
            ['the dashboard, to its first paint in Chromium', page.paintMillis],
            ['the dashboard, until it has loaded', page.loadMillis],
          ] as const)
        : []),
    ] as const
    return {
      bench: 'first-minute',
      notes: [
        `Processes of their own, with Node's cache of compiled code; the median of ${TIMES}, of one coordinator and one demo.`,
        'Event to line: from the time of an event to its line of runs watch --json, the median of a run.',
        page
          ? 'Each page in a browser context of its own, nothing cached. Event to pixel: until the frame after the one in which its row came.'
          : 'No Chromium: nothing is said of the dashboard.',
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
            ...(page
              ? [
                  ['event to pixel, ms', page.pixelMillis.toFixed(1)],
                  ['the dashboard with its first files, on the line, bytes', page.transferredBytes],
                ]
              : []),
          ],
        },
      ],
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function median(measure: () => Promise<number>): Promise<number> {
  return middle(await each(measure))
}

async function each<T>(measure: () => Promise<T>): Promise<readonly T[]> {
  const found: T[] = []
  // The first one fills the caches.
  for (let time = 0; time <= TIMES; time++) found.push(await measure())
  return found.slice(1)
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
  const key = (await readFile(join(state, 'api-key'), 'utf8')).trim()
  return { answersMillis, lineMillis: middle(late), page: await ofPage({ url, key, order }) }
}

type Served = { readonly url: string; readonly key: string; readonly order: object }

/** The dashboard in a browser, where there is one: how soon it shows something, and how soon what happens. */
async function ofPage({ url, key, order }: Served) {
  const chromium = chromiumPath()
  if (!chromium) return undefined
  await using pages = await openPageLoads(chromium)
  const loads = await each(() => pages.load(url))
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const launched = await fetch(`${url}/v1/runs`, {
    method: 'POST',
    headers: { ...headers, 'idempotency-key': crypto.randomUUID() },
    body: JSON.stringify(order),
  })
  const { id } = (await launched.json()) as { readonly id: string }
  const painted = await pages.watch(`${url}/runs/${id}/logs#key=${key}`, 'run.failed')
  const { data } = (await (await fetch(`${url}/v1/runs/${id}/events?limit=1000`, { headers })).json()) as {
    readonly data: readonly { readonly seq: number; readonly time: string }[]
  }
  const times = new Map(data.map(({ seq, time }) => [seq, Date.parse(time)]))
  return {
    paintMillis: middle(loads.map(({ paintMillis }) => paintMillis)),
    loadMillis: middle(loads.map(({ loadMillis }) => loadMillis)),
    transferredBytes: middle(loads.map(({ transferredBytes }) => transferredBytes)),
    pixelMillis: middle(painted.map(([seq, at]) => at - (times.get(seq) ?? Number.NaN))),
  }
}

async function firstRound(folder: string): Promise<number> {
  const began = performance.now()
  await using demo = speaking(['demo', '--rounds', '1', '--folder', join(folder, 'demo')], folder)
  for (let read = await demo.lines.next(); !read.done; read = await demo.lines.next())
    if (JSON.parse(read.value).type === 'round.completed') return performance.now() - began
  return Number.NaN
}
