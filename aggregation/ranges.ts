import { assert } from '#protocol/assert.ts'
import { LOSS_MAX_NATS } from '#protocol/limits.ts'
import { refuse } from '#protocol/result.ts'
import { mistakeInScores } from './metrics/lanes.ts'
import { scoreLanesOf } from './metrics/scoring.ts'
import { EVALUATION_LANES, HEADER_LANES, LOSS_ONE, lanesOf, type Payload, type RingVector, widthOf } from './vector.ts'

export type RangeRefusal = 'bad-header' | 'bad-check-lanes' | 'out-of-range' | 'bad-evaluation' | 'bad-scores'
type Refused = ReturnType<typeof refuse<RangeRefusal>>

/** What a vector says of itself, once all of it was looked at. */
export type Looked = {
  readonly reports: number
  readonly weight: number
  readonly evaluation: { readonly rows: number; readonly correct: number; readonly lossQ16: number }
  /** The score lanes. */
  readonly scores: RingVector
}

export type VectorLimits = Payload & {
  readonly reportsMax: number
  readonly weightMax: number
  /** 2^b − 1. */
  readonly levels: number
  /** Held-out rows of one report. */
  readonly rowsMax: number
  /** Lanes are whole numbers, not rounded reals: there is no norm to be within. */
  readonly integers: boolean
}

/** Stochastic rounding moves a lane by less than one step; the rest is for float64's own rounding. */
const STEP = 1.001

/**
 * Every range rule of the vector (secure-aggregation R10), for one report and for a sum alike; lanes come in order, in
 * pieces of any size. With m reports of weight W in all, and h = (2^b − 1)/2 the lane of a zero coordinate:
 *
 *     1 ≤ m ≤ reportsMax          m ≤ W ≤ m·weightMax
 *     lane ≤ m·(2^b − 1)          |lane − m·h| ≤ h·W/weightMax + m          ‖lanes − m·h‖₂ ≤ h·W/weightMax + m·√p
 *
 * The last two say that the mean is within the clip norm, but for the rounding of m reports: a light report cannot weigh
 * like a heavy one. The norm is of the p parameters that gradients move: of moving statistics each is within their range, by
 * the rule before. By the triangle inequality a sum keeps them when each report does. Whole numbers (statistics) have no
 * norm, and keep the other rules. Scores have rules of their own (`metrics/lanes.ts`), which a sum keeps likewise.
 */
export class RangeCheck {
  readonly #limits: VectorLimits
  readonly #header = new Uint32Array(HEADER_LANES)
  readonly #scores: RingVector
  readonly #tail: RingVector
  #at = 0
  #squares = 0

  constructor(limits: VectorLimits) {
    this.#limits = limits
    this.#scores = new Uint32Array(scoreLanesOf(limits.scores))
    this.#tail = new Uint32Array(lanesOf(widthOf(limits)) - HEADER_LANES - widthOf(limits))
  }

  /** Looks at the next lanes. After a refusal the rest does not matter. */
  take(piece: RingVector): Refused | undefined {
    let from = 0
    while (from < piece.length) {
      const room = HEADER_LANES + this.#limits.parameters - this.#at
      const inPayload = this.#at >= HEADER_LANES && room > 0
      const taken = inPayload ? Math.min(room, piece.length - from) : 1
      const refused = inPayload
        ? this.#payload(piece.subarray(from, from + taken))
        : this.#edge(this.#at, piece[from] as number)
      if (refused) return refused
      from += taken
      this.#at += taken
    }
    return undefined
  }

