import { concat } from '#protocol/bytes.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'
import { BlobCorrupt, BlobMissing, BlobTooLarge, type Clock, StorageFull } from '#protocol/ports.ts'

/**
 * Requests to a gateway, each tried again with growing pauses while the network or the gateway's state is at fault; what the
 * gateway refuses is thrown at once, by the names of the blobs' door.
 */
export function openExchange({
  fetch,
  clock,
  attempts,
  waits: waitsMax = WAITS_MAX,
  firstPauseMillis,
  jitter,
}: ExchangeOptions): Exchange {
  return exchange

  /** One exchange, tried again while the network or the gateway's state is at fault. */
  async function exchange<T>(
    target: () => URL,
    { allowMillis, signal, ...request }: ExchangeRequest,
    read: (response: Answer) => Promise<T>,
  ): Promise<T> {
    for (let [attempt, waits] = [1, 0]; ; ) {
      signal?.throwIfAborted()
      let pause: Millis
      const limit = new AbortController()
      const done = new AbortController()
      clock.wakeAt(clock.now() + allowMillis, done.signal).then(
        () => limit.abort(new RemoteFault(`no answer within ${allowMillis} ms`)),
        () => undefined,
      )
      try {
        const both = signal ? AbortSignal.any([signal, limit.signal]) : limit.signal
        const response = await fetch(target(), { ...request, signal: both, redirect: 'error' })
        if (!response.ok && isPassing(response.status)) throw await faultOf(response)
        return await read(response)
      } catch (cause) {
        signal?.throwIfAborted()
        if (isVerdict(cause)) throw cause
        // To be told when to come again is no failure: whoever waits for a place gets one, while its round is open.
        const told = cause instanceof RemoteFault ? cause.retryAfterMillis : undefined
        if (told === undefined ? attempt >= attempts : waits >= waitsMax) throw cause
        // Spread, so that a cohort that lost its coordinator does not come back in one instant.
        pause =
          told === undefined
            ? firstPauseMillis * Math.min(2 ** (attempt - 1), GROWTH_MAX) * (0.5 + jitter() / 2)
            : told * (1 + jitter())
        if (told === undefined) attempt++
        else waits++
      } finally {
        done.abort(OVER)
        // What of the answer nobody read holds a connection no longer.
        limit.abort(OVER)
      }
      await clock.wakeAt(clock.now() + pause, signal ?? new AbortController().signal)
    }
  }
}

export type Exchange = <T>(
  /** Asked anew at each attempt: the gateway may be elsewhere by then. */
  target: () => URL,
  request: ExchangeRequest,
  read: (response: Answer) => Promise<T>,
) => Promise<T>

export type ExchangeRequest = Omit<Question, 'signal' | 'redirect'> & {
  readonly signal?: AbortSignal | null | undefined
  readonly allowMillis: Millis
}

/** As much of `fetch` as is needed here, so that a leaner one may stand in for it. */
export type Fetch = (url: URL, question: Question) => Promise<Answer>
export type Question = {
  readonly method?: 'GET' | 'HEAD' | 'PUT'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array<ArrayBuffer>
  /** Until the body is read. */
  readonly signal: AbortSignal
  readonly redirect: 'error'
}
export type Answer = Pick<Response, 'ok' | 'status' | 'statusText'> & {
  readonly headers: Pick<Headers, 'get'>
  readonly body: { getReader(): Pick<ReadableStreamDefaultReader<Bytes>, 'read' | 'cancel'> } | null
}

export type ExchangeOptions = {
  readonly fetch: Fetch
  readonly clock: Clock
  readonly attempts: number
  /** How often one exchange comes again because it was told to. */
  readonly waits?: number
  readonly firstPauseMillis: Millis
  /** Spreads the pauses: from 0 to 1. */
  readonly jitter: () => number
}

/** The gateway will not do it, and asking again changes nothing. */
export class RemoteRefused extends Error {
  override name = 'RemoteRefused'
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, detail: string) {
    super(`${status} ${code}: ${detail}`)
    this.status = status
    this.code = code
  }
}

/** No answer, or one that says: not now. */
export class RemoteFault extends Error {
  override name = 'RemoteFault'
  /** When to come again, where it was said. */
  readonly retryAfterMillis: Millis | undefined
  constructor(message: string, retryAfterMillis?: Millis) {
    super(message)
    this.retryAfterMillis = retryAfterMillis
  }
}

/** Pauses grow no further: whoever waits for long should not be the last to notice that the gateway is back. */
const GROWTH_MAX = 16
const PROBLEM_BYTES_MAX = 4096
/** Made once: an abort without a reason makes an exception, with a stack, for every small block that is read. */
const OVER = new Error('the exchange is over')
/** How often one exchange comes again because it was told to, and how long it waits at most each time. */
const WAITS_MAX = 60
const RETRY_AFTER_SECONDS_MAX = 60

function isPassing(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 507)
}

function isVerdict(cause: unknown): boolean {
  return [BlobCorrupt, BlobMissing, BlobTooLarge, StorageFull, RemoteRefused].some((kind) => cause instanceof kind)
}

/** What a refusing answer means at the blobs' door. */
export async function faultOf(response: Answer): Promise<Error> {
  const problem = await problemIn(response)
  const detail = problem.detail ?? response.statusText
  if (problem.code === 'damaged' || response.status === 422) return new BlobCorrupt(detail)
  if (response.status === 413) return new BlobTooLarge(detail)
  if (response.status === 507) return new StorageFull(detail)
  if (isPassing(response.status)) return new RemoteFault(`${response.status}: ${detail}`, retryAfterIn(response))
  return new RemoteRefused(response.status, problem.code ?? 'refused', detail)
}

/** In seconds, as a gateway of ours says it. Whatever else stands there is not waited for. */
function retryAfterIn({ headers }: Answer): Millis | undefined {
  const text = headers.get('retry-after') ?? ''
  return /^\d{1,9}$/.test(text) ? Math.min(RETRY_AFTER_SECONDS_MAX, Math.max(1, Number(text))) * 1000 : undefined
}

async function problemIn(response: Answer): Promise<{ readonly code?: string; readonly detail?: string }> {
  try {
    const problem: unknown = JSON.parse(new TextDecoder().decode(await readAtMost(response, PROBLEM_BYTES_MAX)))
    if (problem === null || typeof problem !== 'object') return {}
    const [code, detail] = ['code', 'detail'].map((name) => (problem as Record<string, unknown>)[name])
    return { ...(typeof code === 'string' && { code }), ...(typeof detail === 'string' && { detail }) }
  } catch {
    return {}
  }
}

/** The answer's bytes, or of a longer one the first `limitBytes + 1`: enough to tell, and no more is read. */
export async function readAtMost(response: Answer, limitBytes: number): Promise<Bytes> {
  const pieces: Bytes[] = []
  let length = 0
  // Not `for await`: not every browser iterates over streams.
  const reader = response.body?.getReader()
  for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
    pieces.push(next.value)
    length += next.value.length
    if (length > limitBytes) {
      await reader?.cancel()
      break
    }
  }
  return concat(...pieces).subarray(0, limitBytes + 1)
}
