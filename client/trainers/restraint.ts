import type { Millis } from '#protocol/ids.ts'
import type { Conduct, Supervision } from '../conduct.ts'
import { Governor } from './governor.ts'

/** So long a batch may go on when its node may train no more: that is seen within 250 ms, and both within a second. */
const REST_MILLIS_MAX: Millis = 700

export type RestraintDoors = {
  /** Of the time that the thread may work: above 0 and at most 1. */
  readonly share: number
  readonly supervision: Supervision
  /** Stops the work for good. */
  readonly signal: AbortSignal
  /** Rejects when aborted. Not by the time of day, which may be set. */
  readonly sleep: (millis: Millis, signal: AbortSignal) => Promise<void>
  /** Ends the thread, whatever it does. */
  readonly end: () => Promise<void>
}

/**
 * What holds a thread back while it does one piece of work. It is asked to, between any two batches; a thread that has neither
 * answered nor come to rest soon after is ended, as in the middle of a batch that takes seconds.
 */
export class Restraint implements Disposable {
  readonly #doors: RestraintDoors
  readonly #governor: Governor
  readonly #watch: Disposable
  readonly #stop: () => void
  /** There while it is waited for the thread's rest. */
  #waiting: AbortController | undefined
  #gaveUp = false

  constructor(doors: RestraintDoors) {
    const { share, supervision, signal } = doors
    this.#doors = doors
    const governor = new Governor(share)
    this.#governor = governor
    this.#stop = () => governor.stop()
    signal.addEventListener('abort', this.#stop, { once: true })
    this.#watch = supervision.watch((conduct) => this.#follow(conduct))
  }

  get words(): Governor['words'] {
    return this.#governor.words
  }

  /** Whether the thread was ended. */
  get gaveUp(): boolean {
    return this.#gaveUp
  }

  #follow({ trains, answers }: Conduct): void {
    this.#governor.suspend(!trains)
    // Where it does not even answer, the thread is ended by then.
    if (trains || !answers) this.#waiting = void this.#waiting?.abort()
    else if (!this.#waiting) void this.#awaitRest()
  }

  async #awaitRest(): Promise<void> {
    const waiting = new AbortController()
    this.#waiting = waiting
    await this.#doors.sleep(REST_MILLIS_MAX, waiting.signal).catch(() => undefined)
    if (waiting.signal.aborted || this.#governor.isResting) return
    this.#gaveUp = true
    // One that leaves its GPU in order gets to its next checkpoint.
    this.#governor.stop()
    await this.#doors.end()
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
    this.#doors.signal.removeEventListener('abort', this.#stop)
    this.#waiting?.abort()
  }
}

/** In real time. */
export function realSleep(millis: Millis, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const timer = setTimeout(resolve, millis)
    const abort = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
  })
}
