import { ApiError, ConnectionError } from './errors.ts'
import { type ApiEvent, eventsIn, isLast } from './sse.ts'
import type { CallOptions, Transport } from './transport.ts'

export type FollowOptions = CallOptions & {
  /** The `seq` of the last event already seen: what comes after it is told. From the first on by default. */
  readonly after?: number
}

/** Pauses between attempts to reach the stream again: growing to the last, which stays. */
const PAUSES_MILLIS = [200, 500, 1000, 2000, 5000] as const
/** A coordinator that is away for longer is given up: it may be gone for good. */
const AWAY_MILLIS_MAX = 300_000
/** A comment comes every 15 s: a stream that is still for so long has lost its other end without a word. */
const SILENT_MILLIS_MAX = 60_000
/** Streams in a row that leave an event out: it is not the network's doing. */
const GAPS_MAX = 5

/**
 * A run's events in order, each once, over whatever happens to the connection or to the coordinator: a stream that breaks is
 * taken up after the last event that came. Ends with the run, or quietly when the signal fires. Throws {@link ApiError} where
 * asking again is of no use, {@link ConnectionError} after five minutes without an answer.
 */
export async function* follow(
  transport: Transport,
  run: string,
  { signal, after = -1 }: FollowOptions = {},
): AsyncIterable<ApiEvent> {
  const { doors } = transport
  let last = after
  let failures = 0
  let gaps = 0
  let awaySince: number | undefined
  while (!signal?.aborted) {
    const quiet = new AbortController()
    try {
      const response = await transport.fetch(`/v1/runs/${encodeURIComponent(run)}/events`, {
        headers: { accept: 'text/event-stream', ...(last >= 0 && { 'last-event-id': String(last) }) },
        signal: signal ? AbortSignal.any([signal, quiet.signal]) : quiet.signal,
        maxRetries: 0,
      })
      awaySince = undefined
      for await (const event of response.body ? eventsIn(heard(response.body, quiet)) : []) {
        if (event.seq <= last) continue
        if (event.seq > last + 1) throw new ConnectionError('gap', transport.url, `event ${last + 1} is missing`)
        last = event.seq
        failures = 0
        gaps = 0
        yield event
        if (isLast(event)) return
        if (signal?.aborted) return
      }
    } catch (cause) {
      if (signal?.aborted) return
      if (cause instanceof ApiError && !cause.retryable) throw cause
      if (cause instanceof ConnectionError && cause.code === 'gap' && ++gaps >= GAPS_MAX) throw cause
      awaySince ??= doors.now()
      if (doors.now() - awaySince > AWAY_MILLIS_MAX) throw cause
    } finally {
      // Whoever leaves the loop leaves the stream.
      quiet.abort()
    }
    await doors.pause(PAUSES_MILLIS[Math.min(failures++, PAUSES_MILLIS.length - 1)] as number, signal)
  }
}

/** The same stream, ended when nothing comes for too long. */
function heard(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  quiet: AbortController,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let timer = setTimeout(() => quiet.abort(), SILENT_MILLIS_MAX)
  quiet.signal.addEventListener('abort', () => clearTimeout(timer))
  const watch = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(piece, controller) {
      clearTimeout(timer)
      timer = setTimeout(() => quiet.abort(), SILENT_MILLIS_MAX)
      controller.enqueue(piece)
    },
  })
  return body.pipeThrough(watch, { signal: quiet.signal })
}
