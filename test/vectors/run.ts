import type { z } from 'zod'
import { accumulate } from '#aggregation/accumulate.ts'
import { clip } from '#aggregation/clip.ts'
import { genesisWeights } from '#aggregation/genesis.ts'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { quantise, quantiserFor } from '#aggregation/quantise.ts'
import { nextModel } from '#aggregation/redo.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { encodeLanes, lanesOf } from '#aggregation/vector.ts'
import { encodeWeights, modelManifestOf } from '#aggregation/weights.ts'
import { roundPayouts } from '#payments/allocate.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { type Attendance, attend } from '#protocol/attendance.ts'
import { once, toHex } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { type Signed, type Signer, sealOf, signerOf } from '#protocol/envelope.ts'
import { type Bytes, type Cid, type NodeId, parseRunId, type RunId } from '#protocol/ids.ts'
import {
  type AbortedManifest,
  manifestTypes,
  modelSchema,
  receiptListSchema,
  seatListSchema,
} from '#protocol/manifest.ts'
import type { Plan, Purpose } from '#protocol/plan.ts'
import { cohortSeed, quantiseSeed } from '#protocol/seeds.ts'
import { selectionOf, selectionSchema } from '#protocol/selection.ts'
import { type Task, taskSchema } from '#protocol/task.ts'
import { importFile } from '#protocol/unixfs.ts'
import { cohortOf } from '#test/cohort.ts'

/** 32 bytes, all the same. */
export const secretOf = (n: number): Bytes => new Uint8Array(32).fill(n)
export const coordinator = signerOf(secretOf(1))
/** By key: what its node's id is made of. */
export const secretsOf = (...places: readonly number[]) =>
  new Map(places.map((place) => [signerOf(secretOf(place)).id, secretOf(place)]))
const secrets = secretsOf(2, 3)
export const nodes = [...secrets.keys()].sort()
const parsed = parseRunId('run_01JD7YAZ00000000000000000A')
export const runId = (parsed.ok ? parsed.value : '') as RunId
export const taskSeed = secretOf(9)

/** Keeps every block of the record, so that a verifier can be given it. */
export class Recorder {
  readonly blocks = new Map<Cid, Bytes>()

  block<S extends z.ZodType>(schema: S, value: z.output<S>): Cid {
    return this.#keep(cidOf(DAG_CBOR, encode(schema, value)), encode(schema, value))
  }

  file(bytes: Bytes): Promise<Cid> {
    return importFile(once(bytes), async ({ cid, bytes }) => void this.#keep(cid, bytes))
  }

  seal(signed: Signed): Cid {
    const { seal, body } = sealOf(signed)
    this.#keep(body.cid, body.bytes)
    return this.#keep(seal.cid, seal.bytes)
  }

  signed<T extends keyof typeof manifestTypes>(by: Signer, type: T, value: z.output<(typeof manifestTypes)[T]>): Cid {
    return this.seal(by.sign(type, encode(manifestTypes[type] as z.ZodType, value)))
  }

  hex(cid: Cid): string {
    return toHex(this.blocks.get(cid) as Bytes)
  }

  #keep(cid: Cid, bytes: Bytes): Cid {
    this.blocks.set(cid, bytes)
    return cid
  }
}

/** Two inputs, three weights: small enough to check by hand. */
const architecture: Architecture = {
  v: 1,
  input: [2],
  layers: [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }],
}
const shape = shapeOf(architecture)
const tensors = shape.ok ? shape.value.tensors : []
const cohort = cohortOf({ min: 2, max: 2, quorum: 2 })
export const timing = {
  ...{
    selectionMillis: 1000,
    keysMillis: 10_000,
    reportingMillis: 60_000,
    stragglerMillis: 15_000,
    consistencyMillis: 10_000,
  },
  ...{ unmaskingMillis: 10_000, aggregationMillis: 60_000, settlementMillis: 60_000 },
}
const local = [
  { delta: [0.25, -0.5, 0.125], weight: 30, evaluation: { rows: 7, correct: 5, lossSumNats: 3.5 } },
  { delta: [-3, 4, 12], weight: 50, evaluation: { rows: 12, correct: 9, lossSumNats: 70_000 / 65_536 } },
] as const

