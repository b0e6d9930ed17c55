/** Of these figures a smaller one is better. */
const ERRORS: ReadonlySet<string> = new Set(['loss', 'calibration-error', 'brier', 'mae', 'rmse'])

/** Which of two values of a figure is the better one; undefined of one that is no better for being either. */
export function betterOf(figure: string): 'least' | 'most' | undefined {
  if (figure === 'f1-best-threshold') return undefined
  return ERRORS.has(figure) ? 'least' : 'most'
}
