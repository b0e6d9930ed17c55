import type { Bytes } from './ids.ts'
import { Mailbox } from './mailbox.ts'

type Event = { readonly kind: string; readonly frame?: Bytes }

/** What a link brought and nobody has looked at yet: bounded in number and in bytes. */
export class Inbox<E extends Event> {
  readonly #mailbox = new Mailbox<E>()
  readonly #max: InboxBounds
  #bytes = 0

  constructor(max: InboxBounds) {
    this.#max = max
  }

  get size(): number {
    return this.#mailbox.size
  }

  /** So full that whoever writes should pause. */
  get isCrowded(): boolean {
    return this.#bytes * 2 >= this.#max.bytes || this.#mailbox.size * 2 >= this.#max.events
  }

  /** @returns whether there was room. Events without a frame always have some: each costs its sender a connection */
  push(event: E): boolean {
    if (event.frame) {
      const bytes = this.#bytes + event.frame.length
      if (bytes > this.#max.bytes || this.#mailbox.size >= this.#max.events) return false
      this.#bytes = bytes
    }
    this.#mailbox.push(event)
    return true
  }

  /** Ends when the signal fires. */
  async *events(signal: AbortSignal): AsyncIterable<E> {
    for await (const event of this.#mailbox.items(signal)) {
      this.#bytes -= event.frame?.length ?? 0
      yield event
    }
  }
}

export type InboxBounds = { readonly events: number; readonly bytes: number }
