import type { IncomingMessage } from 'node:http'
import { holderOf, Places, type PlacesRule } from '#protocol/places.ts'

/**
 * Sockets that have not said who they are. They hold few places, and an address only its share of them, so that silent
 * strangers cannot keep the nodes out; they are turned away at the door, before a WebSocket is made for them.
 */
export class Strangers {
  readonly #places: Places
  readonly #held = new WeakMap<IncomingMessage, Disposable>()

  constructor(rule: PlacesRule) {
    this.#places = new Places(rule)
  }

  get size(): number {
    return this.#places.taken
  }

  /** @returns whether there was a place; it is held until the request is known or its connection ends */
  enter(request: IncomingMessage): boolean {
    const place = this.#places.take(holderOf(request.socket.remoteAddress))
    if (!place) return false
    this.#held.set(request, place)
    request.socket.once('close', () => place[Symbol.dispose]())
    return true
  }

  /** It is a node now, or it is gone. */
  leave(request: IncomingMessage): void {
    this.#held.get(request)?.[Symbol.dispose]()
  }
}

/** Says no to a request for a link in the words of HTTP, and when to come again; `told` when it is on its way. */
export function turnAway({ socket }: IncomingMessage, code: string, told: () => void): void {
  const body = JSON.stringify({ type: `urn:consilium:problem:${code}`, title: 'Not now', status: 503, code })
  const head = [
    'HTTP/1.1 503 Service Unavailable',
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    `retry-after: ${RETRY_AFTER_SECONDS}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, told)
}

const RETRY_AFTER_SECONDS = 5
