import { accumulate } from '#aggregation/accumulate.ts'
import { quantiserOf } from '#aggregation/quantise.ts'
import { nextModel } from '#aggregation/redo.ts'
import { strategyOf } from '#aggregation/strategies/strategy.ts'
import { encodeLanes, lanesOf, type RingVector, vectorBytesOf } from '#aggregation/vector.ts'
import { encodeWeights } from '#aggregation/weights.ts'
import { assert } from '#protocol/assert.ts'
import { sealOf } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import { REASON_CHARS_MAX } from '#protocol/limits.ts'
import { modelSchema, type RoundManifest } from '#protocol/manifest.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { signAs } from '#protocol/sealed.ts'
import { taskSchema } from '#protocol/task.ts'
import { blockOf, fileOf, readBlock, readFloats, readModel } from '../record.ts'
import { type Aggregation, type MaskedSeated, reportedSeats } from '../round/round.ts'
import type { Run } from '../run.ts'
import type { EffectHandler, Unstamped } from '../runner.ts'
import type { SessionDoors } from './session.ts'
import { sessionManifest, type Unmasked, unmaskedSum } from './unmask.ts'

/**
 * Sums the reported vectors, makes the next model and seals the round's manifest. Every output is a function of the
 * record alone, so a repeat after a crash writes the same blocks. Memory: one accumulator and one piece of one vector.
 */
export function aggregateEffect(doors: SessionDoors): EffectHandler {
  return async (run, _owed, signal) => {
    const round = run.round
    assert(round?.phase === 'aggregation', 'a sum is owed in the aggregation phase')
    const { blobs, signer } = doors
    const task = await readBlock(blobs, run.spec.task, taskSchema)
    const incoming = await readModel(blobs, run.model)
    const parameters = round.purpose === 'train' ? incoming.weights.length : 0
    const memory = await readFloats(blobs, run.memory, strategyOf(task.strategy).memoryLength(incoming.weights.length))

    const made = await sumOf(doors, round, parameters, signal)
    if (!made.ok) return spoiled(round, made)
    const { sum } = made.value
    const next = nextModel({
      sum,
      purpose: round.purpose,
      model: incoming.weights,
      memory,
      quantiser: quantiserOf(task, run.spec),
      strategy: task.strategy,
    })
    if (!next.ok) return spoiled(round, refuse(`sum-${next.refusal}`, next.detail))

    const aggregate = await fileOf(blobs, encodeLanes(sum))
    const kept = await fileOf(blobs, encodeWeights(next.value.memory))
    const weights = await fileOf(blobs, encodeWeights(next.value.model))
    const model = blockOf(modelSchema, { ...incoming.manifest, weights: weights.cid })
    const { evaluation, reports } = next.value
    const results = { aggregate: aggregate.cid, memory: kept.cid, model: model.cid, evaluation }
    const masked =
      'survival' in made.value ? sessionManifest(doors, withSession(round), made.value, results) : undefined
    const record = recordOf(run, round, { ...results, session: masked?.session ?? null })
    const manifest = sealOf(signAs(signer, 'round', record))
    const files = [aggregate, kept, weights].flatMap(({ blocks }) => blocks)
    await blobs.putBlocks([...files, model, ...(masked?.blocks ?? []), manifest.body, manifest.seal])
    const named = { manifest: manifest.seal.cid, model: model.cid, memory: kept.cid }
    return { kind: 'aggregated', round: round.round, ...named, evaluation, reports }
  }
}

/** Of a plain round the plain vectors; of a masked one without its masks. */
async function sumOf(
  doors: SessionDoors,
  round: Aggregation,
  parameters: number,
  signal: AbortSignal,
): Promise<Result<Unmasked | { readonly sum: RingVector }>> {
  if (round.session) return unmaskedSum(doors, withSession(round), signal)
  const limitBytes = vectorBytesOf(parameters)
  const vectors = reportedSeats(round).map(({ vector }) => doors.blobs.get(vector, { limitBytes }, signal))
  const sum = await accumulate(vectors, lanesOf(parameters))
  return sum.ok ? accept({ sum: sum.value }) : refuse(`sum-${sum.refusal}`, sum.detail)
}

function withSession(round: Aggregation): Aggregation & MaskedSeated {
  assert(round.session, 'a masked round has a session')
  return { ...round, session: round.session }
}

function spoiled({ round }: Aggregation, { refusal, detail = '' }: { refusal: string; detail?: string }): Unstamped {
  const reason = detail ? `${refusal}: ${detail}` : refusal
  return { kind: 'spoiled', round, reason: reason.slice(0, REASON_CHARS_MAX) }
}

type Made = Pick<RoundManifest, 'aggregate' | 'memory' | 'model' | 'evaluation' | 'session'>

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
