import { z } from 'zod'
import { assert } from './assert.ts'
import { bytesField, cidField, count, millisField } from './codec.ts'
import type { Bytes, Millis } from './ids.ts'
import { PHASE_MILLIS_MAX } from './limits.ts'
import { REPETITION_EPOCHS, REPETITION_SAMPLES, referenceModelField } from './reference-models.ts'

/**
 * A node is asked to train a reference model, now, on data that nobody could know before, so many times; it answers with
 * the loss of every epoch. The asker trains a few of those repetitions itself, which it chooses after it has the answer:
 * who left some out to seem fast is found out by its numbers, at a fraction of the node's work.
 */
export const REPETITIONS_MAX = 512
/** What names a check: no two have one seed. */
export const seedField = bytesField(32)

export const measureFields = {
  model: referenceModelField,
  seed: seedField,
  repetitions: count(REPETITIONS_MAX, 1),
  closesAt: millisField,
}
export const measuredFields = {
  seed: seedField,
  /** The block that came along: {@link encodeCurve} of the losses of every epoch, repetition by repetition. */
  curve: cidField,
  /** By the node's own clock, from its first step to its last. */
  trainMillis: count(PHASE_MILLIS_MAX),
}

export const verdictField = z.enum(['confirmed', 'slower', 'wrong', 'unanswered'])
export type Verdict = z.output<typeof verdictField>

/** So long a node is kept at it, at the speed that it claims: long beside the way there and back. */
const WORK_MILLIS: Millis = 3000
/** Whoever claims to be so slow that one repetition takes longer is asked for another model. */
const REPETITION_MILLIS_MAX: Millis = 15_000
/** For the way there and back, for the queue at both ends and for a device that wakes up. */
const GRACE_MILLIS: Millis = 1000
/** A node may be half as fast as it says: it does other things, and was measured on another day. */
const SPEED_SHARE = 0.5
/** Then it is not waited for any longer. Later answers would say nothing but `slower`. */
const PATIENCE = 4

/** Relative, by epoch: backends add in another order, and the difference grows with every step. */
const LOSS_TOLERANCE = 5e-4
/** In nats, since float32 ends near there. */
const LOSS_TOLERANCE_NATS = 5e-6

/** How often a node that claims this speed repeats it; undefined where once would take too long. */
export function repetitionsFor(milliSamplesPerSecond: number): number | undefined {
  const perSecond = milliSamplesPerSecond / 1000 / REPETITION_SAMPLES
  if (perSecond * REPETITION_MILLIS_MAX < 1000) return undefined
  return Math.min(REPETITIONS_MAX, Math.max(1, Math.ceil((perSecond * WORK_MILLIS) / 1000)))
}

/** How long that takes by the claim. */
function claimedMillis({ repetitions, milliSamplesPerSecond }: Claim): Millis {
  return (repetitions * REPETITION_SAMPLES * 1_000_000) / milliSamplesPerSecond
}

/** Of a speed that {@link repetitionsFor} has a number for. */
export type Claim = { readonly repetitions: number; readonly milliSamplesPerSecond: number }

/** How long the answer is waited for. */
export function waitedMillis(claim: Claim): Millis {
  return Math.ceil(PATIENCE * (claimedMillis(claim) + GRACE_MILLIS))
}

/** Samples a second, in thousandths: at least so fast the node was, since its way there and back is in the time. */
export function observedSpeed({ repetitions }: Pick<Claim, 'repetitions'>, elapsedMillis: Millis): number {
  return Math.floor((repetitions * REPETITION_SAMPLES * 1_000_000) / Math.max(1, elapsedMillis))
}

/** Whether an answer that took so long, by the asker's clock, is one of the speed that was claimed. */
export function isAsFast(claim: Claim, elapsedMillis: Millis): boolean {
  return elapsedMillis <= GRACE_MILLIS + claimedMillis(claim) / SPEED_SHARE
}

/** Whether the losses of one repetition, in nats, are those that somebody else computed, on whatever backend. */
export function isSameCurve(told: readonly number[], computed: readonly number[]): boolean {
  assert(computed.length === REPETITION_EPOCHS, 'a repetition has so many epochs')
  return (
    told.length === computed.length &&
    computed.every((loss, epoch) => {
      const allowed = LOSS_TOLERANCE_NATS + loss * LOSS_TOLERANCE * (epoch + 1)
      // A loss that is no number is within no distance.
      return Math.abs((told[epoch] as number) - loss) <= allowed
    })
  )
}

/** Losses in nats as float32, little-endian: in a block, since no signed object holds floats. */
export function encodeCurve(losses: readonly number[]): Bytes {
  const out = new DataView(new ArrayBuffer(4 * losses.length))
  for (const [index, loss] of losses.entries()) out.setFloat32(4 * index, loss, true)
  return new Uint8Array(out.buffer)
}

/** Undefined where these are not as many losses as so many repetitions have. */
export function decodeCurve(bytes: Bytes, { repetitions }: Pick<Claim, 'repetitions'>): readonly number[] | undefined {
  if (bytes.length !== 4 * repetitions * REPETITION_EPOCHS) return undefined
  const from = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: bytes.length / 4 }, (_, index) => from.getFloat32(4 * index, true))
}
