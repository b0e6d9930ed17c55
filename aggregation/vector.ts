import { assert } from '#protocol/assert.ts'
import { copyOf } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { Purpose } from '#protocol/plan.ts'
import { type Scoring, scoreLanesOf } from './metrics/scoring.ts'

/** Lanes of Z/2^32. Unsigned wrap-around is the arithmetic, not an overflow. */
export type RingVector = Uint32Array

/**
 * The layout, every lane a little-endian u32 (docs/protocol.md, "The vector"):
 *
 *     0  weight              8 …      d payload lanes: one per parameter, then the scores that the task asks for
 *     1  1 per report        8+d …    rows, correct, loss high, loss low: the incoming model on held-out rows
 *     2 … 7  zero            …        zeros up to a multiple of 16 bytes, then 4 zero check lanes
 *
 * Everything is summed alike, so lane 1 of a sum counts its reports. Loss is Σ nats × 2^16 as an integer, in two lanes of
 * 16 bits each so that a sum of thousands of reports fits.
 */
export const HEADER_LANES = 8
export const EVALUATION_LANES = 4
const CHECK_LANES = 4

/** One nat in the loss lanes, and what the high one counts in. */
export const LOSS_ONE = 65_536

/** Lanes per 16 bytes: one SIMD register, and one AES block once vectors are masked. */
const BLOCK_LANES = 4

/** What a vector carries: whoever looks into its lanes, and not only at how many there are, needs to know. */
export type Payload = {
  /** Coordinates that are rounded reals; of a question's answers, whole numbers. */
  readonly parameters: number
  /** The last of them: moving statistics, which have a range of their own and are in no norm. */
  readonly moving: number
  readonly scores: Scoring
}

/** What the vectors of a round carry: where it only evaluates there is no delta. */
export function payloadIn(purpose: Purpose, payload: Payload): Payload {
  return purpose === 'evaluate' ? { ...payload, parameters: 0, moving: 0 } : payload
}

/** d: lanes between the header and the evaluation. */
export function widthOf({ parameters, scores }: Omit<Payload, 'moving'>): number {
  return parameters + scoreLanesOf(scores)
}

/** Payload and evaluation, with their padding. */
export function payloadLanes(width: number): number {
  return Math.ceil((width + EVALUATION_LANES) / BLOCK_LANES) * BLOCK_LANES
}

/** All lanes of a vector. @param width of its payload, d */
export function lanesOf(width: number): number {
  return HEADER_LANES + payloadLanes(width) + CHECK_LANES
}

export function vectorBytesOf(width: number): number {
  return lanesOf(width) * 4
}

export const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

/** Shares the lanes' memory where the machine is little-endian. */
export function encodeLanes(lanes: RingVector): Bytes {
  if (LITTLE_ENDIAN) return new Uint8Array(lanes.buffer, lanes.byteOffset, lanes.byteLength)
  const out = new DataView(new ArrayBuffer(lanes.byteLength))
  for (const [index, lane] of lanes.entries()) out.setUint32(index * 4, lane, true)
  return new Uint8Array(out.buffer)
}

/** Shares the bytes' memory where they are aligned and the machine is little-endian. @param bytes whole lanes */
export function decodeLanes(bytes: Bytes): RingVector {
  assert(bytes.length % 4 === 0, 'bytes hold whole lanes')
  if (LITTLE_ENDIAN && bytes.byteOffset % 4 === 0)
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  const from = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Uint32Array.from({ length: bytes.length / 4 }, (_, index) => from.getUint32(index * 4, true))
}

/** Reads lanes out of a stream cut anywhere: each call answers the lanes that its piece completes. */
export function laneReader(): (piece: Bytes) => RingVector {
  let rest: Bytes = new Uint8Array(0)
  return (piece) => {
    let bytes = piece
    if (rest.length > 0) {
      bytes = new Uint8Array(rest.length + piece.length)
      bytes.set(rest)
      bytes.set(piece, rest.length)
    }
    const whole = bytes.length - (bytes.length % 4)
    rest = copyOf(bytes.subarray(whole))
    return decodeLanes(bytes.subarray(0, whole))
  }
}
