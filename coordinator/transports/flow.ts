import type { Socket } from 'socket.io'
import { Allowance, type Rate } from '#protocol/allowance.ts'
import type { Millis } from '#protocol/ids.ts'
import { NODE_BYTES, NODE_FRAMES } from '#protocol/limits.ts'

/** A frame is two packets of the wire: what it is, and its bytes. */
const NODE_PACKETS: Rate = { perSecond: 2 * NODE_FRAMES.perSecond, burst: 2 * NODE_FRAMES.burst }
/** Whoever has not said who it is has a hello to send and nothing else. */
const STRANGER_PACKETS: Rate = { perSecond: 1, burst: 8 }

/** A WebSocket that is closed says goodbye, and would wait half a minute for the answer. */
const GOODBYE_MILLIS = 1000

/**
 * How fast one socket is read. Whatever it sends counts, whether or not it means anything; past its rate it is left unread
 * for a while, so that the kernel holds it back at its own side: no frame is lost, and nobody else waits for it.
 */
export class Flow {
  readonly #connection: Socket['conn']
  readonly #late: NodeJS.Timeout
  #packets = new Allowance(STRANGER_PACKETS, performance.now())
  #bytes = new Allowance(NODE_BYTES, performance.now())
  #isKnown = false
  #unpause: NodeJS.Timeout | undefined

  /**
   * @param helloMillis a stranger is cut off after this
   * @param told of what became of it: cut off since it said too much or nothing, or slowed down
   */
  constructor(
    connection: Socket['conn'],
    helloMillis: Millis,
    told: (what: 'hello-first' | 'no-hello' | 'slowed') => void,
  ) {
    this.#connection = connection
    const count = ({ data }: { readonly data?: string | Uint8Array }) => {
      const now = performance.now()
      const debt = Math.max(this.#packets.spend(now), this.#bytes.spend(now, data?.length ?? 0))
      if (debt === 0) return
      told(this.#isKnown ? 'slowed' : 'hello-first')
      if (this.#isKnown) this.pause(debt)
      else this.cut()
    }
    this.#late = setTimeout(() => {
      told('no-hello')
      this.cut()
    }, helloMillis)
    connection.on('packet', count)
    connection.once('close', () => {
      connection.off('packet', count)
      clearTimeout(this.#late)
      clearTimeout(this.#unpause)
      setTimeout(() => connection.request.socket.destroy(), GOODBYE_MILLIS).unref()
    })
  }

  /** It said who it is. */
  admit(): void {
    this.#isKnown = true
    clearTimeout(this.#late)
    this.#packets = new Allowance(NODE_PACKETS, performance.now())
  }

  /** Hangs up at once, whatever is on its way. */
  cut(): void {
    this.#connection.close(true)
    this.#connection.request.socket.destroy()
  }

  /** Leaves it unread for so long, from now on. */
  pause(millis: Millis): void {
    const { socket } = this.#connection.request
    if (this.#unpause === undefined) socket.pause()
    clearTimeout(this.#unpause)
    this.#unpause = setTimeout(() => {
      this.#unpause = undefined
      socket.resume()
    }, millis)
  }
}
