import { clip } from '#aggregation/clip.ts'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { equalEvaluation, quantise, quantiserOf } from '#aggregation/quantise.ts'
import { nextModel } from '#aggregation/redo.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import { sessionId } from '#aggregation/secagg/derive.ts'
import { type Said, say } from '#aggregation/secagg/messages.ts'
import type { Site } from '#aggregation/secagg/states.ts'
import type { SessionRecord } from '#aggregation/secagg/verification.ts'
import { encodeLanes, type RingVector } from '#aggregation/vector.ts'
import { sha256 } from '#crypto'
import { roundPayouts } from '#payments/allocate.ts'
import { type Attendance, attend, type Kept } from '#protocol/attendance.ts'
import { toHex } from '#protocol/bytes.ts'
import { encode } from '#protocol/codec.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, NodeId, Round } from '#protocol/ids.ts'
import { type RoundManifest, receiptListSchema, roundManifestSchema, seatListSchema } from '#protocol/manifest.ts'
import { type Plan, planSchema } from '#protocol/plan.ts'
import { cohortSeed, quantiseSeed } from '#protocol/seeds.ts'
import { selectionOf, selectionSchema } from '#protocol/selection.ts'
import { must } from '#test/aggregation/given.ts'
import { cohortOf } from '#test/cohort.ts'
import { type Cohort, chanceOf } from '#test/secagg/cohort.ts'
import { type Absent, type Played, play } from '#test/secagg/play.ts'
import { coordinator, prepareTask, type Recorder, runId, secretsOf, taskSeed, timing } from './run.ts'

/** A whole masked run: four nodes in suite 1, everything public; one drops out of its training round, then all evaluate. */
const secrets = secretsOf(2, 3, 4, 5)
const nodes = [...secrets.keys()].sort()
const cohort = cohortOf({ min: 3, max: 4, quorum: 3 })
const secure = { suite: 1, corrupt: 1, publish: 'full' } as const
const local = [
  { delta: [0.25, -0.5, 0.125], evaluation: { rows: 7, correct: 5, lossSumNats: 3.5 } },
  { delta: [-3, 4, 12], evaluation: { rows: 12, correct: 9, lossSumNats: 6 } },
  { delta: [1, 0, -1], evaluation: { rows: 3, correct: 1, lossSumNats: 3 } },
  { delta: [0.5, 0.5, 0.5], evaluation: { rows: 40, correct: 30, lossSumNats: 20 } },
] as const

type From = { readonly model: Cid; readonly weights: Float32Array; readonly parent: Cid | null }

