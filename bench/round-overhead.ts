import { type ChildProcess, fork } from 'node:child_process'
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startCoordinator } from '#coordinator/main.ts'
import { verify } from '#crypto'
import { signerOf } from '#protocol/envelope.ts'
import { publicKeyOf } from '#protocol/ids.ts'
import type { Masking } from '#protocol/plan.ts'
import { noOpRun } from './no-op.ts'
import type { Report, Table } from './report.ts'

const ROUNDS = 30
/** Of masked rounds: each is several round trips. */
const MASKED_ROUNDS = 10
/** A hundred nodes that share two cores do not answer in time: here nobody is given up for that. */
const GRACE_MILLIS = 120_000
const PARAMETERS = 1001

/**
 * What a round costs beyond training: no-op nodes in processes of their own, on loopback, with signatures, durable log,
 * durable blobs and pay on. Beside it the floor of the same minute: the signature checks and the synced writes that a
 * round cannot do without.
 */
export async function bench(): Promise<Report> {
  const rows: Table['rows'][number][] = []
  const [checkMillis, syncMillis] = [signatureCheckMillis(), syncedWriteMillis()]
  const shapes = [
    ...[2, 10, 100].map((nodes) => ({ nodes, masking: 'none', rounds: ROUNDS }) as const),
    { nodes: 1000, masking: 'none', rounds: MASKED_ROUNDS } as const,
    ...[10, 40, 100].map((nodes) => ({ nodes, masking: 'secagg/1', rounds: nodes > 40 ? 2 : MASKED_ROUNDS }) as const),
  ]
  for (const shape of shapes) rows.push(await measure(shape, checkMillis, syncMillis))
  return {
    bench: 'round-overhead',
    notes: [
      `${ROUNDS} rounds (of 1,000 nodes, and masked: ${MASKED_ROUNDS}; masked, of 100 nodes 2) of no-op training of ${PARAMETERS} parameters; a node's whole path: plan, model, vector upload, report, receipt.`,
      `One signature check takes ${checkMillis.toFixed(3)} ms, one synced write of 4 KiB ${syncMillis.toFixed(3)} ms here.`,
      'floor of a plain round: (2 checks a node) ÷ cores + the synced writes that must follow one another (6 of the log, 3 of the blobs).',
      'floor of a masked round: four checks that each member and the coordinator make of every member (advert, keys, input, confirmation) ÷ cores + 15 such writes. Suite 2, nobody lost, all processes on these cores.',
    ],
    tables: [
      {
        title: 'Round overhead',
        columns: [
          'nodes',
          'masking',
          'p50 ms',
          'p99 ms',
          'floor ms',
          'p50 ÷ floor',
          'first 10 p50 ms',
          'last 10 p50 ms',
        ],
        rows,
      },
    ],
  }
}

type Shape = { readonly nodes: number; readonly masking: Masking; readonly rounds: number }

async function measure({ nodes, masking, rounds }: Shape, checkMillis: number, syncMillis: number) {
  const state = mkdtempSync(join(tmpdir(), 'consilium-bench-'))
  const coordinator = await startCoordinator({
    ...{ state, host: '127.0.0.1', port: 0, tls: undefined, admits: 'open', graceMillis: GRACE_MILLIS },
    ...{ quotaBytes: 2 ** 32, logLevel: 'error', version: 'bench', fatal: console.error },
  })
  const processes = Math.min(nodes, 4)
  const children: ChildProcess[] = []
  try {
    for (let index = 0; index < processes; index++) {
      const [first, next] = [index, index + 1].map((at) => Math.floor((at * nodes) / processes)) as [number, number]
      const args = [coordinator.url, coordinator.id, String(first), String(next - first)]
      children.push(fork(fileURLToPath(new URL('./round-overhead-nodes.ts', import.meta.url)), args))
    }
    const key = await readFile(coordinator.apiKeyFile, 'utf8')
    const api = (path: string, init: RequestInit = {}) =>
      fetch(`${coordinator.url}${path}`, { ...init, headers: { authorization: `Bearer ${key}`, ...init.headers } })
    await allLinked(api, nodes)
    const launched = await api('/v1/runs', {
      method: 'POST',
      body: JSON.stringify(runOf({ nodes, masking, rounds })),
      headers: { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() },
    })
    if (!launched.ok) throw new Error(await launched.text())
    const { id } = (await launched.json()) as { id: string }
    const stream = await api(`/v1/runs/${id}/events`, { headers: { accept: 'text/event-stream' } })
    const events = (await stream.text())
      .split('\n')
      .filter((line) => line.startsWith('data: '))
      .map(
        (line) => JSON.parse(line.slice(6)) as { type: string; purpose?: string; overhead_ms: number; reports: number },
      )
    const took = events
      .filter(({ type, purpose }) => type === 'round.completed' && purpose === 'train')
      .map(({ overhead_ms }) => overhead_ms)
    if (took.length !== rounds) {
      const reasons = events.flatMap((event) => ('reason' in event ? [`${event.type} ${event.reason}`] : []))
      throw new Error(`${took.length} of ${rounds} rounds closed: ${reasons.slice(0, 5).join('; ')}`)
    }
    const [checks, syncs] = masking === 'none' ? [2 * nodes, 9] : [4 * nodes * (nodes + 1), 15]
    const floor = (checks * checkMillis) / Math.min(2, availableParallelism()) + syncs * syncMillis
    const p50 = quantile(took, 0.5)
    return [
      ...[nodes, masking, p50, quantile(took, 0.99), floor.toFixed(1), (p50 / floor).toFixed(1)],
      ...[quantile(took.slice(0, 10), 0.5), quantile(took.slice(-10), 0.5)],
    ]
  } finally {
    for (const child of children) child.disconnect()
    await coordinator[Symbol.asyncDispose]()
    rmSync(state, { recursive: true, force: true })
  }
}

/** Polls because a link has no other witness; it is over before anything is measured. */
async function allLinked(api: (path: string) => Promise<Response>, nodes: number): Promise<void> {
  for (;;) {
    const { data } = (await (await api('/v1/nodes')).json()) as { data: unknown[] }
    if (data.length === nodes) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function runOf({ nodes, masking, rounds }: Shape): object {
  return {
    ...noOpRun(PARAMETERS),
    ...{ rounds, masking, budget: '1000000', cohort: { min: nodes, max: nodes, quorum: nodes } },
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

function signatureCheckMillis(): number {
  const signer = signerOf(new Uint8Array(32).fill(1))
  const body = new Uint8Array(200)
  const { signature } = signer.sign('bench', body)
  const key = publicKeyOf(signer.id)
  return bestOf(5, 200, () => verify(key, body, signature))
}

function syncedWriteMillis(): number {
  const folder = mkdtempSync(join(tmpdir(), 'consilium-bench-'))
  const file = openSync(join(folder, 'file'), 'w')
  const page = new Uint8Array(4096)
  const took = bestOf(5, 20, () => {
    writeSync(file, page)
    fsyncSync(file)
  })
  closeSync(file)
  rmSync(folder, { recursive: true })
  return took
}

function bestOf(repeats: number, times: number, act: () => void): number {
  let best = Number.POSITIVE_INFINITY
  for (let repeat = 0; repeat < repeats; repeat++) {
    const started = performance.now()
    for (let index = 0; index < times; index++) act()
    best = Math.min(best, (performance.now() - started) / times)
  }
  return best
}
