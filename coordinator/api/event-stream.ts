import type { FastifyReply, FastifyRequest } from 'fastify'
import { holderOf, Places } from '#protocol/places.ts'
import type { Bounds } from '../bounds.ts'
import type { Counters } from '../counters.ts'
import { later } from './problems.ts'

/** An answer of server-sent events, for as long as whoever asked for it reads it. */
export type EventStream = Disposable & {
  /** Fires when nobody reads it any more, when whoever does may not any more, or when the coordinator drains. */
  readonly signal: AbortSignal
  /** @returns once the reader has room for more; one that does not keep up is waited for a while, and then closed */
  write(event: { readonly id?: number; readonly name: string; readonly data: object }): Promise<void>
}

export type EventStreamsDoors = {
  readonly bounds: Pick<Bounds, 'streams' | 'stallMillis' | 'heartbeatMillis'>
  readonly counters: Counters
  /** Fires when the coordinator drains. */
  readonly closing: AbortSignal
  /** Whether who sent a request would still be let in. */
  readonly stands: (request: FastifyRequest) => Promise<boolean>
}

/** The event streams that are open, each in a place of its own. */
export class EventStreams {
  readonly #doors: EventStreamsDoors
  readonly #places: Places
  readonly #opened = new WeakSet<FastifyRequest>()

  constructor(doors: EventStreamsDoors) {
    this.#doors = doors
    this.#places = new Places(doors.bounds.streams)
  }

  get size(): number {
    return this.#places.taken
  }

  /** Whether this is what a request is, or was, answered with. */
  answers(request: FastifyRequest): boolean {
    return this.#opened.has(request)
  }

  /** @throws {Problem} 503 where there are so many already */
  open(request: FastifyRequest, reply: FastifyReply): EventStream {
    const { bounds, counters, closing } = this.#doors
    const place = this.#places.take(holderOf(request.raw.socket.remoteAddress))
    if (!place) throw later(503, 'too_many_streams', 'so many event streams are open already')
    const gone = new AbortController()
    request.raw.once('close', () => gone.abort())
    reply.hijack()
    this.#opened.add(request)
    const { raw } = reply
    raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-accel-buffering': 'no',
    })
    raw.write(': consilium\n\n')
    const signal = AbortSignal.any([gone.signal, closing])
    const end = (why: 'stalled' | 'not_let_in') => {
      counters.count('streams_closed', why)
      gone.abort()
    }
    const heartbeat = setInterval(() => {
      // A comment keeps proxies from closing a quiet stream.
      raw.write(': still here\n\n')
      // What cannot be looked up now is looked up at the next one: while the log is away nobody can revoke a key either.
      void this.#doors.stands(request).then(
        (stands) => void (stands || signal.aborted || end('not_let_in')),
        () => undefined,
      )
    }, bounds.heartbeatMillis)
    return {
      signal,
      async write({ id, name, data }) {
        const place = id === undefined ? '' : `id: ${id}\n`
        if (raw.write(`${place}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)) return
        const stalled = setTimeout(() => {
          raw.destroy()
          end('stalled')
        }, bounds.stallMillis)
        await drained(raw, signal)
        clearTimeout(stalled)
      },
      [Symbol.dispose]() {
        clearInterval(heartbeat)
        raw.end()
        place[Symbol.dispose]()
      },
    }
  }
}

function drained(raw: FastifyReply['raw'], signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  raw.once('drain', resolve)
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
