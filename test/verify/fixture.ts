import type { z } from 'zod'
import { clip } from '#aggregation/clip.ts'
import { genesisWeights } from '#aggregation/genesis.ts'
import { evaluationRowsMax, quantise, quantiserFor } from '#aggregation/quantise.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { type Architecture, architectureSchema, shapeOf } from '#protocol/architecture.ts'
import { assert } from '#protocol/assert.ts'
import { encode } from '#protocol/codec.ts'
import { type Signed, type Signer, signerOf } from '#protocol/envelope.ts'
import type { Amount, Bytes, Cid, Round, RunId, Seat } from '#protocol/ids.ts'
import {
  type Evaluation,
  manifestTypes,
  modelSchema,
  type RoundManifest,
  type RunManifest,
  receiptListSchema,
  type updateSchema,
} from '#protocol/manifest.ts'
import type { Plan } from '#protocol/plan.ts'
import type { Receipt } from '#protocol/receipt.ts'
import type { Sealed, SealedType } from '#protocol/sealed.ts'
import { cohortSeed, demoSecret, quantiseSeed } from '#protocol/seeds.ts'
import { type Task, taskSchema } from '#protocol/task.ts'
import { fileUnder, Store } from './store.ts'
import { TINY, tinyTask } from './tiny.ts'

/**
 * A small coordinator and its nodes, written from the specification and apart from coordinator/ and the verifier: it sums
 * bigints, dequantises and divides the budget by itself. Each hook changes what is said before it is signed, so that all
 * that comes after follows from the lie: a record that is consistent but for one thing.
 */
