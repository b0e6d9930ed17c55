import type { z } from 'zod'
import { clip } from '#aggregation/clip.ts'
import { genesisWeights } from '#aggregation/genesis.ts'
import { evaluationRowsMax, quantise, quantiserFor } from '#aggregation/quantise.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { type Architecture, architectureSchema, shapeOf } from '#protocol/architecture.ts'
import { assert } from '#protocol/assert.ts'
import { concat, once, utf8 } from '#protocol/bytes.ts'
import { carOf } from '#protocol/car.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { type Signed, type Signer, sealOf, signerOf } from '#protocol/envelope.ts'
import type { Amount, Bytes, Cid, NodeId, Round, RunId, Seat } from '#protocol/ids.ts'
import {
  type Evaluation,
  modelSchema,
  type RoundManifest,
  type RunManifest,
  receiptListSchema,
  roundManifestSchema,
  runManifestSchema,
} from '#protocol/manifest.ts'
import { clientBodies } from '#protocol/messages.ts'
import { type Plan, planSchema } from '#protocol/plan.ts'
import { type Receipt, receiptSchema } from '#protocol/receipt.ts'
import { cohortSeed, demoSecret, quantiseSeed } from '#protocol/seeds.ts'
import { type Task, taskSchema } from '#protocol/task.ts'
import { importFile } from '#protocol/unixfs.ts'

/**
 * A small coordinator and its nodes, written from the specification and apart from coordinator/ and from the verifier: its
 * sums are of bigints, its pay is divided by hand. Each hook changes what it says before it is signed, so that everything
 * after follows from the lie: a record that is consistent but for one thing.
 */
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
export type ReportBody = z.output<typeof clientBodies.report>

