import type { Millis } from '#protocol/ids.ts'

/**
 * Who is passed over. Whoever fails is left alone for a while, each time in a row for twice as long, and then asked by one
 * alone, while the others go on without it until that has turned out well.
 */
export class Standing {
  readonly #trialMillis: Millis
  /** Those that failed last, the earliest first. */
  readonly #fallen = new Map<string, Fallen>()

  /** @param trialMillis how long an answer may take */
  constructor(trialMillis: Millis) {
    this.#trialMillis = trialMillis
  }

  /** Whether to ask it now. */
  admits(name: string, now: Millis): boolean {
    const fallen = this.#fallen.get(name)
    if (!fallen) return true
    if (now < fallen.until) return false
    this.#fallen.set(name, { ...fallen, until: now + this.#trialMillis, onTrial: true })
    return true
  }

  kept(name: string): void {
    this.#fallen.delete(name)
  }

  /** What several asked at once and did not get is one failure. @param leastMillis it said that it wants to be left alone for so long */
  failed(name: string, now: Millis, leastMillis: Millis = 0): void {
    const before = this.#fallen.get(name)
    if (before && !before.onTrial && now < before.until) return
    const failures = Math.min((before?.failures ?? 0) + 1, FAILURES_MAX)
    const pauseMillis = Math.max(leastMillis, FIRST_MILLIS * 2 ** (failures - 1))
    this.#fallen.delete(name)
    this.#fallen.set(name, { failures, until: now + pauseMillis, onTrial: false })
    for (const earliest of this.#fallen.keys()) {
      if (this.#fallen.size <= NAMES_MAX) return
      this.#fallen.delete(earliest)
    }
  }
}

type Fallen = { readonly failures: number; readonly until: Millis; readonly onTrial: boolean }

const FIRST_MILLIS: Millis = 2000
/** The last pause is 2 s · 2⁸, eight minutes and a half. */
const FAILURES_MAX = 9
const NAMES_MAX = 1024
