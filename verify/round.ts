import { nextModel } from '#aggregation/redo.ts'
import type { RemoveMasks } from '#aggregation/secagg/removal.ts'
import { type Answer, answerOf } from '#aggregation/statistics/answer.ts'
import { payloadOf } from '#aggregation/statistics/lanes.ts'
import { type Payload, payloadIn, type RingVector } from '#aggregation/vector.ts'
import { encodeWeights } from '#aggregation/weights.ts'
import type { Attendance } from '#protocol/attendance.ts'
import type { Cid, NodeId, Round } from '#protocol/ids.ts'
import { type Evaluation, type RoundRecord, type RunManifest, seatListSchema } from '#protocol/manifest.ts'
import type { Plan, Purpose } from '#protocol/plan.ts'
import type { Payout } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Blocks } from './blocks.ts'
import { checkOpening, checkSeats } from './opening.ts'
import { checkPayouts } from './payout.ts'
import { fileCidOf, isSameEvaluation, modelCidOf, type Order, type Training } from './run.ts'
import { collectMasked, type VectorFinder } from './session.ts'
import { type Asked, type Collected, type Contribution, collectPlain } from './updates.ts'
import { asStep, type Step, type VectorsProof } from './verdict.ts'

/** Where a round starts: the model, with its weights as recomputed here, and the last closed round's sealed manifest. */
export type Standing = {
  /** The last closed round; 0 before there is one. */
  readonly closed: Round
  readonly model: Cid
  readonly weights: Float32Array
  readonly memory: Float32Array
  readonly parent: Cid | null
  /** What the rounds so far say of who was in their draws; null for who has not redone them all. */
  readonly attendance: readonly Attendance[] | null
  /** How the rounds so far were held; null before the first, and for who begins in the middle. */
  readonly rule: Rule | null
}

/** What the plans of one run have in common: how a cohort is drawn, and what its masks bear. */
export type Rule = Pick<Plan, 'cohort' | 'secure'>

/** A closed round that was redone: all of it but for what was paid, which is in the run's own record. */
export type RedoneRound = {
  readonly standing: Standing
  readonly manifest: RoundRecord
  readonly plan: Plan
  readonly contributions: readonly Contribution[]
  readonly vectors: VectorsProof
  /** Of a question's round. */
  readonly answer: Answer | null
}

export type ClosedRound = Pick<RedoneRound, 'standing' | 'manifest' | 'vectors' | 'answer'> & {
  readonly nodes: readonly NodeId[]
  readonly payouts: readonly Payout[]
}

/** A closed round as the run names it. */
export type RoundEntry = {
  readonly round: Round
  readonly manifest: Cid
  readonly receipts: Cid | null
  /** What the rounds before it make of it; who is in the middle of a run takes the round's own word. */
  readonly purpose?: Purpose
  /** Training rounds that have closed, this one with them. */
  readonly part: number
}

export type RoundOptions = {
  /** Masked vectors that are not part of the record. */
  readonly vectors: VectorFinder | undefined
  /** Vectors that are part of the record may be gone: then the sum is the one that the coordinator signed. */
  readonly allowExpired?: boolean | undefined
  /** By whose hands masks come off a sum; on this thread where nobody else's are at hand. */
  readonly removeMasks?: RemoveMasks | undefined
  readonly progress: (step: Step) => void
}

/** The steps of one closed round, from `round-manifest` to `payout`. Nothing is taken from the record that can be redone. */
export async function checkRound(
  blocks: Blocks,
  order: Order<RunManifest>,
  start: Standing,
  entry: RoundEntry,
  options: RoundOptions,
): Promise<Result<ClosedRound, Step>> {
  const redone = await redoRound(blocks, order, start, entry, options)
  if (!redone.ok) return redone
  const { contributions, plan, ...closed } = redone.value
  options.progress('payout')
  const payouts = await checkPayouts(blocks, order, entry, plan.purpose, contributions)
  if (!payouts.ok) return payouts
  return accept({ ...closed, nodes: contributions.map(({ node }) => node), payouts: payouts.value })
}

/** Those steps but for `payout`: what anyone can redo while the run goes on. */
export async function redoRound(
  blocks: Blocks,
  order: Order,
  start: Standing,
  entry: Pick<RoundEntry, 'round' | 'manifest' | 'purpose'>,
  options: RoundOptions,
): Promise<Result<RedoneRound, Step>> {
  const { progress } = options
  progress('round-manifest')
  const manifest = await checkManifest(blocks, order, start, entry)
  if (!manifest.ok) return manifest
  const opening = await checkOpening(blocks, order, start, manifest.value, checkCohort, progress)
  if (!opening.ok) return opening
  const { plan, attendance } = opening.value
  const asked = { manifest: manifest.value, plan, payload: payloadAsked(order, plan) }
  const collected = await collect(blocks, order, asked, options)
  if (!collected.ok) return collected
  const { contributions, sum, vectors } = collected.value

  const made = await conclude(order, start, { manifest: manifest.value, plan, sum }, progress)
  if (!made.ok) return made
  return accept({
    standing: {
      ...{ ...made.value.standing, closed: entry.round, parent: entry.manifest },
      ...{ attendance, rule: plan },
    },
    answer: made.value.answer,
    ...{ manifest: manifest.value, plan, contributions, vectors },
  })
}

