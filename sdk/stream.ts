import { ApiError } from './errors.ts'
import type { CallOptions, Transport } from './transport.ts'

export type Body = ReadableStream<Uint8Array<ArrayBuffer>>

/** Pauses between attempts to reach the stream again: growing to the last, which stays. */
const PAUSES_MILLIS = [200, 500, 1000, 2000, 5000] as const
/** A coordinator that is away for longer is given up: it may be gone for good. */
const AWAY_MILLIS_MAX = 300_000
/** A comment comes every 15 s: a stream that is still for so long has lost its other end without a word. */
const SILENT_MILLIS_MAX = 60_000

export type Streaming<T> = CallOptions & {
  /** What one connection tells. */
  readonly read: (body: Body) => AsyncIterable<T>
  /** Of each attempt: from where to tell. */
  readonly headers?: () => Readonly<Record<string, string>>
  /** Nothing comes after it. */
  readonly isLast?: (item: T) => boolean
  /** What no further attempt would mend. */
  readonly isFinal?: (cause: unknown) => boolean
}

/**
 * A stream of server-sent events that is taken up again, over whatever happens to the connection or to the coordinator. Ends
 * after the last item, where the coordinator says that none follows (204), or quietly when the signal fires. Throws {@link ApiError} where asking again is of no use, and what
 * went wrong last after five minutes without an answer.
 */
export async function* streamed<T>(
  transport: Transport,
  path: string,
  { signal, read, headers, isLast, isFinal }: Streaming<T>,
): AsyncIterable<T> {
  const { doors } = transport
  let failures = 0
  let awaySince: number | undefined
  while (!signal?.aborted) {
    const quiet = new AbortController()
    try {
      const response = await transport.fetch(path, {
        headers: { accept: 'text/event-stream', ...headers?.() },
        signal: signal ? AbortSignal.any([signal, quiet.signal]) : quiet.signal,
        maxRetries: 0,
      })
      awaySince = undefined
      // Nothing is there to come: asking again would be answered so for ever.
      if (response.status === 204) return
      for await (const item of response.body ? read(heard(response.body, quiet)) : []) {
        failures = 0
        yield item
        if (isLast?.(item) || signal?.aborted) return
      }
    } catch (cause) {
      if (signal?.aborted) return
      if ((cause instanceof ApiError && !cause.retryable) || isFinal?.(cause)) throw cause
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
function heard(body: Body, quiet: AbortController): Body {
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
