import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Owing, standingAfter } from '#coordinator/live.ts'
import { type Run, stepRun } from '#coordinator/run.ts'
import { encodeEvent, type RunEvent } from '#coordinator/run-events.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import { type Job, Runner } from '#coordinator/runner.ts'
import { encodeStanding } from '#coordinator/snapshot.ts'
import { sha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { type Bytes, type Cid, type NodeId, nodeIdOf, type RunId } from '#protocol/ids.ts'
import { LOG_APPEND_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import type { EventLog, Queue, Snapshots } from '#protocol/ports.ts'
import { systemClock } from '#storage/clock.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { openMemorySnapshots } from '#storage/snapshots/memory.ts'
import { openSqliteSnapshots } from '#storage/snapshots/sqlite.ts'
import type { Report } from './report.ts'

const LENGTHS = [1000, 10_000, 100_000, 1_000_000]
/** Nodes of a run, so that a million events are one run of just under the most rounds. */
const LONG_COHORT = 122
/** Events of one of many runs. */
const SHORT_EVENTS = 100
const SHORT_COHORT = 5
/** Runs, or appends, that share a sync while the log is made. */
const TOGETHER = 200
/** As the coordinator does. */
const SNAPSHOT_EVENTS = 256

/**
 * How long a coordinator takes from its log to its runs, as that grows: of one run that is open in the middle of a round,
 * and of many runs that have ended, with snapshots and without. The floor is reading the bytes that it reads.
 */
export async function bench(): Promise<Report> {
  const rows: (readonly (string | number)[])[] = []
  for (const shape of ['one', 'many'] as const)
    for (const length of LENGTHS) {
      const folder = await mkdtemp(join(tmpdir(), 'consilium-restart-'))
      try {
        await using log = openSqliteLog({ file: join(folder, 'log.sqlite') })
        await using snapshots = openSqliteSnapshots({ file: join(folder, 'snapshots.sqlite') })
        const runs = shape === 'one' ? 1 : length / SHORT_EVENTS
        const cohort = shape === 'one' ? LONG_COHORT : SHORT_COHORT
        for (let first = 0; first < runs; first += TOGETHER)
          await Promise.all(
            Array.from({ length: Math.min(TOGETHER, runs - first) }, (_, at) =>
              live({ log, snapshots }, { index: first + at, events: length / runs, cohort }),
            ),
          )
        rows.push(await measure(shape, length, runs, { log, snapshots }))
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    }
  return {
    bench: 'restart',
    notes: [
      `one: one open run of up to ${ROUNDS_MAX} rounds of ${LONG_COHORT} nodes, in the middle of a round; many: ended runs of ${SHORT_EVENTS} events each.`,
      'replay: without snapshots; floor: reading all bytes of the log. restart: with them; floor: reading the snapshots and the entries behind them.',
      'SQLite files that the system has in its cache. Heap: what all the runs hold once they are there.',
    ],
    tables: [
      {
        title: 'from log to runs',
        columns: ['shape', 'events', 'runs', 'replay ms', 'floor ms', 'restart ms', 'floor ms', 'heap MiB'],
        rows,
      },
    ],
  }
}

type Doors = { readonly log: EventLog; readonly snapshots: Snapshots }

async function measure(shape: string, events: number, runs: number, { log, snapshots }: Doors) {
  const replay = await recovered({ log, snapshots: openMemorySnapshots() })
  const all = await timed(async () => {
    for await (const stream of log.streams('run_')) for await (const _entry of log.read(stream));
  })
  const restart = await recovered({ log, snapshots })
  const kept = await timed(async () => {
    for await (const stream of log.streams('run_')) {
      const snapshot = await snapshots.latest(stream)
      if (shape === 'one') for await (const _entry of log.read(stream, snapshot?.position ?? 0));
    }
  })
  const millis = [replay.millis, all, restart.millis, kept].map((value) => value.toFixed(1))
  return [shape, events, runs, ...millis, (restart.heapBytes / 2 ** 20).toFixed(1)]
}

async function recovered(doors: Doors): Promise<{ readonly millis: number; readonly heapBytes: number }> {
  const idle: Queue<Job> = { push: async () => undefined, work: () => ({ async [Symbol.asyncDispose]() {} }) }
  const before = heap()
  await using runner = new Runner({ ...doors, queue: idle, clock: systemClock }, (cause) => {
    throw cause
  })
  const millis = await timed(() => runner.recover())
  return { millis, heapBytes: heap() - before }
}

function heap(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

async function timed(act: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await act()
  return performance.now() - began
}

type Life = { readonly index: number; readonly events: number; readonly cohort: number }

/** Writes a run's history, and its snapshots where the coordinator would. */
async function live({ log, snapshots }: Doors, { index, events, cohort }: Life): Promise<void> {
  const id = `run_${String(index).padStart(26, '0')}` as RunId
  const appends: Promise<string>[] = []
  let waiting: Bytes[] = []
  let written = 0
  let run: Run | undefined
  let owing: readonly Owing[] = []
  let kept = 0
  const flush = async () => {
    if (waiting.length > 0) appends.push(log.append(id, written, waiting))
    written += waiting.length
    waiting = []
    if (appends.length % TOGETHER === 0) await Promise.all(appends)
  }
  for (const event of history(specOf(id, cohort, events), cohort)) {
    const position = written + waiting.length
    // The last entries of a run that goes on are the middle of a round.
    if (cohort === LONG_COHORT && position >= events) break
    const next = stepRun(run, event)
    assert(next.ok, `the history holds: ${next.ok || next.refusal}`)
    const standing = standingAfter(owing, next.value, position)
    run = standing.run
    owing = standing.owing
    waiting.push(encodeEvent(event))
    if (waiting.length === LOG_APPEND_MAX) await flush()
    if (run.round || (run.phase !== 'ended' && position + 1 - kept < SNAPSHOT_EVENTS)) continue
    kept = position + 1
    const state = encodeStanding(standing)
    if (state) await snapshots.keep(id, { position: kept, state })
  }
  await flush()
  for (const answer of await Promise.all(appends)) assert(answer === 'appended', 'it is written once')
}

const NODES: readonly NodeId[] = Array.from({ length: LONG_COHORT }, (_, at) => nodeIdOf(sha256(utf8(`node ${at}`))))
const cid = (name: string): Cid => cidOf(RAW, utf8(name))

function specOf(run: RunId, cohort: number, events: number): RunSpec {
  const eventsOfRound = 2 * cohort + 3
  const planned = Math.min(ROUNDS_MAX - 1, Math.max(1, Math.floor((events - 3) / eventsOfRound) - 1))
  const hour = 3_600_000
  return {
    ...{ run, purpose: 'train', task: cid('task'), taskSeed: new Uint8Array(32), genesis: cid('genesis') },
    ...{ memory: cid('memory'), planned, budget: 1000n, population: 'open', masking: 'none', secure: null },
    cohort: { min: cohort, max: cohort, quorum: 2, operatorSeatsMax: 1, paced: false },
    timing: {
      ...{ selectionMillis: hour, keysMillis: hour, reportingMillis: hour, consistencyMillis: hour },
      ...{ unmaskingMillis: hour, aggregationMillis: hour, settlementMillis: hour },
      ...{ stragglerMillis: null, learned: false },
    },
    ...{ federation: null, failuresMax: 3, onFailures: 'end', idempotency: null },
  }
}

/** A run in which everybody does what is due. */
function* history(spec: RunSpec, cohort: number): Iterable<RunEvent> {
  const at = systemClock.now()
  yield { kind: 'created', at, spec }
  yield { kind: 'held', at }
  for (let round = 1; round <= spec.planned + 1; round++) {
    const here = { at, round }
    const evaluates = round > spec.planned
    yield { kind: 'opened', ...here, plan: cid(`plan ${round}`), invited: cohort }
    for (const node of NODES.slice(0, cohort)) yield { kind: 'joined', ...here, node, operator: null, advert: null }
    for (const node of NODES.slice(0, cohort)) {
      const update = cid(`${node} ${round}`)
      yield { kind: 'reported', ...here, node, update, vector: update, trainMillis: 10 }
    }
    const model = evaluates ? cid(`model ${round - 1}`) : cid(`model ${round}`)
    const made = { manifest: cid(`manifest ${round}`), model, memory: cid('memory'), reports: cohort }
    yield { kind: 'aggregated', ...here, ...made, evaluation: { rows: 1, correct: 1, lossQ16: 1 } }
    yield { kind: 'settled', ...here, receipts: evaluates ? null : cid(`receipts ${round}`) }
  }
  yield { kind: 'finished', at, manifest: cid('run'), paid: spec.budget, released: 0n, reason: null }
}
