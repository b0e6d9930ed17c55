import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { noOpRun } from './no-op.ts'
import type { Report } from './report.ts'

/** `CONSILIUM_LINKS` for a smaller machine, or a smaller limit of open files. */
const LINKS = Number(process.env['CONSILIUM_LINKS'] ?? 10_000)
/** A node may have a connection for blocks beside its link, and a process may have 20,000 files open or fewer. */
const LINKS_A_PROCESS = 2500
const IDLE_SECONDS = 30
const CHURN = { perSecond: 100, seconds: 10 }
const COHORT = 100
const PARAMETERS = 16

/**
 * What many idle nodes cost one coordinator, beside bare socket.io with the same settings in the same run: memory and time
 * to connect, heartbeats, nodes that come and go; and a small round over them. Server and nodes are processes of their own.
 */
export async function bench(): Promise<Report> {
  const bare = await measure('bare')
  const ours = await measure('coordinator')
  const row = (what: string, of: (cost: Cost) => number, digits: number) => [
    ...[what, of(bare).toFixed(digits), of(ours).toFixed(digits), (of(ours) / of(bare)).toFixed(2)],
  ]
  return {
    bench: 'concurrency',
    notes: [
      `${LINKS} links from processes of ${LINKS_A_PROCESS} on loopback; heartbeats over ${IDLE_SECONDS} s; churn of ${CHURN.perSecond} links a second for ${CHURN.seconds} s.`,
      'The coordinator checks a signature for each link and signs one; bare socket.io does neither.',
      `Round: all are invited, ${COHORT} are seated, ${PARAMETERS} parameters, no training.`,
    ],
    tables: [
      {
        title: 'Links',
        columns: ['', 'bare socket.io', 'coordinator', 'ratio'],
        rows: [
          row('resident KB a link', ({ residentBytes }) => residentBytes / LINKS / 1024, 1),
          row('held KB a link, after collection', ({ heldBytes }) => heldBytes / LINKS / 1024, 1),
          row('seconds to connect', ({ connectSeconds }) => connectSeconds, 1),
          row('server CPU ms a link', ({ connectCpuMillis }) => connectCpuMillis / LINKS, 2),
          row('heartbeats, % of a core', ({ idleShare }) => 100 * idleShare, 2),
          row('churn, % of a core', ({ churnShare }) => 100 * churnShare, 1),
        ],
      },
      {
        title: 'A round over them',
        columns: ['linked', 'seated', 'seconds from launch to model'],
        rows: [[LINKS, COHORT, ours.roundSeconds?.toFixed(1) ?? '']],
      },
    ],
  }
}

type Usage = { readonly rss: number; readonly heldBytes: number; readonly cpuMillis: number }
type Cost = {
  readonly residentBytes: number
  readonly heldBytes: number
  readonly connectSeconds: number
  readonly connectCpuMillis: number
  readonly idleShare: number
  readonly churnShare: number
  readonly roundSeconds: number | undefined
}

async function measure(kind: 'bare' | 'coordinator'): Promise<Cost> {
  const server = start('concurrency-server.ts', [kind], ['--expose-gc'])
  const { url, id, keyFile } = (await answer(server)) as { url: string; id: string; keyFile: string }
  const usage = async () => {
    server.send('usage')
    return (await answer(server)) as Usage
  }
  const before = await usage()
  const started = performance.now()
  const nodes: ChildProcess[] = []
  for (let first = 0; first < LINKS; first += LINKS_A_PROCESS) {
    const count = Math.min(LINKS_A_PROCESS, LINKS - first)
    nodes.push(start('concurrency-nodes.ts', [url, id, String(first), String(count)], []))
  }
  const all = () => Promise.all(nodes.map(answer))
  try {
    await all()
    const connectSeconds = (performance.now() - started) / 1000
    const linked = await usage()
    await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000))
    const idle = await usage()
    const roundSeconds = kind === 'coordinator' ? await round(url, keyFile) : undefined
    const quiet = await usage()
    for (const some of nodes) some.send({ ...CHURN, perSecond: CHURN.perSecond / nodes.length })
    await all()
    const churned = await usage()
    return {
      residentBytes: linked.rss - before.rss,
      heldBytes: linked.heldBytes - before.heldBytes,
      connectSeconds,
      connectCpuMillis: linked.cpuMillis - before.cpuMillis,
      idleShare: (idle.cpuMillis - linked.cpuMillis) / (IDLE_SECONDS * 1000),
      churnShare: (churned.cpuMillis - quiet.cpuMillis) / (CHURN.seconds * 1000),
      roundSeconds,
    }
  } finally {
    for (const some of nodes) some.disconnect()
    await Promise.all(nodes.map((some) => once(some, 'exit')))
    server.disconnect()
  }
}

async function round(url: string, keyFile: string): Promise<number> {
  const authorization = `Bearer ${await readFile(keyFile, 'utf8')}`
  const started = performance.now()
  const cohort = { min: COHORT, max: COHORT, quorum: COHORT - COHORT / 10 }
  const launched = await fetch(`${url}/v1/runs`, {
    method: 'POST',
    // All of them answer from one process: here nobody is given up for that.
    body: JSON.stringify({
      ...{ ...noOpRun(PARAMETERS), rounds: 1, masking: 'none', budget: '1000000', cohort },
      timing: { selectionMillis: 600_000 },
    }),
    headers: { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID(), authorization },
  })
  if (!launched.ok) throw new Error(await launched.text())
  const { id } = (await launched.json()) as { id: string }
  const events = await fetch(`${url}/v1/runs/${id}/events`, { headers: { accept: 'text/event-stream', authorization } })
  let heard = ''
  for await (const chunk of events.body ?? []) {
    heard += new TextDecoder().decode(chunk)
    if (heard.includes('event: round.completed')) return (performance.now() - started) / 1000
    if (heard.includes('event: round.aborted')) throw new Error(heard.slice(-500))
  }
  throw new Error(`the round did not close: ${heard.slice(-500)}`)
}

function start(file: string, args: readonly string[], execArgv: readonly string[]): ChildProcess {
  return fork(fileURLToPath(new URL(`./${file}`, import.meta.url)), args, {
    execArgv: [...process.execArgv, ...execArgv],
  })
}

async function answer(child: ChildProcess): Promise<unknown> {
  const gone = new AbortController()
  const exit = () => gone.abort(new Error('a process of the benchmark ended'))
  child.once('exit', exit)
  try {
    const [message] = await once(child, 'message', { signal: gone.signal })
    return message
  } finally {
    child.off('exit', exit)
  }
}
