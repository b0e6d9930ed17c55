import { collect } from '#protocol/bytes.ts'
import { ApiError, ConnectionError, problemIn, VerificationError } from './errors.ts'
import { type Kept, keepFile } from './keep.ts'
import { type Signature, verifyEd25519 } from './signature.ts'

/** Where a coordinator is, and how patient its client is. */
export type ConsiliumOptions = {
  /** `http(s)://host:port` */
  readonly url: string
  readonly apiKey?: string
  /** The coordinator's key, `z6Mk…`: models are taken where this key has signed the record that names them, and no other way. */
  readonly coordinatorKey?: string
  /** Until an answer begins, of each attempt. 30 s unless told otherwise; 0: for ever. */
  readonly timeoutMs?: number
  /** Of what may be granted later. 3 unless told otherwise. */
  readonly maxRetries?: number
  readonly fetch?: typeof fetch
  /** Time and chance, for tests. */
  readonly doors?: Partial<SdkDoors>
}

export type SdkDoors = {
  readonly now: () => number
  /** Also over, without a throw, when the signal fires. */
  readonly pause: (millis: number, signal: AbortSignal | undefined) => Promise<void>
  /** From 0 up to 1. */
  readonly random: () => number
  /** The default is WebCrypto's, which browsers keep from pages that came over plain HTTP from elsewhere. */
  readonly sha256: (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>
  /** Ed25519, by default WebCrypto's. */
  readonly verify: (signature: Signature) => Promise<boolean>
  /** Writes a file into a folder, which is made. @returns its path */
  readonly keep: (file: Kept) => Promise<string>
}

export type CallOptions = { readonly signal?: AbortSignal | undefined }
/** @property ifMatch `ETag` of what was read: it is changed where it is still that, and refused (412) where it is not */
export type ChangeOptions = CallOptions & { readonly ifMatch?: string | undefined }
/** Of what creates something: under one key it is created once. One is made up where none is given. */
export type CreateOptions = CallOptions & { readonly idempotencyKey?: string | undefined }

type Query = Readonly<Record<string, string | number | boolean | undefined>>
type Request = CreateOptions &
  ChangeOptions & {
    readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
    readonly query?: Query | undefined
    /** Sent as JSON. */
    readonly json?: unknown
    /** Sent as it is; it has to be readable again. */
    readonly body?: string | Blob | Uint8Array<ArrayBuffer>
    readonly headers?: Readonly<Record<string, string>>
    /** Instead of the client's. */
    readonly timeoutMs?: number
    readonly maxRetries?: number
  }

export type Answer<T> = { readonly value: T; readonly status: number; readonly headers: Headers }

const TIMEOUT_MILLIS = 30_000
const RETRIES = 3
/** The longest pause of the nth retry; each is drawn from the upper half, so that clients do not come back in step. */
const PAUSE_MILLIS = 250
const PAUSE_MILLIS_MAX = 8000
/** Whoever is told to wait for longer is told so, and not kept. */
const RETRY_AFTER_MILLIS_MAX = 60_000

/** One way to ask: the key, patience, errors by their code. */
export class Transport {
  readonly url: string
  readonly doors: SdkDoors
  readonly coordinatorKey: string | undefined
  readonly #key: string | undefined
  readonly #fetch: typeof fetch
  readonly #timeoutMillis: number
  readonly #retries: number

  constructor(options: ConsiliumOptions) {
    const { url, apiKey, coordinatorKey, timeoutMs = TIMEOUT_MILLIS, maxRetries = RETRIES, fetch, doors } = options
    this.url = url.replace(/\/+$/, '')
    this.coordinatorKey = coordinatorKey
    // Whoever refuses to send it would show it in what it throws.
    if (apiKey !== undefined && !/^[\x20-\x7e]*$/.test(apiKey)) throw new TypeError('an API key has other characters')
    this.#key = apiKey
    // Called as a function of its own: browsers refuse a fetch that is a method of something else.
    this.#fetch = fetch ?? ((input, init) => globalThis.fetch(input, init))
    this.#timeoutMillis = timeoutMs
    this.#retries = maxRetries
    this.doors = { ...SYSTEM_DOORS, ...doors }
  }

  /** What the API answers, as JSON; undefined where it answers nothing. */
  async json<T>(path: string, request: Request = {}): Promise<T> {
    return (await this.answer<T>(path, request)).value
  }

  /** The same with its headers: `etag`, `ratelimit`, `idempotent-replayed`. */
  answer<T>(path: string, request: Request = {}): Promise<Answer<T>> {
    return this.#asked(path, request, async (response) => {
      const value = response.status === 204 ? undefined : await response.json()
      return { value: value as T, status: response.status, headers: response.headers }
    })
  }

  text(path: string, request: Request = {}): Promise<string> {
    return this.#asked(path, request, (response) => response.text())
  }

  /** The whole of a body that is this long at most: whoever sends more is not listened to. */
  bytes(path: string, limitBytes: number, request: Request = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.#asked(path, request, (response) => bytesIn(response, limitBytes))
  }

  /** The first good answer, its body still to be read. Throws {@link ApiError}, {@link ConnectionError}, or the signal's reason. */
  fetch(path: string, request: Request = {}): Promise<Response> {
    return this.#asked(path, request, async (response) => response)
  }

  async #asked<T>(path: string, request: Request, read: (response: Response) => Promise<T>): Promise<T> {
    const { method = 'GET', maxRetries = this.#retries, signal } = request
    const url = `${this.url}${path}${queryOf(request.query)}`
    const init = { method, headers: this.#headersOf(method, request), ...bodyOf(request) }
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#read(await this.#once(url, init, request), read, signal)
      } catch (cause) {
        if (signal?.aborted || attempt >= maxRetries) throw cause
        // What is gone may have been taken away by an attempt of which nobody heard.
        if (attempt > 0 && method === 'DELETE' && isGone(cause)) return read(new Response(null, { status: 204 }))
        const wait = this.#pauseBefore(attempt, cause)
        if (wait === undefined) throw cause
        await this.doors.pause(wait, signal)
        signal?.throwIfAborted()
      }
    }
  }

  /** Cut off on its way, or no JSON at all: the server in front of it is not what it should be. */
  async #read<T>(response: Response, read: (response: Response) => Promise<T>, signal: AbortSignal | undefined) {
    try {
      return await read(response)
    } catch (cause) {
      signal?.throwIfAborted()
      throw cause instanceof VerificationError ? cause : new ConnectionError('unreachable', this.url, cause)
    }
  }

  async #once(url: string, init: RequestInit, { signal, timeoutMs = this.#timeoutMillis }: Request): Promise<Response> {
    const late = new AbortController()
    const timer = timeoutMs > 0 ? setTimeout(() => late.abort(), timeoutMs) : undefined
    const signals = signal ? [signal, late.signal] : [late.signal]
    let response: Response
    try {
      // The key and what is sent are for this coordinator: nobody is followed elsewhere.
      response = await this.#fetch(url, { ...init, redirect: 'error', signal: AbortSignal.any(signals) })
    } catch (cause) {
      signal?.throwIfAborted()
      throw new ConnectionError(late.signal.aborted ? 'timeout' : 'unreachable', this.url, cause)
    } finally {
      clearTimeout(timer)
    }
    if (response.ok) return response
    const text = await response.text().catch(() => '')
    throw new ApiError(response.status, problemIn(text), retryAfterOf(response))
  }

  #headersOf(method: string, { headers, json, idempotencyKey, ifMatch }: Request): Record<string, string> {
    return {
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }),
      // The same at every attempt: whatever was done at one of them is not done again.
      ...(method === 'POST' && { 'idempotency-key': idempotencyKey ?? newKey() }),
      ...(ifMatch !== undefined && { 'if-match': ifMatch }),
      ...headers,
    }
  }

  /** Undefined where asking again is of no use. */
  #pauseBefore(attempt: number, cause: unknown): number | undefined {
    if (!(cause instanceof ConnectionError || (cause instanceof ApiError && cause.retryable))) return undefined
    const told = cause instanceof ApiError ? (cause.retryAfterMillis ?? 0) : 0
    if (told > RETRY_AFTER_MILLIS_MAX) return undefined
    const most = Math.min(PAUSE_MILLIS_MAX, PAUSE_MILLIS * 2 ** attempt)
    return Math.max(told, (most * (1 + this.doors.random())) / 2)
  }
}

