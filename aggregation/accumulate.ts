import type { Bytes } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { ringSum } from './kernels/ring.ts'
import type { RingVector } from './vector.ts'

/**
 * The sum of vectors mod 2^32, lane by lane: exact, hence the same for any order of arrival and any cutting into pieces.
 * Holds one accumulator and one piece, whatever the cohort.
 *
 * @param lanes of every vector
 */
export async function accumulate(
  updates: AsyncIterable<AsyncIterable<Bytes>> | Iterable<AsyncIterable<Bytes>>,
  lanes: number,
): Promise<Result<RingVector, 'wrong-length'>> {
  const sum = ringSum(lanes)
  const sizeBytes = lanes * 4
  let place = 0
  for await (const update of updates) {
    let atBytes = 0
    for await (const piece of update) {
      if (atBytes + piece.length > sizeBytes)
        return refuse('wrong-length', `update ${place} has more than ${sizeBytes} bytes`)
      sum.add(atBytes, piece)
      atBytes += piece.length
    }
    if (atBytes < sizeBytes) return refuse('wrong-length', `update ${place} has ${atBytes} bytes of ${sizeBytes}`)
    place += 1
  }
  return accept(sum.lanes)
}
