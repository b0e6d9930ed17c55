import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Payload } from '#aggregation/vector.ts'
import type { RunId } from '#protocol/ids.ts'
import { holderOf, type Places } from '#protocol/places.ts'
import { later } from './problems.ts'
import type { ApiDoors } from './server.ts'
import { eventOf } from './views.ts'

/** A comment this often keeps proxies from closing a quiet stream. */
const HEARTBEAT_MILLIS = 15_000

/**
 * Server-sent events straight from the log: an event's id is its position, so a client that reconnects with the last id
 * it saw misses nothing and sees nothing twice. A reader that does not keep up is waited for a while, and never buffered
 * for; then it is closed, and may come back.
 */
export async function streamEvents(
  { runner, closing, bounds, counters }: ApiDoors,
  run: RunId,
  from: number,
  payload: Payload,
  streams: Places,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  using place = streams.take(holderOf(request.raw.socket.remoteAddress))
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
  try {
    for await (const advanced of runner.follow(run, from, signal)) {
      const event = eventOf(advanced, payload)
      const chunk = `id: ${advanced.position}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
      if (raw.write(chunk)) continue
      const stalled = setTimeout(() => {
        counters.count('streams_closed', 'stalled')
        raw.destroy()
        gone.abort()
      }, bounds.stallMillis)
      await drained(raw, signal)
      clearTimeout(stalled)
    }
  } finally {
    clearInterval(heartbeat)
    raw.end()
  }
  return reply
}

function drained(raw: FastifyReply['raw'], signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  raw.once('drain', resolve)
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