type Summed = { readonly manifest: RoundRecord; readonly plan: Plan; readonly sum: RingVector }
type Made = { readonly standing: Standing; readonly answer: Answer | null }

/** What the sum makes: the next model, or an answer and no model. */
async function conclude(
  order: Order,
  start: Standing,
  summed: Summed,
  progress: (step: Step) => void,
): Promise<Result<Made, Step>> {
  const { manifest, plan, sum } = summed
  if (order.kind === 'training') {
    progress('model')
    return learn(order, start, summed)
  }
  progress('answer')
  const answer = answerOf(order.question, sum, plan.quantiser)
  if (!answer.ok) return asStep('answer', 'the sum', answer)
  const result = await checkResults(manifest, {
    model: start.model,
    memory: start.memory,
    evaluation: NOTHING_MEASURED,
  })
  return result.ok ? accept({ standing: start, answer: answer.value }) : result
}

const NOTHING_MEASURED: Evaluation = { rows: 0, correct: 0, lossQ16: 0 }

async function learn(order: Training, start: Standing, { manifest, plan, sum }: Summed): Promise<Result<Made, Step>> {
  const next = nextModel({
    sum,
    purpose: plan.purpose,
    model: start.weights,
    payload: order.payload,
    memory: start.memory,
    quantiser: plan.quantiser,
    strategy: order.task.strategy,
  })
  if (!next.ok) return asStep('model', 'the sum', next)
  const { model: weights, memory, evaluation } = next.value
  const model = await modelCidOf(order, weights)
  const result = await checkResults(manifest, { model, memory, evaluation })
  return result.ok ? accept({ standing: { ...start, model, weights, memory }, answer: null }) : result
}

/** Steps `model`, `memory` and `evaluation`: the manifest says what the sum makes. */
async function checkResults(
  manifest: RoundRecord,
  made: { readonly model: Cid; readonly memory: Float32Array; readonly evaluation: Evaluation },
): Promise<Result<undefined, Step>> {
  const { model, evaluation } = made
  if (model !== manifest.model) return refuse('model', `the sum makes ${model}, not ${manifest.model}`)
  const memory = await fileCidOf(encodeWeights(made.memory))
  if (memory !== manifest.memory) return refuse('memory', `the sum leaves ${memory}, not ${manifest.memory}`)
  if (!isSameEvaluation(evaluation, manifest.evaluation))
    return refuse('evaluation', `the sum says ${JSON.stringify(evaluation)}`)
  return accept(undefined)
}

/** What the seats gave, with masks or without: how the plan has it. */
function collect(blocks: Blocks, order: Order, asked: Asked, options: RoundOptions): Promise<Result<Collected, Step>> {
  return asked.plan.secure
    ? collectMasked(blocks, order, asked, options)
    : collectPlain(blocks, order.run, asked, options)
}

/** What the round's vectors carry. */
export function payloadAsked(order: Order, { purpose, quantiser }: Plan): Payload {
  return order.kind === 'asking' ? payloadOf(order.question, quantiser) : payloadIn(purpose, order.payload)
}

async function checkManifest(
  blocks: Blocks,
  order: Order,
  start: Standing,
  entry: Pick<RoundEntry, 'round' | 'manifest' | 'purpose'>,
): Promise<Result<RoundRecord, Step>> {
  const { run } = order
  const signed = await blocks.signed(entry.manifest, 'round', run.coordinator)
  if (!signed.ok) return asStep('round-manifest', 'the manifest', signed)
  const manifest = signed.value.value
  if (manifest.run !== run.run) return refuse('round-manifest', `of another run, ${manifest.run}`)
  if (manifest.round !== entry.round) return refuse('round-manifest', `of another round, ${manifest.round}`)
  if (entry.purpose !== undefined && manifest.purpose !== entry.purpose)
    return refuse('round-manifest', `a ${manifest.purpose} round, due is one to ${entry.purpose}`)
  if (manifest.parent !== start.parent)
    return refuse('round-manifest', `follows ${manifest.parent}, the last closed round is ${start.parent}`)
  const seats = asStep('round-manifest', 'its seats', await blocks.read(manifest.seats, seatListSchema))
  return seats.ok ? accept({ ...manifest, seats: seats.value }) : seats
}

function checkCohort(plan: Plan, manifest: RoundRecord): Result<undefined, Step> {
  const checked = checkSeats(plan, manifest)
  if (!checked.ok) return checked
  const { cohort } = plan
  const { seats } = manifest
  for (const [seat, { update, reason }] of seats.entries())
    if ((update === null) === (reason === null))
      return refuse('cohort', `seat ${seat} either reported or has a reason why not`)
  const reports = seats.filter((seat) => seat.update !== null).length
  if (reports < cohort.quorum) return refuse('cohort', `${reports} reports, the quorum is ${cohort.quorum}`)
  return accept(undefined)
}
