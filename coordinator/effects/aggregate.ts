import { accumulate } from '#aggregation/accumulate.ts'
import { nextModel } from '#aggregation/redo.ts'
import { strategyOf } from '#aggregation/strategies/strategy.ts'
import { encodeLanes, lanesOf, vectorBytesOf } from '#aggregation/vector.ts'
import { encodeWeights } from '#aggregation/weights.ts'
import { assert } from '#protocol/assert.ts'
import { type Signer, sealOf } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { modelSchema, type RoundManifest } from '#protocol/manifest.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { readSealed, signAs } from '#protocol/sealed.ts'
import { taskSchema } from '#protocol/task.ts'
import { blockOf, fileOf, readBlock, readFloats, readModel } from '../record.ts'
import { type Aggregation, reportedSeats } from '../round/round.ts'
import type { Run } from '../run.ts'
import type { EffectHandler } from '../runner.ts'
import { planFor } from './open.ts'

/**
 * Sums the reported vectors, makes the next model and seals the round's manifest. Every output is a function of the
 * record alone, so a repeat after a crash writes the same blocks. Memory: one accumulator and one piece of one vector.
 */
export function aggregateEffect(doors: { blobs: BlobStore; signer: Signer }): EffectHandler {
  return async (run, _owed, signal) => {
    const round = run.round
    assert(round?.phase === 'aggregation', 'a sum is owed in the aggregation phase')
    const { blobs, signer } = doors
    const task = await readBlock(blobs, run.spec.task, taskSchema)
    const plan = planFor(run, task, round.round)
    const incoming = await readModel(blobs, run.model)
    const parameters = round.purpose === 'train' ? incoming.weights.length : 0
    const memory = await readFloats(blobs, run.memory, strategyOf(task.strategy).memoryLength(incoming.weights.length))

    const sum = await accumulate(vectorsOf(blobs, round, vectorBytesOf(parameters), signal), lanesOf(parameters))
    if (!sum.ok) return { kind: 'spoiled', round: round.round, reason: `sum-${sum.refusal}` }
    const next = nextModel({
      sum: sum.value,
      purpose: round.purpose,
      model: incoming.weights,
      memory,
      quantiser: plan.quantiser,
      strategy: task.strategy,
    })
    if (!next.ok) return { kind: 'spoiled', round: round.round, reason: `sum-${next.refusal}` }

    const aggregate = await fileOf(blobs, encodeLanes(sum.value))
    const made = await fileOf(blobs, encodeWeights(next.value.memory))
    const weights = await fileOf(blobs, encodeWeights(next.value.model))
    const model = blockOf(modelSchema, { ...incoming.manifest, weights: weights.cid })
    const { evaluation, reports } = next.value
    const record = recordOf(run, round, { aggregate: aggregate.cid, memory: made.cid, model: model.cid, evaluation })
    const manifest = sealOf(signAs(signer, 'round', record))
    const files = [aggregate, made, weights].flatMap(({ blocks }) => blocks)
    await blobs.putBlocks([...files, model, manifest.body, manifest.seal])
    const named = { manifest: manifest.seal.cid, model: model.cid, memory: made.cid }
    return { kind: 'aggregated', round: round.round, ...named, evaluation, reports }
  }
}

async function* vectorsOf(
  blobs: BlobStore,
  round: Aggregation,
  sizeBytes: number,
  signal: AbortSignal,
): AsyncIterable<AsyncIterable<Bytes>> {
  for (const { update } of reportedSeats(round)) {
    const report = await readSealed(update, 'report', (cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX))
    if (!report.ok) throw new Error(`a report that was accepted cannot be read: ${report.refusal}`)
    yield blobs.get(report.value.value.vector, { limitBytes: sizeBytes }, signal)
  }
}

type Made = Pick<RoundManifest, 'aggregate' | 'memory' | 'model' | 'evaluation'>

function recordOf(run: Run, round: Aggregation, made: Made): RoundManifest {
  const { round: number, purpose, plan, cohort, seats } = round
  return {
    v: 1,
    run: run.spec.run,
    round: number,
    purpose,
    parent: run.parent as Cid | null,
    plan,
    seats: seats.map((state, seat) => {
      assert(state !== 'waiting', 'nobody is awaited any more')
      const node = cohort[seat] as (typeof cohort)[number]
      return 'update' in state
        ? { node, update: state.update, reason: null }
        : { node, update: null, reason: state.gone }
    }),
    ...made,
  }
}
