/** A quantile read off cells, in the column's own unit; null where it lies beyond the outer edges, or nothing is known. */
export type Quantile = {
  readonly perMille: number
  /** As if rows lay evenly within their bin, and suppressed ones as the others do. */
  readonly estimate: number | null
  /** The quantile is certainly within these. */
  readonly low: number | null
  readonly high: number | null
}

/** @param cells rows below the first edge, in each bin, above the last edge */
type Counted = {
  readonly edgesMicro: readonly number[]
  readonly cells: readonly number[]
  /** Rows that lie in nobody knows which cell. */
  readonly suppressed: number
}

/**
 * The least value with at least p of all rows at or below it: the k-th smallest of N, k = ⌈p·N⌉. Of the k smallest at most
 * all W suppressed ones are unknown, so it is no less than the (k − W)-th smallest known one; and it is no more than the
 * k-th. Those two lie in bins, whose edges are the bounds.
 */
export function quantileOf(counted: Counted, perMille: number): Quantile {
  const { edgesMicro, cells, suppressed } = counted
  const known = cells.reduce((sum, rows) => sum + rows, 0)
  const rank = Math.max(1, Math.ceil((perMille * (known + suppressed)) / 1000))
  const low = edgeOf(edgesMicro, cellAt(cells, rank - suppressed) - 1)
  const high = edgeOf(edgesMicro, cellAt(cells, rank))
  const inner = interpolate(counted, (perMille * known) / 1000)
  const estimate = inner === null ? null : Math.min(Math.max(inner, low ?? inner), high ?? inner)
  return { perMille, estimate, low, high }
}

/** The cell of the rank-th smallest known value; before the first cell, or after the last, where there is no such value. */
function cellAt(cells: readonly number[], rank: number): number {
  if (rank < 1) return -1
  let below = 0
  for (const [cell, rows] of cells.entries()) {
    below += rows
    if (below >= rank) return cell
  }
  return cells.length
}

function interpolate({ edgesMicro, cells }: Counted, rank: number): number | null {
  const cell = cellAt(cells, Math.max(1, Math.ceil(rank)))
  const [from, to] = [edgeOf(edgesMicro, cell - 1), edgeOf(edgesMicro, cell)]
  if (from === null || to === null) return null
  const below = cells.slice(0, cell).reduce((sum, rows) => sum + rows, 0)
  return from + ((rank - below) / (cells[cell] as number)) * (to - from)
}

function edgeOf(edgesMicro: readonly number[], index: number): number | null {
  const edge = edgesMicro[index]
  return edge === undefined ? null : edge / 1_000_000
}
