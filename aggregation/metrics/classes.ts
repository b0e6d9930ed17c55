import { ratio } from './ranking.ts'

/** Rows by class, and by the class that they are taken for. */
export type Confusion = { readonly classes: number; readonly cells: Float64Array }

/** The mean over classes of the share that is taken for its own; classes that no row is of are left out. */
export function balancedAccuracy(confusion: Confusion): number | null {
  return meanOf(countsOf(confusion).map(({ right, rows }) => ratio(right, rows)))
}

/** The mean over classes of each one's F1; classes that no row is of, and that none is taken for, are left out. */
export function macroF1(confusion: Confusion): number | null {
  return meanOf(countsOf(confusion).map(({ right, rows, taken }) => ratio(2 * right, rows + taken)))
}

function countsOf({ classes, cells }: Confusion) {
  return Array.from({ length: classes }, (_, of) => {
    let [rows, taken] = [0, 0]
    for (let other = 0; other < classes; other++) {
      rows += cells[of * classes + other] as number
      taken += cells[other * classes + of] as number
    }
    return { right: cells[of * (classes + 1)] as number, rows, taken }
  })
}

/** Of what is defined; null where nothing is. Summed from the first to the last. */
export function meanOf(values: readonly (number | null)[]): number | null {
  const defined = values.filter((value) => value !== null)
  return ratio(
    defined.reduce((sum, value) => sum + value, 0),
    defined.length,
  )
}