export type Shape = {
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
const TINY: Architecture = {
  v: 1,
  input: [4],
  layers: [
    { layer: 'dense', name: 'hidden', units: 3, activation: 'relu' },
    { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
  ],
}

export async function recordRun(shape: Shape = {}): Promise<RecordedRun> {
  const { hooks = {}, planned = 2, budget = 1_000_001n, architecture = TINY } = shape
  const seed = utf8(shape.seed ?? 'one').slice(0, 32)
  const coordinator = signerOf(demoSecret(concat(seed, new Uint8Array(29)), 0))
  const secrets = Array.from({ length: shape.nodes ?? 3 }, (_, index) => demoSecret(seed, index + 1))
  const nodes = secrets
    .map((secret) => ({ secret, signer: signerOf(secret) }))
    .toSorted((a, b) => (a.signer.id < b.signer.id ? -1 : 1))

  const blocks = new Map<Cid, Bytes>()
  const keep = async ({ cid, bytes }: { cid: Cid; bytes: Bytes }) => void blocks.set(cid, Uint8Array.from(bytes))
  const block = async (bytes: Bytes): Promise<Cid> => {
    const cid = cidOf(DAG_CBOR, bytes)
    await keep({ cid, bytes })
    return cid
  }
  const blob = (array: Float32Array | Uint32Array) =>
    importFile(once(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)), keep)
  const sealed = async (signer: Signer, type: string, bytes: Bytes, at: Partial<At>): Promise<Cid> => {
    const signed = signer.sign(type, bytes)
    const { seal, body } = sealOf(hooks.signed?.(signed, at, signer) ?? signed)
    await keep(body)
    await keep(seal)
    return seal.cid
  }

  const inferred = shapeOf(architecture)
  assert(inferred.ok, 'the fixture has a sound architecture')
  const { tensors, parameters } = inferred.value
  const architectureCid = await block(encode(architectureSchema, architecture))
  const modelCid = async (weights: Float32Array) =>
    block(
      encode(modelSchema, {
        architecture: architectureCid,
        tensors: tensors.map(({ name, shape, role }) => ({ name, shape, role })),
        weights: await blob(weights),
      }),
    )

  const taskSeed = new Uint8Array(32).fill(9)
  let weights = genesisWeights(architecture, taskSeed)
  let model = await modelCid(weights)
  const honest: Task = {
    v: 1,
    name: 'tiny',
    seed: taskSeed,
    architecture: architectureCid,
    genesis: model,
    data: {
      kind: 'table',
      columns: ['a', 'b', 'c', 'd'].map((name) => ({ kind: 'number', name, gaps: false })),
      label: { column: 'ill', rule: 'not-zero', classes: 2 },
      rowsMax: 500,
    },
    loss: 'sigmoid-cross-entropy',
    optimiser: { kind: 'sgd', rateMicro: 50_000, momentumMicro: 0 },
    epochs: 1,
    batchSize: 16,
    clipNormMicro: 2_000_000,
    strategy: { kind: 'fedavg', rateMicro: 1_000_000 },
  }
  const task = hooks.task?.(honest) ?? honest
  const taskCid = await block(encode(taskSchema, task))

  let parent: Cid | null = null
  let paid = 0n
  let evaluation: Evaluation | null = null
  const rounds: RunManifest['rounds'][number][] = []
  for (let round = 1; round <= planned + 1; round++) {
    if (shape.aborted?.includes(round)) {
      const list = hooks.receipts?.([], round) ?? null
      const receipts = list && (await block(encode(receiptListSchema, list)))
      rounds.push({ round, manifest: null, receipts, reason: 'too-few-reports' })
      continue
    }
    const trains = round <= planned
    const max = Math.max(nodes.length, 2)
    const quantiser = quantiserFor({ clipNormMicro: task.clipNormMicro, rowsMax: task.data.rowsMax, cohortMax: max })
    const plan: Plan = {
      v: 1,
      run: RUN,
      round,
      purpose: trains ? 'train' : 'evaluate',
      population: 'open',
      masking: 'none',
      task: taskCid,
      model,
      parent,
      cohortSeed: cohortSeed(task.seed, model, round),
      cohort: { min: 2, max, quorum: 2 },
      quantiser,
      timing: { selectionMillis: 1000, reportingMillis: 2000, aggregationMillis: 3000, settlementMillis: 4000 },
    }
    const planCid = await sealed(coordinator, 'plan', encode(planSchema, hooks.plan?.(plan) ?? plan), { round })

    const sum: bigint[] = []
    const seats: RoundManifest['seats'][number][] = []
    for (const [seat, { secret, signer }] of nodes.entries()) {
      const at = { round, seat }
      if (shape.absent?.[round]?.includes(seat)) {
        seats.push({ node: signer.id, update: null, reason: 'left' })
        continue
      }
      const rng = uint32Stream(quantiseSeed(secret, taskCid, round))
      const learned = Float32Array.from({ length: trains ? parameters : 0 }, () => rng() / 2 ** 31 - 1)
      const rows = Math.min(20 + seat + round, evaluationRowsMax(quantiser))
      const quantised = quantise(
        {
          delta: clip(learned, task.clipNormMicro / 1e6),
          weight: 80 + seat,
          evaluation: { rows, correct: rows - 10 + round, lossSumNats: rows * 0.6 },
        },
        quantiser,
        rng,
      )
      assert(quantised.ok, 'the fixture has a sound update')
      const lanes = hooks.vector?.(quantised.value, at) ?? quantised.value
      for (const [index, lane] of lanes.entries()) sum[index] = ((sum[index] ?? 0n) + BigInt(lane)) % 2n ** 32n
      const report: ReportBody = {
        to: coordinator.id,
        seq: round,
        run: RUN,
        round,
        seat,
        plan: planCid,
        model,
        vector: await blob(lanes),
        sizeBytes: lanes.byteLength,
        lanes: lanes.length,
      }
      const body = encode(clientBodies.report, hooks.report?.(report, at) ?? report)
      seats.push({ node: signer.id, update: await sealed(signer, 'report', body, at), reason: null })
    }

    const count = trains ? parameters : 0
    const steps = sum.map(Number)
    const total = hooks.aggregate?.(Uint32Array.from(steps), round) ?? Uint32Array.from(steps)
    const [weight, reports] = steps as [number, number]
    if (trains) {
      const range = task.clipNormMicro / 1e6
      weights = weights.map((value, index) => {
        const summed = (steps[8 + index] as number) * ((2 * range) / (2 ** quantiser.bits - 1)) - reports * range
        return value + Math.fround((task.strategy.rateMicro / 1e6) * (summed * (quantiser.weightMax / weight)))
      })
    }
    const [rows, correct, high, low] = steps.slice(8 + count) as [number, number, number, number]
    const incoming = { rows, correct, lossQ16: high * 65_536 + low }
    model = await modelCid(weights)
    const manifest: RoundManifest = {
      v: 1,
      run: RUN,
      round,
      purpose: plan.purpose,
      parent,
      plan: planCid,
      seats,
      aggregate: await blob(total),
      memory: await blob(new Float32Array(0)),
      model,
      evaluation: incoming,
    }
    const said = hooks.manifest?.(manifest) ?? manifest
    const manifestCid = await sealed(coordinator, 'round', encode(roundManifestSchema, said), { round })
    parent = manifestCid
    if (!trains) evaluation = incoming

    const receipts: Cid[] = []
    const contributors = seats.flatMap(({ node, update }, seat) => (update === null ? [] : [{ node, update, seat }]))
    for (const [index, { node, update, seat }] of trains ? contributors.entries() : []) {
      const part = evenly(budget, planned, round - 1)
      const receipt: Receipt = {
        v: 1,
        run: RUN,
        round,
        seat,
        node,
        update,
        manifest: manifestCid,
        amount: evenly(part, contributors.length, index),
      }
      const body = encode(receiptSchema, hooks.receipt?.(receipt, { round, seat }) ?? receipt)
      receipts.push(await sealed(coordinator, 'receipt', body, { round, seat }))
      paid += receipt.amount
    }
    const list = hooks.receipts ? hooks.receipts(receipts, round) : receipts.length > 0 ? receipts : null
    rounds.push({
      round,
      manifest: manifestCid,
      receipts: list && (await block(encode(receiptListSchema, list))),
      reason: null,
    })
  }

  const run: RunManifest = {
    v: 1,
    run: RUN,
    coordinator: coordinator.id,
    population: 'open',
    masking: 'none',
    task: taskCid,
    planned,
    rounds,
    outcome: 'completed',
    reason: null,
    model,
    evaluation,
    budget,
    paid,
    released: budget - paid,
  }
  const manifest = hooks.run?.(run) ?? run
  const root = await sealed(coordinator, 'run', encode(runManifestSchema, manifest), {})
  return {
    root,
    coordinator,
    nodes: nodes.map(({ signer }) => signer),
    manifest,
    blocks,
    file: () => fileUnder(root, blocks),
  }
}

/** The bundle of what is under a root. */
export async function fileUnder(root: Cid, blocks: ReadonlyMap<Cid, Bytes>): Promise<Bytes> {
  const parts: Bytes[] = []
  for await (const part of carOf(root, async (cid) => found(blocks, cid))) parts.push(part)
  return concat(...parts)
}

export function idsOf(signers: readonly Signer[]): readonly NodeId[] {
  return signers.map(({ id }) => id)
}

/** Equal parts of a whole, the odd units to the first ones. */
function evenly(whole: bigint, parts: number, index: number): bigint {
  return whole / BigInt(parts) + (BigInt(index) < whole % BigInt(parts) ? 1n : 0n)
}

function found(blocks: ReadonlyMap<Cid, Bytes>, cid: Cid): Bytes {
  const bytes = blocks.get(cid)
  assert(bytes, `the record holds ${cid}`)
  return bytes
}
