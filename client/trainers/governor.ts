import type { Millis } from '#protocol/ids.ts'
import { DutyCycle } from './duty-cycle.ts'

/** The words that a training thread shares with whoever governs it. */
const STATE = 0
const SHARE = 1
const RESTING = 2
/** What the first one says. A stop is final. */
const GO = 0
const WAIT = 1
const STOP = 2
/** The second one is in these. */
const WHOLE = 1000
/** The third one is the thread's own: this while it waits for the first one to change, and 0 while it works. */
const RESTS = 1

/** Governs a thread while it trains, between any two batches: a message to it would wait until it is idle. */
export class Governor {
  readonly words = new Int32Array(new SharedArrayBuffer(12))

  /** @param share of the time that it may work, above 0 and at most 1 */
  constructor(share: number) {
    this.words[SHARE] = Math.max(1, Math.round(share * WHOLE))
  }

  suspend(isSuspended: boolean): void {
    const [from, to] = isSuspended ? [GO, WAIT] : [WAIT, GO]
    if (Atomics.compareExchange(this.words, STATE, from, to) === from) Atomics.notify(this.words, STATE)
  }

  /** Whether the thread does nothing, until it is told something else. */
  get isResting(): boolean {
    return Atomics.load(this.words, RESTING) === RESTS
  }

  stop(): void {
    Atomics.store(this.words, STATE, STOP)
    Atomics.notify(this.words, STATE)
  }
}

/** Thrown at the next checkpoint of a thread that was stopped. */
export class Stopped extends Error {}

export type GovernedDoors = {
  readonly now: () => Millis
  /** Until the first word is another one, or as long as it is told. */
  readonly sleep: (words: Int32Array, word: number, millis: Millis) => void
}

const threadDoors: GovernedDoors = {
  now: () => performance.now(),
  sleep: (words, word, millis) => void Atomics.wait(words, STATE, word, millis),
}

/** The thread's side: to be called between any two batches. Returns when the thread may go on, or throws {@link Stopped}. */
export function checkpointBy(words: Int32Array, { now, sleep }: GovernedDoors = threadDoors): () => void {
  const cycle = new DutyCycle((words[SHARE] as number) / WHOLE)
  let since = now()
  return () => {
    const began = now()
    const until = began + cycle.worked(began - since)
    for (;;) {
      const word = Atomics.load(words, STATE)
      if (word === STOP) throw new Stopped()
      const left = word === WAIT ? Number.POSITIVE_INFINITY : until - now()
      if (left <= 0) break
      if (word === WAIT) Atomics.store(words, RESTING, RESTS)
      sleep(words, word, left)
      Atomics.store(words, RESTING, 0)
    }
    since = now()
    cycle.rested(since - began)
  }
}
