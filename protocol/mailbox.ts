/** Things that happened and wait to be pulled, in their order. One reader; the writer bounds `size` where a peer writes. */
export class Mailbox<T> {
  readonly #waiting: T[] = []
  #wake = Promise.withResolvers<void>()

  get size(): number {
    return this.#waiting.length
  }

  push(item: T): void {
    this.#waiting.push(item)
    this.#wake.resolve()
  }

  /** Ends when the signal fires. */
  async *items(signal: AbortSignal): AsyncIterable<T> {
    const stop = () => this.#wake.resolve()
    signal.addEventListener('abort', stop, { once: true })
    while (!signal.aborted) {
      const item = this.#waiting.shift()
      if (item !== undefined) {
        yield item
        continue
      }
      await this.#wake.promise
      this.#wake = Promise.withResolvers<void>()
    }
    signal.removeEventListener('abort', stop)
  }
}
