import type { CallOptions, Transport } from './transport.ts'
import type { PageView } from './views/page.ts'

export type ListOptions = CallOptions & {
  /** Of a page, not of the list. */
  readonly limit?: number
  /** `next` of the page before. */
  readonly after?: string
}

/** A list of the API, however many pages it has: each is asked for when the one before has been read. */
export class Listing<T, V = T> implements AsyncIterable<T> {
  readonly #transport: Transport
  readonly #path: string
  readonly #options: ListOptions & { readonly query?: Readonly<Record<string, string | undefined>> }
  readonly #made: (view: V) => T

  constructor(
    transport: Transport,
    path: string,
    options: ListOptions & { readonly query?: Readonly<Record<string, string | undefined>> },
    made: (view: V) => T,
  ) {
    this.#transport = transport
    this.#path = path
    this.#options = options
    this.#made = made
  }

  /** One page. @param after `next` of the one before */
  async page(after: string | undefined = this.#options.after): Promise<PageView<T>> {
    const { limit, query, signal } = this.#options
    const page = await this.#transport.json<PageView<V>>(this.#path, { query: { ...query, limit, after }, signal })
    return { ...page, data: page.data.map(this.#made) }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (let after = this.#options.after; ; ) {
      const { data, next } = await this.page(after)
      yield* data
      if (next === null) return
      after = next
    }
  }
}

/** Of lists that are handed over as they come. */
export function same<T>(view: T): T {
  return view
}
