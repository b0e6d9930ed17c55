import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { holderOf, Places } from '#protocol/places.ts'
import type { Bounds } from '../bounds.ts'

/** Beyond the places: sockets that are told that there is none, and strangers of the node link. */
const TOLD_MAX = 2048

/**
 * The connections of the one server, each in a place of its own, of which an address has its share. One too many is taken
 * all the same, told so in answer to its first request, and closed; far too many are dropped by the kernel. A node's link
 * is counted where links are: its place is free once it has upgraded.
 */
export class Connections {
  readonly #bounds: Pick<Bounds, 'connections' | 'requestsPerConnection'>
  readonly #places: Places
  readonly #held = new WeakMap<Socket, Disposable>()
  readonly #open = new WeakMap<Socket, number>()

  constructor(
    server: HttpServer | HttpsServer,
    bounds: Pick<Bounds, 'connections' | 'requestsPerConnection'>,
    { isTls, linksMax, dropped }: { readonly isTls: boolean; readonly linksMax: number; readonly dropped: () => void },
  ) {
    this.#bounds = bounds
    this.#places = new Places(bounds.connections)
    server.maxConnections = bounds.connections.total + linksMax + TOLD_MAX
    server.on('drop', dropped)
    server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
      // Those that only wait for another request are the first to go.
      if (!this.#take(socket)) server.closeIdleConnections()
    })
    server.on('upgrade', ({ socket }: IncomingMessage) => {
      this.#held.get(socket)?.[Symbol.dispose]()
      // Before there is a node link nobody else would answer, and the socket would wait without end.
      if (server.listenerCount('upgrade') === 1) socket.destroy()
    })
  }

  get size(): number {
    return this.#places.taken
  }

  /** Whether this request is answered, or why not. */
  enter(
    { socket }: IncomingMessage,
    response: ServerResponse,
  ): 'too_many_connections' | 'too_many_requests' | undefined {
    if (!this.#held.has(socket) && !this.#take(socket)) return 'too_many_connections'
    const open = (this.#open.get(socket) ?? 0) + 1
    this.#open.set(socket, open)
    response.once('close', () => this.#open.set(socket, (this.#open.get(socket) ?? 1) - 1))
    return open > this.#bounds.requestsPerConnection ? 'too_many_requests' : undefined
  }

  #take(socket: Socket): boolean {
    const place = this.#places.take(holderOf(socket.remoteAddress))
    if (!place) return false
    this.#held.set(socket, place)
    socket.once('close', () => place[Symbol.dispose]())
    return true
  }
}
