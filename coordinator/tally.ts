import { accumulate } from '#aggregation/accumulate.ts'
import { type RingSum, ringSum, TILES } from '#aggregation/kernels/ring.ts'
import { lanesOf } from '#aggregation/vector.ts'
import { assert } from '#protocol/assert.ts'
import type { Cid, Round, RunId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { BlobStore } from '#protocol/ports.ts'
import type { Run } from './run.ts'

/**
 * Adds up the vectors of open rounds as their reports come in, while others still train and upload: at the end of a round
 * only what came last is to be added. Each is read piece by piece, so a round holds one sum and a piece of four vectors.
 *
 * A shortcut, of which nothing depends: a vector that another process heard of, that found no room, or that could not be
 * read is added at the end from where it lies. The sum is the same, since it is exact in any order.
 */
export class Tally {
  readonly #limits: TallyLimits
  readonly #sums = new Map<RunId, RunningSum>()
  #bytes = 0

  constructor(limits: TallyLimits = TALLY_LIMITS) {
    this.#limits = limits
  }

  /** Bytes of all sums. */
  get sizeBytes(): number {
    return this.#bytes
  }

  /** The seat's report counts: its vector is added behind. A vector that is quickly read is left to the end. @param width of its payload */
  add(run: RunId, round: Round, { width, ...vector }: ReportedVector & { readonly width: number }): void {
    const lanes = lanesOf(width)
    if (lanes * LANE_BYTES < this.#limits.leastBytes) return
    const known = this.#sums.get(run)
    if (known && known.round !== round) this.#drop(run)
    const sum = this.#sums.get(run) ?? this.#begin(run, round, lanes)
    assert(sum === undefined || sum.lanes === lanes, 'the vectors of a round are of one length')
    sum?.add(vector)
  }

  /**
   * What has been added of these, once what is being added is done; then it is the caller's, and a second caller finds
   * none. Undefined where there is none, or where it holds anything else.
   *
   * @param vectors by seat
   */
  async take(run: RunId, round: Round, vectors: ReadonlyMap<number, Cid>): Promise<BegunSum | undefined> {
    const sum = this.#sums.get(run)
    if (sum?.round !== round) return undefined
    await sum.settle()
    if (this.#sums.get(run) !== sum) return undefined
    this.#drop(run)
    const isWhole = !sum.isBroken && [...sum.added].every(([seat, vector]) => vectors.get(seat) === vector)
    return isWhole ? { sum: sum.sum, seats: new Set(sum.added.keys()) } : undefined
  }

  /** Where the run stands now: a sum of another round than the open one is nobody's any more. */
  forget({ spec, round }: Run): void {
    const sum = this.#sums.get(spec.run)
    if (sum && sum.round !== round?.round) this.#drop(spec.run)
  }

  #begin(run: RunId, round: Round, lanes: number): RunningSum | undefined {
    if (this.#bytes + lanes * LANE_BYTES > this.#limits.bytesMax) return undefined
    const sum = new RunningSum(round, lanes)
    this.#sums.set(run, sum)
    this.#bytes += lanes * LANE_BYTES
    return sum
  }

  #drop(run: RunId): void {
    const sum = this.#sums.get(run)
    if (!sum) return
    sum.stop()
    this.#sums.delete(run)
    this.#bytes -= sum.lanes * LANE_BYTES
  }
}

/** A sum that has begun, and the seats whose vectors are in it. */
export type BegunSum = { readonly sum: RingSum; readonly seats: ReadonlySet<number> }

export type ReportedVector = {
  readonly seat: number
  readonly vector: Cid
  /** Where it lies. */
  readonly store: Pick<BlobStore, 'get'>
}

export type TallyLimits = {
  /** Of all sums together; a round that finds no room is summed at its end. */
  readonly bytesMax: number
  /** A shorter vector is not worth the while. */
  readonly leastBytes: number
}

const LANE_BYTES = 4
const TALLY_LIMITS: TallyLimits = { bytesMax: 1024 ** 3, leastBytes: BLOCK_BYTES_MAX }

/** One round's. */
class RunningSum {
  readonly round: Round
  readonly lanes: number
  readonly sum: RingSum
  readonly added = new Map<number, Cid>()
  /** Whether a vector could not be read to its end: part of it may be in the sum. */
  isBroken = false
  readonly #waiting = new Map<number, ReportedVector>()
  readonly #stopping = new AbortController()
  #working: Promise<void> | undefined

  constructor(round: Round, lanes: number) {
    this.round = round
    this.lanes = lanes
    this.sum = ringSum(lanes)
  }

  add(vector: ReportedVector): void {
    if (this.isBroken || this.added.has(vector.seat)) return
    this.#waiting.set(vector.seat, vector)
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined
    })
  }

  /** Begins nothing more. */
  async settle(): Promise<void> {
    this.#waiting.clear()
    await this.#working
  }

  stop(): void {
    this.#waiting.clear()
    this.#stopping.abort()
  }

  /** As many at a time as are added abreast. Never rejects. */
  async #work(): Promise<void> {
    try {
      while (this.#waiting.size > 0) {
        const abreast = [...this.#waiting.values()].slice(0, TILES)
        for (const { seat } of abreast) this.#waiting.delete(seat)
        const range = { limitBytes: this.lanes * LANE_BYTES }
        const vectors = abreast.map(({ store, vector }) => store.get(vector, range, this.#stopping.signal))
        const summed = await accumulate(vectors, this.lanes, this.sum)
        if (!summed.ok) return this.#break()
        for (const { seat, vector } of abreast) this.added.set(seat, vector)
      }
    } catch {
      // The world's fault, or a round that is over: whoever sums at the end meets it again, if it matters.
      this.#break()
    }
  }

  #break(): void {
    this.isBroken = true
    this.#waiting.clear()
  }
}