/** What plain and masked runs of the vectors train. */
export async function prepareTask(record: Recorder) {
  const architectureCid = record.block(architectureSchema, architecture)
  const start = genesisWeights(architecture, taskSeed)
  const modelOf = async (weights: Float32Array): Promise<Cid> =>
    record.block(modelSchema, modelManifestOf(architectureCid, tensors, await record.file(encodeWeights(weights))))
  const genesis = await modelOf(start)
  const task: Task = {
    v: 1,
    name: 'two numbers',
    seed: taskSeed,
    architecture: architectureCid,
    genesis,
    data: {
      kind: 'table',
      columns: [
        { kind: 'number', name: 'a', gaps: false },
        { kind: 'number', name: 'b', gaps: false },
      ],
      label: { column: 'y', rule: 'not-zero', classes: 2 },
      rowsMax: 100,
    },
    loss: 'sigmoid-cross-entropy',
    optimiser: { kind: 'sgd', rateMicro: 50_000, momentumMicro: 900_000 },
    epochs: 1,
    batchSize: 32,
    clipNormMicro: 10_000_000,
    strategy: { kind: 'fedavg', rateMicro: 1_000_000 },
  }
  return { task, taskCid: record.block(taskSchema, task), start, modelOf }
}

export async function buildRun(record: Recorder) {
  const { task, taskCid, start, modelOf } = await prepareTask(record)
  const { genesis } = task
  const quantiser = quantiserFor({
    clipNormMicro: task.clipNormMicro,
    rowsMax: task.data.rowsMax,
    cohortMax: cohort.max,
  })
  const empty = await record.file(new Uint8Array(0))

  type From = { readonly model: Cid; readonly weights: Float32Array; readonly parent: Cid | null }
  let attendance: readonly Attendance[] = []
  /** Everybody comes; some are there to the end. */
  const drawFor = (round: number, seed: Bytes, present: readonly NodeId[]) => {
    const joined = nodes.map((node) => ({ node, operator: null }))
    const drawn = record.block(selectionSchema, selectionOf({ seed, joined, absent: [], attendance, paced: false }))
    const kept = new Map(nodes.map((node) => [node, { kept: present.includes(node), paceMillis: null }]))
    attendance = attend(attendance, { round, candidates: nodes, seats: kept })
    return drawn
  }
  const gather = async (round: number, purpose: Purpose, { model, parent }: From, present = nodes) => {
    const plan: Plan = {
      v: 1,
      ...{ run: runId, round, purpose, population: 'open', masking: 'none', secure: null },
      ...{ task: taskCid, model, parent, endings: null },
      ...{ cohortSeed: cohortSeed(taskSeed, model, round), cohort, quantiser, timing },
    }
    const planCid = record.signed(coordinator, 'plan', plan)
    const vectors = present.map((node, index) => {
      const { delta, weight, evaluation } = local[index] as (typeof local)[number]
      const seed = quantiseSeed(secrets.get(node) as Bytes, taskCid, round)
      const clipped = clip(Float32Array.from(purpose === 'train' ? delta : []), 10)
      const lanes = quantise({ delta: clipped, weight, evaluation }, quantiser, uint32Stream(seed), NO_SCORES)
      if (!lanes.ok) throw new Error(lanes.refusal)
      return encodeLanes(lanes.value)
    })
    const lanes = lanesOf(purpose === 'train' ? 3 : 0)
    const updates: Cid[] = []
    for (const [seat, node] of present.entries()) {
      const vector = vectors[seat] as Bytes
      const about = { to: coordinator.id, seq: 6, run: runId, round, seat, plan: planCid, model }
      const update = { ...about, vector: await record.file(vector), sizeBytes: vector.length, lanes, trainMillis: 0 }
      updates.push(record.signed(signerOf(secrets.get(node) as Bytes), 'report', update))
    }
    const selection = drawFor(round, plan.cohortSeed, present)
    return { plan: planCid, selection, vectors, updates, lanes }
  }

  const close = async (round: number, purpose: Purpose, from: From) => {
    const { parent } = from
    const { plan, selection, vectors, updates, lanes } = await gather(round, purpose, from)
    const sum = await accumulate(vectors.map(once), lanes)
    if (!sum.ok) throw new Error(sum.refusal)
    const { strategy } = task
    const next = nextModel({
      sum: sum.value,
      purpose,
      model: from.weights,
      payload: { parameters: from.weights.length, moving: 0, scores: NO_SCORES },
      memory: new Float32Array(0),
      quantiser,
      strategy,
    })
    if (!next.ok) throw new Error(next.refusal)
    const nextCid = await modelOf(next.value.model)
    const manifest = record.signed(coordinator, 'round', {
      v: 1,
      ...{ run: runId, round, purpose, parent, plan, selection },
      seats: record.block(
        seatListSchema,
        nodes.map((node, seat) => ({ node, update: updates[seat] as Cid, reason: null })),
      ),
      session: null,
      aggregate: await record.file(encodeLanes(sum.value)),
      memory: empty,
      model: nextCid,
      evaluation: next.value.evaluation,
    })
    return { plan, selection, vectors, updates, sum: sum.value, next: next.value, model: nextCid, manifest }
  }

  const train = await close(1, 'train', { model: genesis, weights: start, parent: null })
  const amounts = roundPayouts([{ rounds: 1, budget: 1_000_001n }], 1, nodes)
  const receipts = nodes.map((node, seat) =>
    record.signed(coordinator, 'receipt', {
      v: 1,
      ...{ run: runId, round: 1, seat, node, update: train.updates[seat] as Cid, manifest: train.manifest },
      amount: amounts[seat]?.amount ?? 0n,
    }),
  )
  const trained = { model: train.model, weights: train.next.model, parent: train.manifest }
  // The second node is not heard of, and the round is tried again.
  const { plan: alone, selection, updates: only } = await gather(2, 'evaluate', trained, nodes.slice(0, 1))
  const nothing: AbortedManifest = {
    v: 1,
    ...{ run: runId, round: 2, purpose: 'evaluate', parent: train.manifest, plan: alone, selection },
    ...{ phase: 'evaluation', reason: 'too-few-reports', roster: null },
    seats: nodes.map((node, seat) => ({ node, update: only[seat] ?? null, reason: only[seat] ? null : 'late' })),
  }
  const aborted = record.signed(coordinator, 'aborted', nothing)
  const last = await close(3, 'evaluate', trained)
  const root = record.signed(coordinator, 'run', {
    v: 1,
    ...{ run: runId, coordinator: coordinator.id, population: 'open', masking: 'none', task: taskCid, planned: 1 },
    rounds: [
      { round: 1, manifest: train.manifest, receipts: record.block(receiptListSchema, receipts), aborted: null },
      { round: 2, manifest: null, receipts: null, aborted },
      { round: 3, manifest: last.manifest, receipts: null, aborted: null },
    ],
    ...{ outcome: 'completed', reason: null, model: last.model, evaluation: last.next.evaluation },
    ...{ budget: 1_000_001n, paid: 1_000_001n, released: 0n },
  })

  const [light, heavy] = train.vectors as [Bytes, Bytes]
  return {
    task: taskCid,
    root,
    vectors: {
      genesis: {
        architecture,
        taskSeed: toHex(taskSeed),
        architectureBlock: record.hex(task.architecture),
        architectureCid: task.architecture,
        weights: toHex(encodeWeights(start)),
        modelBlock: record.hex(genesis),
        modelCid: genesis,
      },
      update: {
        quantiser,
        nodeSecrets: nodes.map((node) => toHex(secrets.get(node) as Bytes)),
        local,
        clippedSecond: toHex(encodeWeights(clip(Float32Array.from(local[1].delta), 10))),
        roundingSeeds: nodes.map((node) => toHex(quantiseSeed(secrets.get(node) as Bytes, taskCid, 1))),
        vectors: [toHex(light), toHex(heavy)],
        sum: toHex(encodeLanes(train.sum)),
        evaluation: train.next.evaluation,
        nextWeights: toHex(encodeWeights(train.next.model)),
        evaluateVectors: last.vectors.map(toHex),
      },
      run: {
        coordinatorSecret: toHex(secretOf(1)),
        taskBlock: record.hex(taskCid),
        task: taskCid,
        plan: train.plan,
        selections: [train.selection, selection, last.selection],
        updates: train.updates,
        round1: train.manifest,
        receipts,
        model: last.model,
        aborted,
        abortedBody: toHex(encode(manifestTypes.aborted, nothing)),
        round3: last.manifest,
        root,
        blocks: record.blocks.size,
      },
    },
  }
}
