import { accumulate } from '#aggregation/accumulate.ts'
import { nextModel } from '#aggregation/redo.ts'
import { type Answer, answerOf } from '#aggregation/statistics/answer.ts'
import { strategyOf } from '#aggregation/strategies/strategy.ts'
import {
  encodeLanes,
  lanesOf,
  type Payload,
  payloadIn,
  type RingVector,
  vectorBytesOf,
  widthOf,
} from '#aggregation/vector.ts'
import { encodeWeights } from '#aggregation/weights.ts'
import { assert } from '#protocol/assert.ts'
import { type Block, sealOf } from '#protocol/envelope.ts'
import type { Cid, RunId } from '#protocol/ids.ts'
import { REASON_CHARS_MAX } from '#protocol/limits.ts'
import {
  type Evaluation,
  modelSchema,
  type RoundManifest,
  type SeatRecord,
  seatListSchema,
} from '#protocol/manifest.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { accept, type Refused, type Result, refuse } from '#protocol/result.ts'
import { signAs } from '#protocol/sealed.ts'
import { selectionSchema } from '#protocol/selection.ts'
import { isQuestion } from '#protocol/subject.ts'
import type { Task } from '#protocol/task.ts'
import type { Unstamped } from '../live.ts'
import { blockOf, fileOf, type Ordered, orderOf, readFloats, readModel } from '../record.ts'
import { type Aggregation, type MaskedSeated, reportedSeats } from '../round/round.ts'
import type { Run } from '../run.ts'
import type { EffectHandler } from '../runner.ts'
import { keepReported, vectorsOf } from '../vectors.ts'
import type { SessionDoors } from './session.ts'
import { sessionManifest, type Unmasked, unmaskedSum } from './unmask.ts'

/**
 * Sums the reported vectors, makes of the sum what the round is for, and seals the round's manifest. Every output is a
 * function of the record alone, so a repeat after a crash writes the same blocks. Memory: one accumulator and one piece of
 * one vector.
 */
export function aggregateEffect(doors: SessionDoors): EffectHandler {
  return async (run, _owed, signal) => {
    const round = run.round
    assert(round?.phase === 'aggregation', 'a sum is owed in the aggregation phase')
    const { blobs, signer } = doors
    await keepReported(vectorsOf(doors, round.secure), round)
    const order = await orderOf(blobs, run.spec)
    const made = await sumOf(doors, run.spec.run, round, {
      payload: payloadIn(round.purpose, order.payload),
      signal,
    })
    if (!made.ok) return spoiled(round, made)
    const { sum } = made.value
    const { subject } = order
    const next = isQuestion(subject)
      ? answer(run, answerOf(subject, sum, order.quantiser))
      : await learn(blobs, run, { ...order, subject }, round, sum)
    if (!next.ok) return spoiled(round, refuse(`sum-${next.refusal}`, next.detail))

    const { model, memory, evaluation, reports, blocks } = next.value
    const aggregate = await fileOf(blobs, encodeLanes(sum))
    const results = { aggregate: aggregate.cid, memory, model, evaluation }
    const masked =
      'survival' in made.value ? sessionManifest(doors, withSession(round), made.value, results) : undefined
    const selection = blockOf(selectionSchema, round.selection)
    const seats = blockOf(seatListSchema, seatsOf(round))
    const links = { selection: selection.cid, seats: seats.cid, session: masked?.session ?? null }
    const record = recordOf(run, round, { ...results, ...links })
    const manifest = sealOf(signAs(signer, 'round', record))
    const session = masked?.blocks ?? []
    await blobs.putBlocks([...blocks, ...aggregate.blocks, ...session, selection, seats, manifest.body, manifest.seal])
    return { kind: 'aggregated', round: round.round, manifest: manifest.seal.cid, model, memory, evaluation, reports }
  }
}

/** What a sum makes. @property blocks that are new */
type Outcome = {
  readonly model: Cid
  readonly memory: Cid
  readonly evaluation: Evaluation
  readonly reports: number
  readonly blocks: readonly Block[]
}

async function learn(
  blobs: BlobStore,
  run: Run,
  { subject: { strategy }, quantiser, payload }: Ordered & { readonly subject: Task },
  { purpose }: Aggregation,
  sum: RingVector,
): Promise<Result<Outcome>> {
  const incoming = await readModel(blobs, run.model)
  const before = await readFloats(blobs, run.memory, strategyOf(strategy).memoryLength(payload.parameters))
  const next = nextModel({ sum, purpose, model: incoming.weights, payload, memory: before, quantiser, strategy })
  if (!next.ok) return next
  const memory = await fileOf(blobs, encodeWeights(next.value.memory))
  const weights = await fileOf(blobs, encodeWeights(next.value.model))
  const model = blockOf(modelSchema, { ...incoming.manifest, weights: weights.cid })
  const { evaluation, reports } = next.value
  const blocks = [...memory.blocks, ...weights.blocks, model]
  return accept({ model: model.cid, memory: memory.cid, evaluation, reports, blocks })
}

/** Nothing is kept of an answer but the sum: whoever has that and the question has the answer. */
function answer({ model, memory }: Run, answered: Result<Answer>): Result<Outcome> {
  if (!answered.ok) return answered
  return accept({ model, memory, evaluation: NOTHING_MEASURED, reports: answered.value.sites, blocks: [] })
}

const NOTHING_MEASURED: Evaluation = { rows: 0, correct: 0, lossQ16: 0 }

/** Of a plain round the plain vectors; of a masked one without its masks. */
async function sumOf(
  doors: SessionDoors,
  run: RunId,
  round: Aggregation,
  { payload, signal }: { readonly payload: Payload; readonly signal: AbortSignal },
): Promise<Result<Unmasked | { readonly sum: RingVector }>> {
  if (round.session) return unmaskedSum(doors, run, { round: withSession(round), payload }, signal)
  const width = widthOf(payload)
  const limitBytes = vectorBytesOf(width)
  const reported = new Map(reportedSeats(round).map(({ seat, vector }) => [seat, vector]))
  const begun = await doors.tally.take(run, round.round, reported)
  const rest = [...reported].filter(([seat]) => !begun?.seats.has(seat))
  const vectors = rest.map(([, vector]) => doors.blobs.get(vector, { limitBytes }, signal))
  const sum = await accumulate(vectors, lanesOf(width), begun?.sum)
  return sum.ok ? accept({ sum: sum.value }) : refuse(`sum-${sum.refusal}`, sum.detail)
}

function withSession(round: Aggregation): Aggregation & MaskedSeated {
  assert(round.session, 'a masked round has a session')
  return { ...round, session: round.session }
}

function spoiled({ round }: Aggregation, { refusal, detail = '' }: Refused): Unstamped {
  const reason = detail ? `${refusal}: ${detail}` : refusal
  return { kind: 'spoiled', round, reason: reason.slice(0, REASON_CHARS_MAX) }
}

type Made = Pick<RoundManifest, 'selection' | 'seats' | 'aggregate' | 'memory' | 'model' | 'evaluation' | 'session'>

function recordOf(run: Run, round: Aggregation, made: Made): RoundManifest {
  const { round: number, purpose, plan } = round
  return { v: 1, run: run.spec.run, round: number, purpose, parent: run.parent as Cid | null, plan, ...made }
}

function seatsOf({ cohort, seats }: Aggregation): readonly SeatRecord[] {
  return seats.map((state, seat) => {
    assert(state !== 'waiting', 'nobody is awaited any more')
    const node = cohort[seat] as (typeof cohort)[number]
    return 'update' in state ? { node, update: state.update, reason: null } : { node, update: null, reason: state.gone }
  })
}
