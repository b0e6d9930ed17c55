import type { FastifyReply, FastifyRequest } from 'fastify'
import { holderOf, type Places } from '#protocol/places.ts'
import type { ApiDoors } from './doors.ts'
import { later } from './problems.ts'

/** A comment this often keeps proxies from closing a quiet stream. */
const HEARTBEAT_MILLIS = 15_000

/** An answer of server-sent events, for as long as whoever asked for it reads it. */
export type EventStream = Disposable & {
  /** Fires when nobody reads it any more, or the coordinator drains. */
  readonly signal: AbortSignal
  /** @returns once the reader has room for more; one that does not keep up is waited for a while, and then closed */
  write(event: { readonly id?: number; readonly name: string; readonly data: object }): Promise<void>
}

/** @throws a problem where there are so many streams already */
export function openEventStream(
  { closing, bounds, counters }: Pick<ApiDoors, 'closing' | 'bounds' | 'counters'>,
  streams: Places,
  request: FastifyRequest,
  reply: FastifyReply,
): EventStream {
  const place = streams.take(holderOf(request.raw.socket.remoteAddress))
  if (!place) throw later(503, 'too_many_streams', 'so many event streams are open already')
  const gone = new AbortController()
  request.raw.once('close', () => gone.abort())
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-accel-buffering': 'no',
  })
  raw.write(': consilium\n\n')
  const heartbeat = setInterval(() => raw.write(': still here\n\n'), HEARTBEAT_MILLIS)
  const signal = AbortSignal.any([gone.signal, closing])
  return {
    signal,
    async write({ id, name, data }) {
      const place = id === undefined ? '' : `id: ${id}\n`
      if (raw.write(`${place}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)) return
      const stalled = setTimeout(() => {
        counters.count('streams_closed', 'stalled')
        raw.destroy()
        gone.abort()
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

function drained(raw: FastifyReply['raw'], signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  raw.once('drain', resolve)
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
