import type { CategoriesItem, HistogramItem, MomentsItem } from '#protocol/question.ts'

/** A value in millionths, the unit of edges and bounds: the nearest one, so that 0.3 lies on the edge 0.3. */
function microOf(value: number): number {
  return Math.round(value * 1_000_000)
}

/** The cell that a value falls into. @param value not NaN: that is a missing one, and in no cell */
export function cellOf(item: HistogramItem | CategoriesItem, value: number): number {
  if (item.kind === 'categories') {
    const level = item.levels.indexOf(value)
    return level < 0 ? item.levels.length : level
  }
  const { edgesMicro } = item
  const micro = microOf(value)
  if (micro === edgesMicro.at(-1)) return edgesMicro.length - 1
  return countBelow(edgesMicro, micro)
}

/** How many edges are at or below: a search by halves, since every row of a site comes by. */
function countBelow(edges: readonly number[], micro: number): number {
  let [from, to] = [0, edges.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if ((edges[middle] as number) <= micro) from = middle + 1
    else to = middle
  }
  return from
}

/** A value in steps from the lower bound, halves up; a value beyond a bound is taken to it. */
export function stepOf({ lowMicro, highMicro, resolutionMicro }: MomentsItem, value: number): number {
  const offset = Math.min(Math.max(microOf(value), lowMicro), highMicro) - lowMicro
  const rest = offset % resolutionMicro
  return (offset - rest) / resolutionMicro + (2 * rest >= resolutionMicro ? 1 : 0)
}

export function isBeyond({ lowMicro, highMicro }: MomentsItem, value: number): boolean {
  const micro = microOf(value)
  return micro < lowMicro || micro > highMicro
}

/**
 * Cell suppression. A cell of fewer rows than `minCell` is not published; and where those hold fewer than `minCell` rows
 * together, neither is the smallest cell left, until they do (complementary suppression): else the column's rows minus the
 * published cells would give them away. So at every site the suppressed rows are none, or at least `minCell`.
 * @param rows by cell; at least `minCell` in all
 * @returns whether each cell is suppressed
 */
export function suppressionOf(rows: readonly number[], minCell: number): readonly boolean[] {
  const suppressed = rows.map(() => false)
  let hidden = 0
  const filled = rows.map((_, cell) => cell).filter((cell) => (rows[cell] as number) > 0)
  for (const cell of filled.sort((a, b) => (rows[a] as number) - (rows[b] as number) || a - b)) {
    const count = rows[cell] as number
    if (count >= minCell && (hidden === 0 || hidden >= minCell)) break
    suppressed[cell] = true
    hidden += count
  }
  return suppressed
}
