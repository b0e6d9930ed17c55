import { uint32Stream } from '#aggregation/rng.ts'
import type { Bytes } from '#protocol/ids.ts'
import { shuffle } from './shuffle.ts'

/** A fifth is held out. */
const PARTS = 5

/**
 * The same rows for the same labels and seed, in every round: a fifth of the rows, and of every class as near a fifth as
 * whole rows allow (largest remainder, ties to the smaller class). Held-out rows come in random order, so that any first
 * part of them is a fair sample; rows to train on come ascending.
 * @param labels one class per row
 */
export function holdOut(
  labels: ArrayLike<number>,
  seed: Bytes,
): { readonly train: Int32Array; readonly heldOut: Int32Array } {
  const next = uint32Stream(seed)
  const classes = Map.groupBy(
    Array.from({ length: labels.length }, (_, row) => row),
    (row) => labels[row] as number,
  )
  const groups = [...classes.entries()].sort(([a], [b]) => a - b).map(([, rows]) => shuffle(rows, next))
  const counts = quotas(groups.map((rows) => rows.length))
  const heldOut = groups.flatMap((rows, index) => rows.slice(0, counts[index]))
  const train = groups.flatMap((rows, index) => rows.slice(counts[index]))
  return { train: Int32Array.from(train).sort(), heldOut: shuffle(Int32Array.from(heldOut), next) }
}

/** As many as ten, of five rows or more, by the order of their numbers: what is held out is of all sizes. */
export function strataOf(numbers: Float32Array): Int32Array {
  const order = Int32Array.from(numbers.keys()).sort((a, b) => (numbers[a] as number) - (numbers[b] as number) || a - b)
  const count = Math.min(STRATA, Math.max(1, Math.floor(numbers.length / PARTS)))
  const strata = new Int32Array(numbers.length)
  for (const [rank, row] of order.entries()) strata[row] = Math.floor((rank * count) / numbers.length)
  return strata
}

const STRATA = 10

/**
 * Of several labels, the rarest that a row has, counted from 1 (of equally rare ones the first), and 0 where it has none: a rare
 * one is then in both parts, where there are rows enough (after Sechidis et al. 2011). All that a row has together would be a
 * stratum of its own for nearly every row.
 */
export function strataOfLabels(labels: Float32Array, each: number): Int32Array {
  const counts = new Float64Array(each)
  for (const [at, label] of labels.entries()) if (label === 1) counts[at % each] = (counts[at % each] as number) + 1
  return Int32Array.from({ length: labels.length / each }, (_, row) => {
    let rarest = -1
    for (let of = 0; of < each; of++) {
      if (labels[row * each + of] !== 1) continue
      if (rarest < 0 || (counts[of] as number) < (counts[rarest] as number)) rarest = of
    }
    return rarest + 1
  })
}

function quotas(sizes: readonly number[]): readonly number[] {
  const total = Math.round(sizes.reduce((sum, size) => sum + size, 0) / PARTS)
  const counts = sizes.map((size) => Math.floor(size / PARTS))
  const short = total - counts.reduce((sum, count) => sum + count, 0)
  const byRemainder = sizes
    .map((_, index) => index)
    .sort((a, b) => ((sizes[b] as number) % PARTS) - ((sizes[a] as number) % PARTS) || a - b)
  for (const index of byRemainder.slice(0, short)) counts[index] = (counts[index] as number) + 1
  return counts
}
