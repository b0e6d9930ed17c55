/** Names of streams on their way to whoever listens. One that is lengthened often meanwhile is told of once. */
export class News {
  readonly #listeners = new Set<Listener>()

  tell(stream: string): void {
    for (const listener of this.#listeners) {
      listener.waiting.add(stream)
      listener.wake.resolve()
    }
  }

  async *heard(signal: AbortSignal): AsyncIterable<string> {
    const listener: Listener = { waiting: new Set(), wake: Promise.withResolvers() }
    const stop = () => listener.wake.resolve()
    signal.addEventListener('abort', stop, { once: true })
    this.#listeners.add(listener)
    try {
      while (!signal.aborted) {
        for (const stream of listener.waiting) {
          listener.waiting.delete(stream)
          yield stream
          if (signal.aborted) return
        }
        await listener.wake.promise
        listener.wake = Promise.withResolvers()
      }
    } finally {
      this.#listeners.delete(listener)
      signal.removeEventListener('abort', stop)
    }
  }
}

type Listener = { readonly waiting: Set<string>; wake: PromiseWithResolvers<void> }