export async function recordRun(shape: Shape = {}): Promise<RecordedRun> {
  const play = await prepare(shape)
  const { planned, coordinator, nodes, budget, hooks } = play
  const rounds: RunManifest['rounds'][number][] = []
  let at = play.start
  let evaluation: Evaluation | null = null
  let paid = 0n
  for (let round = 1; round <= planned + 1; round++) {
    const aborted = shape.aborted?.includes(round) ?? false
    const closed = aborted ? undefined : await playRound(play, at, round, shape.absent?.[round] ?? [])
    const sealed = closed && round <= planned ? await payOut(play, closed.manifest, closed.sealed) : []
    const list = hooks.receipts ? hooks.receipts(sealed, round) : sealed.length > 0 ? sealed : null
    const receipts = list && (await play.store.block(receiptListSchema, list))
    rounds.push({ round, manifest: closed?.sealed ?? null, receipts, reason: closed ? null : 'too-few-reports' })
    if (!closed) continue
    at = closed.end
    if (round <= planned) paid += evenly(budget, planned, round - 1)
    else evaluation = closed.manifest.evaluation
  }
  const trained = rounds.some(({ round, manifest }) => manifest !== null && round <= planned)
  const honest: RunManifest = {
    v: 1,
    run: RUN,
    coordinator: coordinator.id,
    population: 'open',
    masking: 'none',
    task: play.taskCid,
    planned,
    rounds,
    ...(trained ? { outcome: 'completed', reason: null } : { outcome: 'failed', reason: 'no training round closed' }),
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
  /** Rounds that are aborted. */
  readonly aborted?: readonly Round[]
  /** Seats that do not report, by round. */
  readonly absent?: Readonly<Record<Round, readonly Seat[]>>
  readonly hooks?: Hooks
}

export type Hooks = {
  readonly task?: (task: Task) => Task
  readonly plan?: (plan: Plan) => Plan
  readonly report?: (report: ReportBody, at: At) => ReportBody
  readonly vector?: (lanes: Uint32Array, at: At) => Uint32Array
  readonly aggregate?: (lanes: Uint32Array, round: Round) => Uint32Array
  readonly manifest?: (manifest: RoundManifest) => RoundManifest
  readonly receipt?: (receipt: Receipt, at: At) => Receipt
  readonly receipts?: (sealed: readonly Cid[], round: Round) => readonly Cid[] | null
  readonly run?: (run: RunManifest) => RunManifest
  /** Anything signed, before it is sealed. */
  readonly signed?: (signed: Signed, at: Partial<At>, signer: Signer) => Signed
}
type At = { readonly round: Round; readonly seat: Seat }
export type ReportBody = z.output<typeof updateSchema>

export type RecordedRun = {
  readonly root: Cid
  readonly coordinator: Signer
  /** In seat order. */
  readonly nodes: readonly Signer[]
  readonly manifest: RunManifest
  readonly blocks: ReadonlyMap<Cid, Bytes>
  /** The bundle. */
  file(): Promise<Bytes>
}

const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId

/** Everything that the rounds share. */
type Play = Awaited<ReturnType<typeof prepare>>
type Standing = { readonly weights: Float32Array; readonly model: Cid; readonly parent: Cid | null }

async function prepare(shape: Shape) {
  const { hooks = {}, planned = 2, budget = 1_000_001n, architecture = TINY, seed = '1' } = shape
  const store = new Store()
  const secretOf = (place: number) => demoSecret(new Uint8Array(32).fill(seed.charCodeAt(0)), place)
  const nodes = Array.from({ length: shape.nodes ?? 3 }, (_, index) => secretOf(index + 1))
    .map((secret) => ({ secret, signer: signerOf(secret) }))
    .toSorted((a, b) => (a.signer.id < b.signer.id ? -1 : 1))
  const inferred = shapeOf(architecture)
  assert(inferred.ok, 'the fixture has a sound architecture')
  const { parameters } = inferred.value
  const tensors = inferred.value.tensors.map(({ name, shape, role }) => ({ name, shape, role }))
  const architectureCid = await store.block(architectureSchema, architecture)
  const modelOf = async (weights: Float32Array) =>
    store.block(modelSchema, { architecture: architectureCid, tensors, weights: await store.file(weights) })

  const taskSeed = new Uint8Array(32).fill(9)
  const weights = genesisWeights(architecture, taskSeed)
  const genesis = await modelOf(weights)
  const honest = tinyTask(taskSeed, architectureCid, genesis)
  const task = hooks.task?.(honest) ?? honest
  const taskCid = await store.block(taskSchema, task)
  const start: Standing = { weights, model: genesis, parent: null }
  const coordinator = signerOf(secretOf(0))
  return { hooks, store, coordinator, nodes, planned, budget, parameters, modelOf, task, taskCid, start }
}

async function playRound(play: Play, start: Standing, round: Round, absent: readonly Seat[]) {
  const { hooks, store, coordinator, nodes, task } = play
  const trains = round <= play.planned
  const parameters = trains ? play.parameters : 0
  const plan = planOf(play, start, round)
  const planCid = await say(play, coordinator, 'plan', hooks.plan?.(plan) ?? plan, { round })

  const sum: bigint[] = []
  const seats: RoundManifest['seats'][number][] = []
  for (const [seat, { secret, signer }] of nodes.entries()) {
    const at = { round, seat }
    if (absent.includes(seat)) {
      seats.push({ node: signer.id, update: null, reason: 'left' })
      continue
    }
    const trained = train(task, plan, uint32Stream(quantiseSeed(secret, play.taskCid, round)), parameters, at)
    const lanes = hooks.vector?.(trained, at) ?? trained
    for (const [index, lane] of lanes.entries()) sum[index] = ((sum[index] ?? 0n) + BigInt(lane)) % 2n ** 32n
    const report: ReportBody = {
      to: coordinator.id,
      seq: round,
      run: RUN,
      ...at,
      plan: planCid,
      model: start.model,
      vector: await store.file(lanes),
      sizeBytes: lanes.byteLength,
      lanes: lanes.length,
      trainMillis: 5,
    }
    const update = await say(play, signer, 'report', hooks.report?.(report, at) ?? report, at)
    seats.push({ node: signer.id, update, reason: null })
  }

  const lanes = Uint32Array.from(sum.map(Number))
  const [rows, correct, high, low] = [...lanes.slice(8 + parameters)] as [number, number, number, number]
  const weights = trains ? start.weights.map((weight, index) => weight + step(task, plan, lanes, index)) : start.weights
  const honest: RoundManifest = {
    v: 1,
    run: RUN,
    round,
    purpose: plan.purpose,
    parent: start.parent,
    plan: planCid,
    seats,
    aggregate: await store.file(hooks.aggregate?.(lanes, round) ?? lanes),
    memory: await store.file(new Float32Array(0)),
    model: await play.modelOf(weights),
    evaluation: { rows, correct, lossQ16: high * 65_536 + low },
  }
  const manifest = hooks.manifest?.(honest) ?? honest
  const sealed = await say(play, coordinator, 'round', manifest, { round })
  return { manifest: honest, sealed, end: { weights, model: honest.model, parent: sealed } }
}

function planOf({ task, taskCid, nodes, planned }: Play, start: Standing, round: Round): Plan {
  const max = nodes.length
  const { clipNormMicro, data } = task
  return {
    v: 1,
    run: RUN,
    round,
    purpose: round <= planned ? 'train' : 'evaluate',
    population: 'open',
    masking: 'none',
    task: taskCid,
    model: start.model,
    parent: start.parent,
    cohortSeed: cohortSeed(task.seed, start.model, round),
    cohort: { min: 2, max, quorum: 2 },
    quantiser: quantiserFor({ clipNormMicro, rowsMax: data.rowsMax, cohortMax: max }),
    timing: { selectionMillis: 1000, reportingMillis: 2000, aggregationMillis: 3000, settlementMillis: 4000 },
  }
}

/** What a node would have learned: any delta will do. */
function train(
  task: Task,
  { quantiser }: Plan,
  rng: () => number,
  parameters: number,
  { round, seat }: At,
): Uint32Array {
  const learned = Float32Array.from({ length: parameters }, () => rng() / 2 ** 31 - 1)
  const rows = Math.min(20 + seat + round, evaluationRowsMax(quantiser))
  const lanes = quantise(
    {
      delta: clip(learned, task.clipNormMicro / 1e6),
      weight: Math.min(80 + seat, task.data.rowsMax),
      evaluation: { rows, correct: rows - 10 + round, lossSumNats: rows * 0.6 },
    },
    quantiser,
    rng,
  )
  assert(lanes.ok, 'the fixture has a sound update')
  return lanes.value
}

/** How far one weight moves, from docs/protocol.md, "The vector", in its order of operations. */
function step(task: Task, { quantiser }: Plan, lanes: Uint32Array, index: number): number {
  const [weight, reports, lane] = [lanes[0], lanes[1], lanes[8 + index]] as [number, number, number]
  const range = task.clipNormMicro / 1e6
  const summed = lane * ((2 * range) / (2 ** quantiser.bits - 1)) - reports * range
  return Math.fround((task.strategy.rateMicro / 1e6) * (summed * (quantiser.weightMax / weight)))
}

/** A receipt for every report. */
async function payOut(play: Play, { round, seats }: RoundManifest, manifest: Cid): Promise<readonly Cid[]> {
  const part = evenly(play.budget, play.planned, round - 1)
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

async function say<T extends SealedType>(
  { hooks, store }: Play,
  signer: Signer,
  type: T,
  value: Sealed<T>,
  at: Partial<At>,
): Promise<Cid> {
  const signed = signer.sign(type, encode(manifestTypes[type] as z.ZodType, value))
  return store.sealed(hooks.signed?.(signed, at, signer) ?? signed)
}

/** Equal parts of a whole, the odd units to the first ones. */
function evenly(whole: bigint, parts: number, index: number): bigint {
  return whole / BigInt(parts) + (BigInt(index) < whole % BigInt(parts) ? 1n : 0n)
}
