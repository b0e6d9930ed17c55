/** A task that cannot be said: what is wrong with it, and how to mend it. */
export class TaskError extends Error {
  override name = 'TaskError'
}

/** In millionths, as the protocol has reals. Throws where that is not exactly the number. */
export function micro(value: number, what: string): number {
  return scaled(value, 1e6, what, 'millionths')
}

export function nano(value: number, what: string): number {
  return scaled(value, 1e9, what, 'billionths')
}

/** A task is signed, and everybody has to read the same number from it: nothing is rounded in silence. */
function scaled(value: number, parts: number, what: string, unit: string): number {
  const whole = Math.round(value * parts)
  if (Number.isSafeInteger(whole) && whole / parts === value) return whole
  throw new TaskError(`${what} is told in ${unit}, and ${value} is not a whole number of them`)
}
