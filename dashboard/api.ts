import { credentials, sessionEnded } from './session.ts'

/** What the coordinator refused, or that it could not be reached (status 0). */
export class ApiProblem extends Error {
  override name = 'ApiProblem'
  readonly status: number
  readonly code: string
  /** Parts of the request that are wrong. */
  readonly mistakes: readonly Mistake[]

  constructor(status: number, code: string, detail: string, mistakes: readonly Mistake[] = []) {
    super(detail)
    this.status = status
    this.code = code
    this.mistakes = mistakes
  }
}

/** What is wrong, and where: `/name` is the field `name`. */
export type Mistake = { readonly pointer: string; readonly message: string }
type Told = { readonly code?: string; readonly detail?: string; readonly errors?: readonly Mistake[] }

/** One page of a list. */
export type Page<T> = { readonly data: readonly T[]; readonly has_more: boolean; readonly next: string | null }

/** @throws {ApiProblem} */
export async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await asked(path, init)
  if (response.ok) return response
  if (response.status === 401) sessionEnded()
  const problem = (await response.json().catch(() => ({}))) as Told
  throw new ApiProblem(
    response.status,
    problem.code ?? `http_${response.status}`,
    problem.detail ?? response.statusText,
    problem.errors,
  )
}

async function asked(path: string, init: RequestInit): Promise<Response> {
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(path, { ...init, headers: { ...init.headers, ...credentials() } }).catch((cause) => {
      if (init.signal?.aborted) throw cause
      throw new ApiProblem(0, 'unreachable', 'the coordinator cannot be reached')
    })
    // A list of ten thousand is many requests: whoever says when to come again is asked again then.
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
    const isLater = response.status === 429 && init.method === undefined && seconds <= AGAIN_SECONDS_MAX
    if (!isLater || attempt === ATTEMPTS_MAX) return response
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds))
  }
}

const ATTEMPTS_MAX = 4
const AGAIN_SECONDS_MAX = 5

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await call(path, signal ? { signal } : {})).json()) as T
}

/**
 * Changes something.
 *
 * @param seen its tag when it was read: what somebody has changed since is not changed
 * @returns undefined where there is nothing to tell of it
 */
export async function send<T>(
  method: 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
  seen?: string,
): Promise<T | undefined> {
  const content = body && { body: JSON.stringify(body) }
  const headers = { ...(body && { 'content-type': 'application/json' }), ...(seen && { 'if-match': seen }) }
  const response = await call(path, { method, ...content, headers })
  return response.status === 204 ? undefined : ((await response.json()) as T)
}

/** Makes something. @param once the same where what is sent is the same: then it is made once, however often it is sent */
export async function create<T>(path: string, body: object, once: string): Promise<T> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': once }
  return (await (await call(path, { method: 'POST', body: JSON.stringify(body), headers })).json()) as T
}

/** All of a list, page by page, told as it grows. @param limit of a page, where it takes fewer than others do */
export async function* pages<T>(path: string, signal?: AbortSignal, limit = 200): AsyncIterable<readonly T[]> {
  for (let after: string | null = ''; after !== null; ) {
    const query: string = `${path.includes('?') ? '&' : '?'}limit=${limit}${after === '' ? '' : `&after=${encodeURIComponent(after)}`}`
    const { data, next }: Page<T> = await get<Page<T>>(path + query, signal)
    yield data
    after = next
  }
}
