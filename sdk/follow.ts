import { ConnectionError } from './errors.ts'
import { type ApiEvent, eventsIn, isLast } from './sse.ts'
import { streamed } from './stream.ts'
import type { CallOptions, Transport } from './transport.ts'

export type FollowOptions = CallOptions & {
  /** The `seq` of the last event already seen: what comes after it is told. From the first on by default. */
  readonly after?: number
}

/** Streams in a row that leave an event out: it is not the network's doing. */
const GAPS_MAX = 5

/**
 * A run's events in order, each once, over whatever happens to the connection or to the coordinator: a stream that breaks is
 * taken up after the last event that came. Ends with the run.
 */
export function follow(
  transport: Transport,
  run: string,
  { signal, after = -1 }: FollowOptions = {},
): AsyncIterable<ApiEvent> {
  let last = after
  let gaps = 0
  return streamed(transport, `/v1/runs/${encodeURIComponent(run)}/events`, {
    ...{ signal, isLast, headers: () => ({ ...(last >= 0 && { 'last-event-id': String(last) }) }) },
    isFinal: (cause) => cause instanceof ConnectionError && cause.code === 'gap' && ++gaps >= GAPS_MAX,
    read: async function* (body) {
      for await (const event of eventsIn(body)) {
        if (event.seq <= last) continue
        if (event.seq > last + 1) throw new ConnectionError('gap', transport.url, `event ${last + 1} is missing`)
        last = event.seq
        gaps = 0
        yield event
      }
    },
  })
}
