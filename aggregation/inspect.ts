import type { Bytes } from '#protocol/ids.ts'
import type { Quantiser } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { limitsOf } from './quantise.ts'
import { RangeCheck, type RangeRefusal } from './ranges.ts'
import { laneReader, type Payload, vectorBytesOf, widthOf } from './vector.ts'

/**
 * Checks one plain vector as it streams by, holding no more than a piece of it. A plain report is looked at before it is
 * accepted, so that no sum of accepted reports can be refused later.
 */
export async function inspectVector(
  source: AsyncIterable<Bytes>,
  payload: Payload,
  quantiser: Quantiser,
): Promise<Result<{ readonly weight: number }, 'wrong-length' | RangeRefusal>> {
  const expectedBytes = vectorBytesOf(widthOf(payload))
  const check = new RangeCheck(limitsOf(payload, quantiser, 1))
  const lanesIn = laneReader()
  let seenBytes = 0
  for await (const piece of source) {
    seenBytes += piece.length
    if (seenBytes > expectedBytes) return refuse('wrong-length', `more than ${expectedBytes} bytes`)
    const refused = check.take(lanesIn(piece))
    if (refused) return refused
  }
  if (seenBytes < expectedBytes) return refuse('wrong-length', `${seenBytes} bytes of ${expectedBytes}`)
  return accept({ weight: check.looked().weight })
}
