import type { RoundEvent } from '#coordinator/round/events.ts'
import type { RunSpec } from '#coordinator/run-spec.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { type Cid, type NodeId, nodeIdOf, type RunId } from '#protocol/ids.ts'
import { SESSION_MEMBERS_MAX } from '#protocol/limits.ts'
import { cohortOf } from '#test/cohort.ts'

/** Ids that look like the real ones and are told apart at a glance. */
export const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId

const known = new Map<string, Cid>()

export function cid(name: string): Cid {
  const made = known.get(name) ?? cidOf(RAW, utf8(name))
  known.set(name, made)
  return made
}

/** Ascending, so that node(i) of n has seat i when the first n are seated. */
export const NODES: readonly NodeId[] = Array.from({ length: SESSION_MEMBERS_MAX + 2 }, (_, index) =>
  nodeIdOf(sha256(utf8(`node ${index}`))),
).sort()

export function node(index: number): NodeId {
  return NODES[index] as NodeId
}

export function specOf(change: Partial<RunSpec> = {}): RunSpec {
  return {
    run: RUN,
    purpose: 'train',
    task: cid('task'),
    taskSeed: new Uint8Array(32).fill(7),
    genesis: cid('genesis'),
    memory: cid('memory'),
    planned: 3,
    budget: 1000n,
    population: 'open',
    federation: null,
    masking: 'none',
    secure: null,
    cohort: cohortOf({ min: 3, max: 4, quorum: 2 }),
    timing: {
      ...{ selectionMillis: 100, keysMillis: 100, reportingMillis: 1000, stragglerMillis: null, learned: true },
      ...{ consistencyMillis: 100, unmaskingMillis: 100, aggregationMillis: 200, settlementMillis: 200 },
    },
    failuresMax: 2,
    onFailures: 'end',
    idempotency: null,
    ...change,
  }
}

/** The same for masked rounds of a cohort of n. */
export function maskedSpecOf(n: number, corrupt = 1, change: Partial<RunSpec> = {}): RunSpec {
  return specOf({
    masking: 'secagg/1',
    secure: { suite: 2, corrupt, publish: 'full' },
    cohort: cohortOf({ min: n, max: n, quorum: 2 }),
    ...change,
  })
}

export const EVALUATION = { rows: 10, correct: 9, lossQ16: 65_536 }

/** An event, apart from when it comes and of which round it is. */
export type Happening = RoundEvent extends infer E ? (E extends RoundEvent ? Omit<E, 'at' | 'round'> : never) : never

/** What nodes and effects report, in the plain and in the masked round. */
export const happens = {
  join: (index: number, advert: Cid | null = null): Happening => ({
    ...{ kind: 'joined', node: node(index), operator: null, advert },
  }),
  report: (index: number): Happening => ({
    ...{ kind: 'reported', node: node(index), update: cid(`update ${index}`), vector: cid(`vector ${index}`) },
    trainMillis: 5,
  }),
  leave: (index: number): Happening => ({ kind: 'left', node: node(index), reason: 'link-lost' }),
  enrol: (): Happening => ({ kind: 'enrolled', roster: cid('roster') }),
  deal: (index: number): Happening => ({
    ...{ kind: 'dealt', node: node(index), keys: cid(`keys ${index}`), parcel: cid(`parcel ${index}`) },
  }),
  share: (out: readonly number[] = []): Happening => ({
    ...{ kind: 'shared', shared: cid(`shared without ${out}`), parcels: cid('parcels'), out },
  }),
  agree: (index: number): Happening => ({ kind: 'agreed', node: node(index) }),
  object: (index: number): Happening => ({ kind: 'objected', node: node(index), complaints: cid(`by ${index}`) }),
  survey: (): Happening => ({ kind: 'surveyed', survivors: cid('survivors') }),
  confirm: (index: number): Happening => ({ kind: 'confirmed', node: node(index), confirm: cid(`confirm ${index}`) }),
  certify: (): Happening => ({ kind: 'certified', certificate: cid('certificate') }),
  unmask: (index: number): Happening => ({ kind: 'unmasked', node: node(index), unmask: cid(`unmask ${index}`) }),
  abandon: (index: number, confirmed = false): Happening => ({
    ...{ kind: 'abandoned', node: node(index), abandon: cid(`abandon ${index}`), confirmed },
  }),
  aggregate: (reports = 4): Happening => ({
    ...{ kind: 'aggregated', manifest: cid('manifest'), model: cid('model'), memory: cid('memory') },
    ...{ evaluation: EVALUATION, reports },
  }),
  spoil: (reason = 'sum-bad-header'): Happening => ({ kind: 'spoiled', reason }),
  settle: (): Happening => ({ kind: 'settled', receipts: cid('receipts') }),
  tick: (): Happening => ({ kind: 'ticked' }),
} as const
