import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RunId } from '#protocol/ids.ts'
import type { ApiDoors } from './doors.ts'
import type { EventStreams } from './event-stream.ts'
import { eventOf, type Ordering } from './views.ts'

/**
 * Server-sent events straight from the log: an event's id is its position, so a client that reconnects with the last id
 * it saw misses nothing and sees nothing twice. Nothing is buffered for a reader that does not keep up: it may come back.
 */
export async function streamEvents(
  { runner }: Pick<ApiDoors, 'runner'>,
  run: RunId,
  from: number,
  order: Ordering,
  streams: EventStreams,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  using stream = streams.open(request, reply)
  for await (const advanced of runner.follow(run, from, stream.signal)) {
    const event = eventOf(advanced, order)
    await stream.write({ id: advanced.position, name: event.type, data: event })
  }
  return reply
}
