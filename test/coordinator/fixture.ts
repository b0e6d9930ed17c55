import type { RunSpec } from '#coordinator/run.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { type Cid, type NodeId, nodeIdOf, type RunId } from '#protocol/ids.ts'

/** Ids that look like the real ones and are told apart at a glance. */
export const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId

export function cid(name: string): Cid {
  return cidOf(RAW, utf8(name))
}

/** Ascending, so that node(i) of n has seat i when all n are seated. */
export const NODES: readonly NodeId[] = Array.from({ length: 32 }, (_, index) =>
  nodeIdOf(sha256(utf8(`node ${index}`))),
).sort()

export function node(index: number): NodeId {
  return NODES[index] as NodeId
}

export function specOf(change: Partial<RunSpec> = {}): RunSpec {
  return {
    run: RUN,
    task: cid('task'),
    taskSeed: new Uint8Array(32).fill(7),
    genesis: cid('genesis'),
    memory: cid('memory'),
    planned: 3,
    budget: 1000n,
    population: 'open',
    masking: 'none',
    cohort: { min: 3, max: 4, quorum: 2 },
    timing: { selectionMillis: 100, reportingMillis: 1000, aggregationMillis: 200, settlementMillis: 200 },
    failuresMax: 2,
    idempotency: null,
    ...change,
  }
}

export const EVALUATION = { rows: 10, correct: 9, lossQ16: 65_536 }
