import { assert } from '#protocol/assert.ts'
import type { Quantiser } from '#protocol/plan.ts'
import type { Item, Question } from '#protocol/question.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { NO_SCORES } from '../metrics/scoring.ts'
import { limitsOf } from '../quantise.ts'
import { RangeCheck, type RangeRefusal } from '../ranges.ts'
import { HEADER_LANES, lanesOf, type Payload, type RingVector, widthOf } from '../vector.ts'
import { isPublishable, maximaOf, numbersOf, type Tally, tallyOf } from './tally.ts'

/**
 * A question's numbers in the vector's payload, item after item, each cut into limbs of b bits, the lowest first. A lane of
 * one site is at most 2^b − 1, so no sum of nMax sites wraps, and the limbs' sums, put together again, are the number's.
 * That tells a little more than the sum does: how often the limbs carried, at most log₂ m bits a limb.
 */
export function encodeTallies(question: Question, tallies: readonly Tally[], quantiser: Quantiser): RingVector {
  assert(tallies.length === question.items.length, 'every item is answered')
  const lanes = new Uint32Array(lanesOf(widthOf(payloadOf(question, quantiser))))
  lanes.set([1, 1])
  let at = HEADER_LANES
  for (const [index, item] of question.items.entries()) {
    const tally = tallies[index] as Tally
    assert(isPublishable(tally, question), 'a cell of too few rows never leaves its site')
    const numbers = numbersOf(tally)
    for (const [place, max] of maximaOf(item).entries()) {
      const limbs = limbsOf(max, quantiser)
      cut(numbers[place] as bigint, max, quantiser, lanes.subarray(at, at + limbs))
      at += limbs
    }
  }
  return lanes
}

/** What all sites counted together. Sums no sites can have made are refused when they are read. */
export function decodeTallies(
  question: Question,
  sum: RingVector,
  quantiser: Quantiser,
): Result<{ readonly sites: number; readonly tallies: readonly Tally[] }, RangeRefusal | 'wrong-length'> {
  const payload = payloadOf(question, quantiser)
  const lanes = lanesOf(widthOf(payload))
  if (sum.length !== lanes) return refuse('wrong-length', `${sum.length} lanes, the question's answers have ${lanes}`)
  const check = new RangeCheck(limitsOf(payload, quantiser, quantiser.nMax))
  const refused = check.take(sum)
  if (refused) return refused
  const { reports: sites } = check.looked()
  const tallies: Tally[] = []
  let at = HEADER_LANES
  for (const [index, item] of question.items.entries()) {
    const numbers: bigint[] = []
    for (const max of maximaOf(item)) {
      const limbs = limbsOf(max, quantiser)
      const number = join(sum.subarray(at, at + limbs), quantiser)
      if (number > BigInt(sites) * max) return refuse('out-of-range', `item ${index}: more than ${sites} sites can say`)
      numbers.push(number)
      at += limbs
    }
    tallies.push(tallyOf(item, numbers))
  }
  return accept({ sites, tallies })
}

/** What an answer's vector carries: whole numbers where a model's update has its coordinates, and nothing measured. */
export function payloadOf(question: Question, quantiser: Quantiser): Payload {
  const parameters = question.items.reduce((lanes, item) => lanes + lanesFor(item, quantiser), 0)
  return { parameters, moving: 0, scores: NO_SCORES }
}

function lanesFor(item: Item, quantiser: Quantiser): number {
  return maximaOf(item).reduce((lanes, max) => lanes + limbsOf(max, quantiser), 0)
}

function limbsOf(max: bigint, { bits }: Quantiser): number {
  return Math.ceil(max.toString(2).length / bits)
}

function cut(number: bigint, max: bigint, { bits }: Quantiser, into: RingVector): void {
  assert(number >= 0n && number <= max, 'a site counts no more than it may')
  for (let limb = 0, rest = number; limb < into.length; limb++, rest >>= BigInt(bits))
    into[limb] = Number(BigInt.asUintN(bits, rest))
}

function join(limbs: RingVector, { bits }: Quantiser): bigint {
  return limbs.reduceRight((number, limb) => (number << BigInt(bits)) + BigInt(limb), 0n)
}
