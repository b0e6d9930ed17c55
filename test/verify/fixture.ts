import type { z } from 'zod'
import type { Architecture } from '#protocol/architecture.ts'
import type { Signed, Signer } from '#protocol/envelope.ts'
import type { Amount, Bytes, Cid, Round, Seat } from '#protocol/ids.ts'
import {
  type AbortedManifest,
  type Evaluation,
  type RoundRecord,
  type RunManifest,
  receiptListSchema,
  type updateSchema,
} from '#protocol/manifest.ts'
import type { Plan, Secure } from '#protocol/plan.ts'
import type { Receipt } from '#protocol/receipt.ts'
import type { Selection } from '#protocol/selection.ts'
import type { Task } from '#protocol/task.ts'
import type { Absent } from '#test/secagg/play.ts'
import type { Fate, MaskedHooks } from './masked.ts'
import { type Play, prepare, RUN, say } from './prepared.ts'
import { playAborted, playRound } from './rounds.ts'
import { fileUnder } from './store.ts'

/**
 * A small coordinator and its nodes, written from the specification and apart from coordinator/ and the verifier: it sums
 * doubles, dequantises and divides the budget by itself. Each hook changes what is said before it is signed, so that all
 * that comes after follows from the lie: a record that is consistent but for one thing.
 */
export async function recordRun(shape: Shape = {}): Promise<RecordedRun> {
  const play = await prepare(shape)
  const { planned, coordinator, nodes, budget, hooks } = play
  const rounds: RunManifest['rounds'][number][] = []
  let at = play.start
  let evaluation: Evaluation | null = null
  let paid = 0n
  for (let round = 1; evaluation === null && round <= (shape.until ?? Number.POSITIVE_INFINITY); round++) {
    const isAborted = shape.fates?.[round] !== undefined || shape.aborted?.[round] !== undefined
    const closed = isAborted ? undefined : await playRound(play, at, round, shape)
    const aborted = isAborted ? await playAborted(play, at, round, shape) : null
    const trains = at.trained < planned
    const sealed = closed && trains ? await payOut(play, closed.manifest, closed.sealed, at.trained) : []
    const list = hooks.receipts ? hooks.receipts(sealed, round) : sealed.length > 0 ? sealed : null
    const receipts = list && (await play.store.block(receiptListSchema, list))
    rounds.push({ round, manifest: closed?.sealed ?? null, aborted, receipts })
    if (!closed) continue
    if (trains) paid += evenly(budget, planned, at.trained)
    else evaluation = closed.manifest.evaluation
    at = closed.end
    play.endings.length = 0
  }
  const honest: RunManifest = {
    v: 1,
    run: RUN,
    coordinator: coordinator.id,
    population: 'open',
    masking: play.secure ? 'secagg/1' : 'none',
    task: play.taskCid,
    planned,
    rounds,
    ...outcomeOf(evaluation !== null, rounds.at(-1)?.manifest === null),
    model: at.model,
    evaluation,
    budget,
    paid,
    released: budget - paid,
  }
  const manifest = hooks.run?.(honest) ?? honest
  const root = await say(play, coordinator, 'run', manifest, {})
  const { blocks } = play.store
  return {
    root,
    coordinator,
    nodes: nodes.map(({ signer }) => signer),
    manifest,
    blocks,
    hidden: play.hidden,
    secrets: play.secrets,
    file: () => fileUnder(root, blocks),
  }
}

export type Shape = {
  /** One character, which makes all keys. */
  readonly seed?: string
  readonly nodes?: number
  readonly planned?: number
  readonly budget?: Amount
  readonly architecture?: Architecture
  /** The last round that is recorded; without it all are. */
  readonly until?: Round
  /** Rounds that are aborted, and how far each of them got. */
  readonly aborted?: Readonly<Record<Round, 'selection' | 'reporting' | 'aggregation'>>
  /** Seats that do not report, by round. */
  readonly absent?: Readonly<Record<Round, readonly Seat[]>>
  /** How the run is masked; and then: members, from 1, that are lost in a round, and aborted rounds by how their session ended. */
  readonly secure?: Secure
  readonly losses?: Readonly<Record<Round, Absent>>
  readonly fates?: Readonly<Record<Round, Fate>>
  readonly hooks?: Hooks
}

export type Hooks = MaskedHooks & {
  readonly task?: (task: Task) => Task
  readonly plan?: (plan: Plan) => Plan
  readonly report?: (report: ReportBody, at: At) => ReportBody
  readonly vector?: (lanes: Uint32Array, at: At) => Uint32Array
  /** What the vectors are said to add up to: the model and all else is made of that. */
  readonly sum?: (lanes: Uint32Array, round: Round) => Uint32Array
  readonly aggregate?: (lanes: Uint32Array, round: Round) => Uint32Array
  readonly selection?: (selection: Selection, round: Round) => Selection
  readonly manifest?: (manifest: RoundRecord) => RoundRecord
  readonly aborted?: (record: AbortedManifest) => AbortedManifest
  readonly receipt?: (receipt: Receipt, at: At) => Receipt
  readonly receipts?: (sealed: readonly Cid[], round: Round) => readonly Cid[] | null
  readonly run?: (run: RunManifest) => RunManifest
  /** Anything signed, before it is sealed. */
  readonly signed?: (signed: Signed, at: Partial<At>, signer: Signer) => Signed
}
export type At = { readonly round: Round; readonly seat: Seat }
export type ReportBody = z.output<typeof updateSchema>

export type RecordedRun = {
  readonly root: Cid
  readonly coordinator: Signer
  /** In seat order. */
  readonly nodes: readonly Signer[]
  readonly manifest: RunManifest
  readonly blocks: ReadonlyMap<Cid, Bytes>
  /** Masked vectors of which only hashes are public, by SHA-256. */
  readonly hidden: ReadonlyMap<string, Bytes>
  /** What must not be found in a record of masked rounds. */
  readonly secrets: readonly Bytes[]
  /** The bundle. */
  file(): Promise<Bytes>
}

/** A receipt for every report. */
async function payOut(
  play: Play,
  { round, seats }: RoundRecord,
  manifest: Cid,
  index: number,
): Promise<readonly Cid[]> {
  const part = evenly(play.budget, play.planned, index)
  const earners = seats.flatMap(({ node, update }, seat) => (update ? [{ node, update, seat }] : []))
  const sealed: Cid[] = []
  for (const [index, { node, update, seat }] of earners.entries()) {
    const amount = evenly(part, earners.length, index)
    const honest: Receipt = { v: 1, run: RUN, round, seat, node, update, manifest, amount }
    const at = { round, seat }
    sealed.push(await say(play, play.coordinator, 'receipt', play.hooks.receipt?.(honest, at) ?? honest, at))
  }
  return sealed
}

/** Who has not got to the end was stopped, unless the last that happened was a failure. */
function outcomeOf(isDone: boolean, hasFailed: boolean): Pick<RunManifest, 'outcome' | 'reason'> {
  if (isDone) return { outcome: 'completed', reason: null }
  return hasFailed ? { outcome: 'failed', reason: 'too many failures' } : { outcome: 'stopped', reason: 'enough' }
}

/** Equal parts of a whole, the odd units to the first ones. */
function evenly(whole: bigint, parts: number, index: number): bigint {
  return whole / BigInt(parts) + (BigInt(index) < whole % BigInt(parts) ? 1n : 0n)
}
