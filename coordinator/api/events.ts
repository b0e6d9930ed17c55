import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RunId } from '#protocol/ids.ts'
import type { ApiDoors } from './server.ts'
import { eventOf } from './views.ts'

/** A comment this often keeps proxies from closing a quiet stream. */
const HEARTBEAT_MILLIS = 15_000

/**
 * Server-sent events straight from the log: an event's id is its position, so a client that reconnects with the last id
 * it saw misses nothing and sees nothing twice. A reader that does not keep up is waited for, not buffered for.
 */
export async function streamEvents(
  { runner, closing }: ApiDoors,
  run: RunId,
  from: number,
  parameters: number,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
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
      const event = eventOf(advanced, parameters)
      const chunk = `id: ${advanced.position}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
      if (!raw.write(chunk)) await drained(raw, signal)
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