function isGone(cause: unknown): boolean {
  return cause instanceof ApiError && cause.status === 404
}

async function bytesIn({ body }: Response, limitBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return (await collect(body ?? new Blob([]).stream(), limitBytes)) as Uint8Array<ArrayBuffer>
  } catch (cause) {
    throw cause instanceof RangeError ? new VerificationError(`what came is longer than ${limitBytes} bytes`) : cause
  }
}

function bodyOf({ json, body }: Request): RequestInit {
  if (json !== undefined) return { body: JSON.stringify(json) }
  return body === undefined ? {} : { body }
}

function queryOf(query: Query = {}): string {
  const told = Object.entries(query).filter(([, value]) => value !== undefined)
  return told.length === 0 ? '' : `?${new URLSearchParams(told.map(([name, value]) => [name, String(value)]))}`
}

/** Seconds; the form with a date is not one that a coordinator sends. */
function retryAfterOf({ headers }: Response): number | undefined {
  const seconds = headers.get('retry-after')
  return seconds !== null && /^\d{1,9}$/.test(seconds) ? Number(seconds) * 1000 : undefined
}

/** 128 bits that nobody else has. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** As they are here. */
export const SYSTEM_DOORS: SdkDoors = {
  now: () => Date.now(),
  random: () => Math.random(),
  sha256: async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)),
  verify: verifyEd25519,
  keep: keepFile,
  pause: (millis, signal) =>
    new Promise((over) => {
      const done = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        over()
      }
      const timer = setTimeout(done, millis)
      signal?.addEventListener('abort', done)
      if (signal?.aborted) done()
    }),
}
