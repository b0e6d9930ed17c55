import { UNITS_MAX } from './scoring.ts'

/** Sums over rows, in units of the label; those of labels are of y + 32, and of y². */
export type ErrorSums = {
  readonly rows: number
  readonly squares: number
  readonly labels: number
  readonly squaredLabels: number
}

/** The coefficient of determination: 1 − Σ (y − ŷ)² ÷ Σ (y − ȳ)², ȳ over all rows; null where all labels are one. */
export function r2({ rows, squares, labels, squaredLabels }: ErrorSums): number | null {
  if (rows === 0) return null
  const sum = labels - rows * UNITS_MAX
  const spread = squaredLabels - (sum * sum) / rows
  return spread > 0 ? 1 - squares / spread : null
}
