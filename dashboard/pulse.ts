import { type ReadonlySignal, signal } from '@preact/signals'

/** Nobody reads faster than this, and a chart costs more to draw than an event to take in. */
const BEAT_MILLIS = 100

/** Tells that something changed, at once and then at most ten times a second. */
export class Pulse {
  readonly #beats = signal(0)
  #last = Number.NEGATIVE_INFINITY
  #waiting = false

  /** Read where something is drawn, so that it is drawn again. */
  get beats(): ReadonlySignal<number> {
    return this.#beats
  }

  beat(): void {
    if (this.#waiting) return
    const wait = this.#last + BEAT_MILLIS - performance.now()
    if (wait <= 0) return this.#now()
    this.#waiting = true
    setTimeout(() => this.#now(), wait)
  }

  #now(): void {
    this.#waiting = false
    this.#last = performance.now()
    this.#beats.value++
  }
}
