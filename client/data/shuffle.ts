/** Words of a seeded stream, 0 to 2³² − 1. */
export type Words = () => number

/** Puts `items` into a random order, in place, every order equally likely: Fisher and Yates, as in Knuth's Algorithm P. */
export function shuffle<T extends number[] | Int32Array>(items: T, next: Words): T {
  for (let last = items.length - 1; last > 0; last--) {
    const other = below(last + 1, next)
    const kept = items[last] as number
    items[last] = items[other] as number
    items[other] = kept
  }
  return items
}

/** An integer from 0 to `bound` − 1: words past the last whole multiple of `bound` are drawn again, or low ones would be likelier. */
export function below(bound: number, next: Words): number {
  const fair = 2 ** 32 - (2 ** 32 % bound)
  for (;;) {
    const word = next()
    if (word < fair) return word % bound
  }
}