export async function buildMaskedRun(record: Recorder) {
  const { task, taskCid, start, modelOf } = await prepareTask(record)
  const empty = await record.file(new Uint8Array(0))

  let attendance: readonly Attendance[] = []
  const close = async (round: Round, from: From, absent: Absent) => {
    const { model, weights, parent } = from
    const purpose = round === 1 ? 'train' : 'evaluate'
    const quantiser = quantiserOf(task, { masking: 'secagg/1', cohort })
    const plan: Plan = {
      v: 1,
      ...{ run: runId, round, purpose, population: 'hospital', masking: 'secagg/1', secure },
      ...{ task: taskCid, model, parent, endings: null },
      ...{ cohortSeed: cohortSeed(taskSeed, model, round), cohort, quantiser, timing },
    }
    const spec = record.signed(coordinator, 'plan', plan)
    const inputs = nodes.map((node, seat): RingVector => {
      const { delta, evaluation } = local[seat] as (typeof local)[number]
      const rng = uint32Stream(quantiseSeed(secrets.get(node) as Bytes, taskCid, round))
      const clipped = clip(Float32Array.from(purpose === 'train' ? delta : []), 10)
      return must(
        quantise(
          { delta: clipped, weight: 1, evaluation: equalEvaluation(evaluation, NO_SCORES) },
          quantiser,
          rng,
          NO_SCORES,
        ),
      )
    })
    const session: Cohort = {
      ...{ name: `masked run, round ${round}`, suite: secure.suite, coordinator, task: taskCid, round, model, spec },
      ...{ publish: secure.publish, maxCorrupt: secure.corrupt, parameters: purpose === 'train' ? 3 : 0, quantiser },
      sites: nodes.map(
        (node): Site => ({
          signer: signerOf(secrets.get(node) as Bytes),
          ...{ coordinator: coordinator.id, allowed: new Set(nodes), maxCorrupt: secure.corrupt, publish: ['full'] },
        }),
      ),
      inputs,
    }
    const played = must(await play(session, absent))
    const sum = encodeLanes(played.sum)
    const memory = new Float32Array(0)
    const { strategy } = task
    const next = must(
      nextModel({
        sum: played.sum,
        purpose,
        model: weights,
        payload: { parameters: weights.length, moving: 0, scores: NO_SCORES },
        memory,
        quantiser,
        strategy,
      }),
    )
    const [aggregate, made] = [await record.file(sum), await modelOf(next.model)]
    const result = say(coordinator, 'Result', {
      ...played.record.result.body,
      ...{ sumCid: aggregate, sumSha256: sha256(sum), model: made, verifier: 'secagg/1' },
    })
    const said = { ...played.record, result }
    await keep(record, said, played)
    const updates = new Map(said.inputs.map(({ body, cid }) => [body.u - 1, cid]))
    const joined = nodes.map((node) => ({ node, operator: null }))
    const drawn = selectionOf({ seed: plan.cohortSeed, joined, absent: [], attendance, paced: false })
    const kept = nodes.map((node, seat): [NodeId, Kept] => [node, { kept: updates.has(seat), paceMillis: null }])
    attendance = attend(attendance, { round, candidates: nodes, seats: new Map(kept) })
    const seats = nodes.map((node, seat) => {
      const update = updates.get(seat) ?? null
      return { node, update, reason: update ? null : 'late' }
    })
    const manifest: RoundManifest = {
      v: 1,
      ...{ run: runId, round, purpose, parent, plan: spec },
      selection: record.block(selectionSchema, drawn),
      seats: record.block(seatListSchema, seats),
      session: {
        ...{ roster: said.roster.cid, shared: said.shared.cid, survivors: said.survivors.cid },
        ...{ certificate: said.certificate.cid, result: result.cid, maskCts: [] },
      },
      ...{ aggregate, memory: empty, model: made, evaluation: next.evaluation },
    }
    const sealed = record.signed(coordinator, 'round', manifest)
    const bodies = { plan: encode(planSchema, plan), manifest: encode(roundManifestSchema, manifest) }
    return { spec, session, said, played, next, model: made, manifest: sealed, updates, bodies }
  }

  const train = await close(1, { model: task.genesis, weights: start, parent: null }, { mask: [2] })
  const earners = nodes.flatMap((node, seat) => {
    const update = train.updates.get(seat)
    return update ? [{ node, seat, update }] : []
  })
  const amounts = roundPayouts(
    [{ rounds: 1, budget: 1_000_001n }],
    1,
    earners.map(({ node }) => node),
  )
  const receipts = earners.map((earner, index) =>
    record.signed(coordinator, 'receipt', {
      v: 1,
      ...{ run: runId, round: 1, ...earner, manifest: train.manifest, amount: amounts[index]?.amount ?? 0n },
    }),
  )
  const last = await close(2, { model: train.model, weights: train.next.model, parent: train.manifest }, {})
  const root = record.signed(coordinator, 'run', {
    v: 1,
    ...{
      run: runId,
      coordinator: coordinator.id,
      population: 'hospital',
      masking: 'secagg/1',
      task: taskCid,
      planned: 1,
    },
    rounds: [
      { round: 1, manifest: train.manifest, receipts: record.block(receiptListSchema, receipts), aborted: null },
      { round: 2, manifest: last.manifest, receipts: null, aborted: null },
    ],
    ...{ outcome: 'completed', reason: null, model: last.model, evaluation: last.next.evaluation },
    ...{ budget: 1_000_001n, paid: 1_000_001n, released: 0n },
  })

  const { said, session, played } = train
  return {
    root,
    vectors: {
      nodeSecrets: nodes.map((node) => toHex(secrets.get(node) as Bytes)),
      plan: train.spec,
      planBody: toHex(train.bodies.plan),
      local,
      roots: nodes.map((_, seat) => toHex(chanceOf(session, seat + 1)(32))),
      inputs: session.inputs.map((lanes) => toHex(encodeLanes(lanes))),
      roster: said.roster.cid,
      rosterBody: toHex(said.roster.signed.body),
      sid: toHex(sessionId(said.roster.hash)),
      shared: said.shared.cid,
      survivors: said.survivors.cid,
      certificate: said.certificate.cid,
      masked: said.inputs.map(({ body }) => toHex(played.vectors.of(body))),
      result: said.result.cid,
      resultBody: toHex(said.result.signed.body),
      sum: toHex(encodeLanes(played.sum)),
      evaluation: train.next.evaluation,
      round1: train.manifest,
      manifestBody: toHex(train.bodies.manifest),
      receipts,
      model: last.model,
      evaluateInputs: last.session.inputs.map((lanes) => toHex(encodeLanes(lanes))),
      finalEvaluation: last.next.evaluation,
      round2: last.manifest,
      root,
      blocks: record.blocks.size,
    },
  }
}

/** Each message under its seal, and the masked vectors. */
async function keep(record: Recorder, said: SessionRecord, { vectors }: Played): Promise<void> {
  const { roster, adverts, shared, keys, survivors, inputs, certificate, result } = said
  const all: readonly Pick<Said<'Roster'>, 'signed'>[] = [
    ...[roster, ...adverts, shared, ...keys],
    ...[survivors, ...inputs, certificate, result],
  ]
  for (const { signed } of all) record.seal(signed)
  for (const { body } of inputs) await record.file(vectors.of(body))
}
