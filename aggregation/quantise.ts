import { assert } from '#protocol/assert.ts'
import { LOSS_MAX_NATS } from '#protocol/limits.ts'
import type { Evaluation } from '#protocol/manifest.ts'
import type { Plan, Quantiser } from '#protocol/plan.ts'
import type { Question } from '#protocol/question.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Task } from '#protocol/task.ts'
import { clamp, clip, normOf } from './clip.ts'
import { equalScores } from './metrics/equal.ts'
import { figuresOf } from './metrics/figures.ts'
import { encodeScores, mistakeInScores } from './metrics/lanes.ts'
import { type Scoring, scoreLanesOf, type Tallies } from './metrics/scoring.ts'
import { type Looked, RangeCheck, type RangeRefusal, type VectorLimits } from './ranges.ts'
import { HEADER_LANES, LOSS_ONE, lanesOf, type Payload, type RingVector, widthOf } from './vector.ts'

/** What a node learned and measured. */
export type LocalUpdate = {
  /** Local weights minus global ones, bounded as {@link bound} does; empty in an evaluate round. */
  readonly delta: Float32Array
  /** Examples trained on. */
  readonly weight: number
  readonly evaluation: Measured
}

/** The incoming model on a site's held-out rows. */
export type Measured = {
  readonly rows: number
  readonly correct: number
  /** min(loss, LOSS_MAX_NATS), summed. */
  readonly lossSumNats: number
  /** Where the task asks for metrics. */
  readonly tallies?: Tallies
}

export const NOTHING_MEASURED: Measured = { rows: 0, correct: 0, lossSumNats: 0 }

/**
 * What of a delta a node may send: what gradients have moved, clipped by its L2 norm, and moving statistics, each by itself. A
 * variance may move by far more than all weights together, and would have them clipped to nothing.
 *
 * @param moving how many of the last are statistics
 */
export function bound(delta: Float32Array, quantiser: Quantiser, moving: number): Float32Array {
  const { range, movingRange } = scaleOf(quantiser)
  if (moving === 0) return clip(delta, range)
  const first = delta.length - moving
  const bounded = new Float32Array(delta.length)
  bounded.set(clip(delta.subarray(0, first), range))
  bounded.set(clamp(delta.subarray(first), movingRange), first)
  return bounded
}

/**
 * From reals to the ring, so that a sum mod 2^32 is the exact sum. With r = weight / weightMax (mode A: weighted before it
 * is quantised), C the range, b the bits and R uniform in [0, 1):
 *
 *     v = (r·x + C)·((2^b − 1) / 2C)      q = min(⌊v + R⌋, 2^b − 1)
 *
 * E[q] = v: the rounding adds no bias. Nothing saturates, since |x_i| ≤ ‖x‖₂ ≤ C. Moving statistics have a C of their own,
 * which each of them is within.
 *
 * @param rng 32-bit words from a private seed: who knows them takes the rounding noise off again
 * @param scores which lanes the task's metrics take
 * @param moving how many of the delta's last are moving statistics
 */
