import type { Millis } from '#protocol/ids.ts'

/** A node's frame numbers: growing, also over restarts, without a file: never below the clock. */
export type Sequence = { next(): number }

export function sequenceFrom(now: () => Millis): Sequence {
  let last = 0
  return {
    next: () => {
      last = Math.max(last + 1, now())
      return last
    },
  }
}
