/** Rows by bin, least probable first: of the class that is looked for, and of the others. */
export type Ranked = { readonly positives: Float64Array; readonly negatives: Float64Array }

/** A figure, and how far that of the unbinned rows can be from it; null where there is none. */
export type Bounded = { readonly value: number; readonly within: number } | null

/**
 * Area under the ROC curve by the trapezoidal rule, one point a bin (Fawcett 2006, algorithm 3): the share of pairs of a
 * positive and a negative in which the positive has the higher probability, ties by half (Hanley and McNeil 1982).
 *
 * A bin ties its pairs, which without it may count as none or as whole: so the area is off by half of them at most.
 */
export function auroc({ positives, negatives }: Ranked): Bounded {
  let [below, all, twice, tied] = [0, 0, 0, 0]
  for (const [bin, positive] of positives.entries()) {
    const negative = negatives[bin] as number
    // All whole numbers below 2⁵³, so that nothing is rounded before the division.
    twice += positive * (2 * below + negative)
    tied += positive * negative
    below += negative
    all += positive
  }
  const pairs = all * below
  return pairs === 0 ? null : { value: twice / (2 * pairs), within: tied / (2 * pairs) }
}

/**
 * Area under the precision-recall curve as average precision: the sum over bins, most probable first, of the precision down to
 * the bin times the recall that it adds. By steps, since a straight line between two points of this curve promises what no
 * threshold gives (Davis and Goadrich 2006).
 *
 * Rows of one bin may really come in any order. At best its positives come first, and all before one threshold; at worst they
 * come last, one by one.
 */
export function auprc({ positives, negatives }: Ranked): Bounded {
  const all = sum(positives)
  if (all === 0 || sum(negatives) === 0) return null
  let [value, most, least, truly, falsely] = [0, 0, 0, 0, 0]
  for (let bin = positives.length - 1; bin >= 0; bin--) {
    const [positive, negative] = [positives[bin] as number, negatives[bin] as number]
    if (positive > 0) {
      const above = truly + positive
      value += positive * (above / (above + falsely + negative))
      most += positive * (above / (above + falsely))
      least += sumOfPrecisions(truly, positive, falsely + negative)
    }
    truly += positive
    falsely += negative
  }
  return { value: value / all, within: Math.max(most - value, value - least) / all }
}

/**
 * No more than Σ (truly + i) ÷ (truly + i + falsely) over i = 1 … positives, in which i is a real position and grows by at
 * least one row each: terms grow, so that a block of them is no less than its first times their number.
 */
function sumOfPrecisions(truly: number, positives: number, falsely: number): number {
  const blocks = Math.min(positives, BLOCKS)
  let total = 0
  for (let block = 0; block < blocks; block++) {
    const from = Math.floor((positives * block) / blocks)
    const to = Math.floor((positives * (block + 1)) / blocks)
    const first = truly + from + 1
    total += (to - from) * (first / (first + falsely))
  }
  return total
}

/** A bin of a million positives is summed in as few steps as this. */
const BLOCKS = 64

/** What a threshold makes of all rows: a row is taken for a positive where its bin is at the threshold or above. */
export type Outcomes = {
  readonly truePositives: number
  readonly falsePositives: number
  readonly trueNegatives: number
  readonly falseNegatives: number
}

/** @param threshold the first bin that is taken for positive */
export function outcomesAt({ positives, negatives }: Ranked, threshold: number): Outcomes {
  return {
    truePositives: sum(positives.subarray(threshold)),
    falsePositives: sum(negatives.subarray(threshold)),
    trueNegatives: sum(negatives.subarray(0, threshold)),
    falseNegatives: sum(positives.subarray(0, threshold)),
  }
}

/** The harmonic mean of precision and recall; null where there is neither. */
export function f1({ truePositives, falsePositives, falseNegatives }: Outcomes): number | null {
  return ratio(2 * truePositives, 2 * truePositives + falsePositives + falseNegatives)
}

export function sensitivity({ truePositives, falseNegatives }: Outcomes): number | null {
  return ratio(truePositives, truePositives + falseNegatives)
}

export function specificity({ trueNegatives, falsePositives }: Outcomes): number | null {
  return ratio(trueNegatives, trueNegatives + falsePositives)
}

/**
 * The largest F1 that a threshold between bins gives, and that threshold's bin; of equal ones the highest. A threshold within a
 * bin could do better: at best it takes the bin's positives and none of its negatives.
 */
export function bestF1({ positives, negatives }: Ranked): { readonly f1: Bounded; readonly threshold: number | null } {
  const all = sum(positives)
  if (all === 0) return { f1: null, threshold: null }
  let [best, threshold, most, truly, falsely] = [-1, 0, 0, 0, 0]
  for (let bin = positives.length - 1; bin >= 0; bin--) {
    truly += positives[bin] as number
    most = Math.max(most, (2 * truly) / (truly + falsely + all))
    falsely += negatives[bin] as number
    const here = (2 * truly) / (truly + falsely + all)
    if (here > best) [best, threshold] = [here, bin]
  }
  return { f1: { value: best, within: most - best }, threshold }
}

export function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole
}

function sum(cells: Float64Array): number {
  return cells.reduce((total, cell) => total + cell, 0)
}