export function quantise(
  update: LocalUpdate,
  quantiser: Quantiser,
  rng: () => number,
  scores: Scoring,
  moving = 0,
): Result<RingVector, 'not-finite' | 'weight-out-of-range' | 'evaluation-out-of-range'> {
  const { delta, weight, evaluation } = update
  const first = delta.length - moving
  const norm = normOf(delta.subarray(0, first))
  const statistics = delta.subarray(first)
  if (!Number.isFinite(norm) || !statistics.every(Number.isFinite))
    return refuse('not-finite', 'the delta holds NaN or infinity')
  if (!Number.isFinite(evaluation.lossSumNats)) return refuse('not-finite', 'the loss is NaN or infinite')
  if (!isCount(weight, quantiser.weightMax) || weight < 1)
    return refuse('weight-out-of-range', `${weight} is not in 1 … ${quantiser.weightMax}`)
  const { rows, correct, lossSumNats } = evaluation
  if (
    !isCount(rows, evaluationRowsMax(quantiser)) ||
    !isCount(correct, rows) ||
    lossSumNats < 0 ||
    lossSumNats > rows * LOSS_MAX_NATS
  )
    return refuse('evaluation-out-of-range', `${correct} of ${rows} rows right, ${lossSumNats} nats`)

  const scored = scoreLanes(scores, evaluation)
  if (!scored.ok) return scored

  const { range, movingRange, levels } = scaleOf(quantiser)
  assert(norm <= range, 'a delta is clipped before it is quantised')
  assert(
    statistics.every((value) => Math.abs(value) <= movingRange),
    'statistics are clamped before they are quantised',
  )
  const width = widthOf({ parameters: delta.length, scores })
  const lanes = new Uint32Array(lanesOf(width))
  lanes[0] = weight
  lanes[1] = 1
  const ratio = weight / quantiser.weightMax
  const round = (from: number, to: number, furthest: number) => {
    const steps = levels / (2 * furthest)
    for (let i = from; i < to; i++) {
      const value = ((delta[i] as number) * ratio + furthest) * steps
      lanes[HEADER_LANES + i] = Math.min(Math.floor(value + rng() / 2 ** 32), levels)
    }
  }
  round(0, first, range)
  round(first, delta.length, movingRange)
  const loss = Math.round(lossSumNats * LOSS_ONE)
  lanes.set(scored.value, HEADER_LANES + delta.length)
  lanes.set([rows, correct, Math.floor(loss / LOSS_ONE), loss % LOSS_ONE], HEADER_LANES + width)
  return accept(lanes)
}

/** A site without figures has zeros for scores. Rules that the coordinator would refuse by are kept here first. */
function scoreLanes(
  scores: Scoring,
  { rows, correct, tallies }: Measured,
): Result<RingVector, 'evaluation-out-of-range'> {
  if (!tallies) {
    if (rows === 0 || scores.blocks.length === 0) return accept(new Uint32Array(scoreLanesOf(scores)))
    return refuse('evaluation-out-of-range', 'the task asks for metrics, and nothing was counted for them')
  }
  const lanes = encodeScores(scores, tallies)
  const mistake = mistakeInScores(scores, lanes, { reports: 1, rows, correct })
  return mistake ? refuse('evaluation-out-of-range', mistake) : accept(lanes)
}

/**
 * The quantiser of a plan about this task or question. Under masks all weigh the same: sums over rounds would give hidden
 * counts away (R9).
 */
export function quantiserOf(
  subject: Pick<Task, 'clipNormMicro' | 'movingRangeMicro' | 'data'> | Question,
  { masking, cohort }: Pick<Plan, 'masking' | 'cohort'>,
): Quantiser {
  if ('items' in subject) return integerQuantiserFor(cohort.max)
  const { clipNormMicro, movingRangeMicro, data } = subject
  const rowsMax = masking === 'none' ? data.rowsMax : 1
  return quantiserFor({ clipNormMicro, movingRangeMicro, rowsMax, cohortMax: cohort.max })
}

/** As many bits as a full cohort's sum has room for, and no more than float32 has. @param task rowsMax: the largest weight */
export function quantiserFor(task: {
  readonly clipNormMicro: number
  readonly movingRangeMicro?: number | undefined
  readonly rowsMax: number
  readonly cohortMax: number
}): Quantiser {
  const quantiser = {
    bits: Math.min(24, 32 - Math.ceil(Math.log2(task.cohortMax))),
    rangeMicro: task.clipNormMicro,
    weightMax: task.rowsMax,
    nMax: task.cohortMax,
    ...(task.movingRangeMicro !== undefined && { movingRangeMicro: task.movingRangeMicro }),
  }
  assert(isSound(quantiser), 'the sum of a full cohort fits 32 bits')
  assert(quantiser.rangeMicro >= 1, 'a model learns from reals, which have a range')
  return quantiser
}

/** For lanes that are whole numbers: counts, and the limbs of sums. All weigh the same. */
export function integerQuantiserFor(cohortMax: number): Quantiser {
  return { ...quantiserFor({ clipNormMicro: 1, rowsMax: 1, cohortMax }), rangeMicro: 0 }
}

/** Rows that a site stands for in a masked round, whatever it has: each counts alike, and no count leaves. */
export const EQUAL_ROWS = 65_536

/**
 * A site's figures as those of `EQUAL_ROWS` rows: its own shares and means, and nothing about how many rows. With scores,
 * which have cells of few rows, shares are those of parts (see metrics/equal.ts).
 */