  /** Of a whole vector that was not refused. */
  looked(): Looked {
    assert(this.#at === lanesOf(widthOf(this.#limits)), 'every lane was looked at')
    const [rows, correct] = this.#tail as unknown as readonly [number, number]
    const evaluation = { rows, correct, lossQ16: this.#loss }
    return { reports: this.#reports, weight: this.#weight, evaluation, scores: this.#scores }
  }

  get #weight(): number {
    return this.#header[0] as number
  }

  get #reports(): number {
    return this.#header[1] as number
  }

  /** Exact: below 2^32 · 2^16 + 2^32. */
  get #loss(): number {
    return (this.#tail[2] as number) * LOSS_ONE + (this.#tail[3] as number)
  }

  /** h, and how far a coordinate may be from zero without rounding, in steps. */
  get #middle(): { readonly half: number; readonly reach: number } {
    const half = this.#limits.levels / 2
    return { half, reach: (half * this.#weight) / this.#limits.weightMax }
  }

  #edge(at: number, lane: number): Refused | undefined {
    if (at < HEADER_LANES) {
      this.#header[at] = lane
      return at === HEADER_LANES - 1 ? this.#checkHeader() : undefined
    }
    const score = at - HEADER_LANES - this.#limits.parameters
    if (score < this.#scores.length) {
      this.#scores[score] = lane
      return undefined
    }
    const place = score - this.#scores.length
    assert(place < this.#tail.length, 'nothing comes after the check lanes')
    this.#tail[place] = lane
    if (place < this.#tail.length - 1) return undefined
    return this.#checkNorm() ?? this.#checkTail() ?? this.#checkScores()
  }

  #checkHeader(): Refused | undefined {
    const [reports, weight] = [this.#reports, this.#weight]
    if (reports < 1 || reports > this.#limits.reportsMax)
      return refuse('bad-header', `${reports} reports, at least 1 and at most ${this.#limits.reportsMax}`)
    if (weight < reports || weight > reports * this.#limits.weightMax)
      return refuse('bad-header', `weight ${weight} of ${reports} reports, each at most ${this.#limits.weightMax}`)
    if (this.#header.subarray(2).some((lane) => lane !== 0)) return refuse('bad-header', 'lanes 2 to 7 are zero')
    return undefined
  }

  /** Parameters that the norm is of. */
  get #normed(): number {
    return this.#limits.parameters - this.#limits.moving
  }

  #payload(lanes: RingVector): Refused | undefined {
    const { half, reach } = this.#middle
    const largest = this.#reports * this.#limits.levels
    const zero = this.#reports * half
    const furthest = this.#limits.integers ? Number.POSITIVE_INFINITY : reach + this.#reports * STEP
    const normed = this.#normed - (this.#at - HEADER_LANES)
    for (let i = 0; i < lanes.length; i++) {
      const lane = lanes[i] as number
      const steps = lane - zero
      if (lane > largest || Math.abs(steps) > furthest)
        return refuse('out-of-range', `parameter ${this.#at - HEADER_LANES + i} is ${lane}`)
      if (i < normed) this.#squares += steps * steps
    }
    return undefined
  }

  #checkNorm(): Refused | undefined {
    if (this.#limits.integers) return undefined
    const furthest = this.#middle.reach + this.#reports * STEP * Math.sqrt(this.#normed)
    return Math.sqrt(this.#squares) > furthest ? refuse('out-of-range', 'longer than the clip norm') : undefined
  }

  #checkTail(): Refused | undefined {
    const [rows, correct, , lossLow] = this.#tail as unknown as readonly [number, number, number, number]
    if (this.#tail.subarray(EVALUATION_LANES).some((lane) => lane !== 0))
      return refuse('bad-check-lanes', 'padding and check lanes are zero')
    if (rows > this.#reports * this.#limits.rowsMax || correct > rows)
      return refuse('bad-evaluation', `${correct} of ${rows} rows right`)
    if (lossLow >= this.#reports * LOSS_ONE || this.#loss > rows * LOSS_MAX_NATS * LOSS_ONE)
      return refuse('bad-evaluation', `a loss of ${this.#loss / LOSS_ONE} nats over ${rows} rows`)
    return undefined
  }

  #checkScores(): Refused | undefined {
    const [rows, correct] = this.#tail as unknown as readonly [number, number]
    const mistake = mistakeInScores(this.#limits.scores, this.#scores, { reports: this.#reports, rows, correct })
    return mistake ? refuse('bad-scores', mistake) : undefined
  }
}
