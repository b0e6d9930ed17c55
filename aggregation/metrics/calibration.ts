import { type Bins, edgesOf } from './bins.ts'
import type { Bounded } from './ranking.ts'

/** Equal groups of probability: as many whole bins as there are. */
const GROUPS = 16

/**
 * Expected calibration error (Naeini et al. 2015): over sixteen equal groups of probability, the mean distance, by rows, of how
 * probable a group's rows were said to be from how many of them were so. Of many classes it is about the largest probability
 * (Guo et al. 2017).
 *
 * A row counts with the middle of its bin, which is half a bin's width from its probability at most; so the error is off by no
 * more than the mean of these halves.
 *
 * @param hits rows by bin of which it was so
 * @param misses those of which it was not
 */
export function calibrationError(bins: Bins, hits: Float64Array, misses: Float64Array): Bounded {
  const edges = edgesOf(bins)
  const [said, was] = [new Float64Array(GROUPS), new Float64Array(GROUPS)]
  let [all, off, within] = [0, 0, 0]
  for (const [bin, hit] of hits.entries()) {
    const rows = hit + (misses[bin] as number)
    const [lower, upper] = [edges[bin] as number, edges[bin + 1] as number]
    const group = Math.floor(((lower + upper) / 2) * GROUPS)
    said[group] = (said[group] as number) + rows * ((lower + upper) / 2)
    was[group] = (was[group] as number) + hit
    within += rows * ((upper - lower) / 2)
    all += rows
  }
  for (const [group, sum] of said.entries()) off += Math.abs(sum - (was[group] as number))
  return all === 0 ? null : { value: off / all, within: within / all }
}
