import type { Code } from './codes.ts'

/** What the API says when it refuses: problem details (RFC 9457) with a code that stays what it is. */
export type Problem = {
  readonly type?: string
  readonly title?: string
  readonly status?: number
  readonly detail: string
  readonly instance?: string
  readonly code: string
  readonly request_id?: string
  readonly retryable?: boolean
  readonly errors?: readonly Mistake[]
}
/** Where in the request a mistake is, as a JSON pointer, and how to mend it. */
export type Mistake = { readonly pointer: string; readonly message: string }

/**
 * The coordinator answered, and refused. `code` tells what, one of `consilium/sdk/codes` or what something in front of it is
 * told by (`http_502`); nobody needs to read `detail` but people.
 */
export class ApiError extends Error {
  override name = 'ApiError'
  readonly status: number
  readonly code: Code | (string & {})
  readonly detail: string
  readonly requestId: string | undefined
  /** The same request may be granted later. */
  readonly retryable: boolean
  /** When to come again, where the answer says so. */
  readonly retryAfterMillis: number | undefined
  readonly errors: readonly Mistake[]
  /** As it came; undefined where what answered is no coordinator, or something in front of one. */
  readonly problem: Problem | undefined

  constructor(status: number, problem: Problem | undefined, retryAfterMillis?: number) {
    const code = problem?.code ?? `http_${status}`
    const detail = problem?.detail ?? `the coordinator answered ${status}`
    super(`${code}: ${detail}`)
    this.status = status
    this.code = code
    this.detail = detail
    this.requestId = problem?.request_id
    this.retryable = problem?.retryable ?? (status === 408 || status === 429 || status >= 500)
    this.retryAfterMillis = retryAfterMillis
    this.errors = problem?.errors ?? []
    this.problem = problem
  }
}

/** Nobody answered, or not to the end: `timeout`, `unreachable`, or `gap` where an event stream left some out. */
export class ConnectionError extends Error {
  override name = 'ConnectionError'
  readonly code: 'timeout' | 'unreachable' | 'gap'
  readonly url: string

  constructor(code: ConnectionError['code'], url: string, cause?: unknown) {
    super(`${url} ${code === 'timeout' ? 'does not answer' : `cannot be reached: ${whyOf(cause)}`}`, { cause })
    this.code = code
    this.url = url
  }
}

/** What came is not what its CID, or its signature, says, or not what the API says: it is not to be used. */
export class VerificationError extends Error {
  override name = 'VerificationError'
}

/** A model that a format has no words for: what TF.js has no layer for is no `tfjs`. */
export class NoCounterpart extends Error {
  override name = 'NoCounterpart'
}

/** A run that was waited for came to another end, or waits for its owner. */
export class RunNotCompleted extends Error {
  override name = 'RunNotCompleted'
  readonly run: string
  readonly status: string
  readonly reason: string | null

  constructor(run: string, status: string, reason: string | null) {
    super(`${run} is ${status}: ${reason ?? 'no reason given'}`)
    this.run = run
    this.status = status
    this.reason = reason
  }
}

/** `fetch` hides what happened in the cause of its error. */
function whyOf(cause: unknown): string {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  return inner instanceof Error ? inner.message || inner.name : String(inner)
}

/** A problem, if that is what came. */
export function problemIn(text: string): Problem | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (value === null || typeof value !== 'object') return undefined
    const { code, detail, errors } = value as Partial<Record<keyof Problem, unknown>>
    if (typeof code !== 'string' || typeof detail !== 'string') return undefined
    const told = Array.isArray(errors) ? errors.filter(isMistake) : []
    return { ...(value as Problem), errors: told }
  } catch {
    return undefined
  }
}

function isMistake(value: unknown): value is Mistake {
  const { pointer, message } = (value ?? {}) as Partial<Record<keyof Mistake, unknown>>
  return typeof pointer === 'string' && typeof message === 'string'
}