export function equalEvaluation({ rows, correct, lossSumNats, tallies }: Measured, scores: Scoring): Measured {
  if (rows === 0) return NOTHING_MEASURED
  const loss = { lossSumNats: (lossSumNats / rows) * EQUAL_ROWS }
  if (tallies) return { ...loss, ...equalScores(scores, tallies, { rows, correct }, EQUAL_ROWS) }
  return { ...loss, rows: EQUAL_ROWS, correct: Math.round((correct / rows) * EQUAL_ROWS) }
}

/** How many sites a masked sum's figures are the mean of, so that nobody reads its rows as people. */
export function sitesOf({ rows }: Pick<Evaluation, 'rows'>): number {
  return Math.round(rows / EQUAL_ROWS)
}

/** The mean update of a sum, and what the cohort measured. */
export type Figured = Pick<Looked, 'reports' | 'weight'> & { readonly evaluation: Evaluation }
type MeanUpdate = Figured & { readonly mean: Float64Array }

/**
 * From the ring back to reals, in float64 and in this order, so that everyone gets the same bits:
 *
 *     sum = S·(2C / (2^b − 1)) − m·C      mean = sum·(weightMax / W)      C of moving statistics: their own
 *
 * @param payload of its vectors; an evaluate round has 0 parameters and an empty mean
 */
export function dequantise(sum: RingVector, payload: Payload, quantiser: Quantiser): Result<MeanUpdate, RangeRefusal> {
  const { parameters, moving, scores } = payload
  assert(sum.length === lanesOf(widthOf(payload)), 'the sum has the lanes of its model')
  const check = new RangeCheck(limitsOf(payload, quantiser, quantiser.nMax))
  const refused = check.take(sum)
  if (refused) return refused
  const { reports, weight, evaluation, scores: lanes } = check.looked()
  const { range, movingRange, levels } = scaleOf(quantiser)
  const scale = quantiser.weightMax / weight
  const mean = new Float64Array(parameters)
  const unround = (from: number, to: number, furthest: number) => {
    const step = (2 * furthest) / levels
    const offset = reports * furthest
    for (let i = from; i < to; i++) mean[i] = ((sum[HEADER_LANES + i] as number) * step - offset) * scale
  }
  unround(0, parameters - moving, range)
  unround(parameters - moving, parameters, movingRange)
  const asked = scores.metrics.length > 0
  const figures = asked ? { figures: figuresOf(scores, lanes, evaluation.rows) } : {}
  return accept({ reports, weight, evaluation: { ...evaluation, ...figures }, mean })
}

/** The static overflow check (R10): no lane of a sum of `nMax` reports can wrap. */
function isSound({ bits, weightMax, nMax }: Quantiser): boolean {
  return nMax * (2 ** bits - 1) < 2 ** 32 && nMax * weightMax < 2 ** 32
}

/** Most held-out rows of one report: at 64 nats each, a full cohort's loss still fits its lanes. */
export function evaluationRowsMax(quantiser: Quantiser): number {
  return Math.floor((2 ** 32 - 1) / (quantiser.nMax * LOSS_MAX_NATS))
}

/** What a vector may hold. @param reportsMax 1 for a single report, nMax for a sum */
export function limitsOf(payload: Payload, quantiser: Quantiser, reportsMax: number): VectorLimits {
  // Statistics measure no model: their evaluation lanes are zero.
  const integers = quantiser.rangeMicro === 0
  const rowsMax = integers ? 0 : evaluationRowsMax(quantiser)
  return { ...payload, reportsMax, weightMax: quantiser.weightMax, levels: levelsOf(quantiser), rowsMax, integers }
}

/** 2^b − 1, the largest lane of one report. */
function levelsOf({ bits }: Quantiser): number {
  return 2 ** bits - 1
}

/** `range` is C, and also the L2 bound of a delta; `movingRange` is that of each moving statistic. */
function scaleOf(quantiser: Quantiser) {
  const { rangeMicro, movingRangeMicro = rangeMicro } = quantiser
  assert(rangeMicro >= 1, 'reals have a range')
  return { range: rangeMicro / 1_000_000, movingRange: movingRangeMicro / 1_000_000, levels: levelsOf(quantiser) }
}

function isCount(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max
}
