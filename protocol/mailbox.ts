/** Things that happened and wait to be pulled, in their order. One reader; the writer bounds `size` where a peer writes. */
export class Mailbox<T> {
  readonly #waiting: T[] = []
  #wake = Promise.withResolvers<void>()
  #taken = Promise.withResolvers<void>()

  get size(): number {
    return this.#waiting.length
  }

  push(item: T): void {
    this.#waiting.push(item)
    this.#wake.resolve()
  }

  /** Resolves when no more than so many wait, or when nobody reads any more. */
  async room(max: number, signal: AbortSignal): Promise<void> {
    while (this.#waiting.length > max && !signal.aborted) await this.#taken.promise
  }

  /** Ends when the signal fires. */
  async *items(signal: AbortSignal): AsyncIterable<T> {
    const stop = () => {
      this.#wake.resolve()
      this.#taken.resolve()
    }
    signal.addEventListener('abort', stop, { once: true })
    while (!signal.aborted) {
      const item = this.#waiting.shift()
      if (item !== undefined) {
        this.#taken.resolve()
        this.#taken = Promise.withResolvers()
        yield item
        continue
      }
      await this.#wake.promise
      this.#wake = Promise.withResolvers<void>()
    }
    signal.removeEventListener('abort', stop)
  }
}
