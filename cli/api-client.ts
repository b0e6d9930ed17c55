import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { auditEventView } from '#coordinator/api/audit.ts'
import { apiKeyView, type createKeySchema, madeKeyView, whoamiView } from '#coordinator/api/keys.ts'
import { providerView, publicationsPage, type publicationView } from '#coordinator/api/publications.ts'
import {
  fileView,
  nodeView,
  nodeWithHistoryView,
  page,
  roundView,
  roundWithSeatsView,
  runView,
  type seatView,
  statsQueryView,
  type stopSchema,
} from '#coordinator/api/schemas.ts'
import type { Arguments } from './arguments.ts'
import { EXIT, Failure } from './failure.ts'
import { type ApiEvent, eventsIn, isLast } from './sse.ts'
import { apiKey } from './state.ts'

export type RunView = z.output<typeof runView>
export type RoundView = z.output<typeof roundView>
export type NodeView = z.output<typeof nodeView>
export type SeatView = z.output<typeof seatView>
export type PublicationView = z.output<typeof publicationView>

export type KeyView = z.output<typeof apiKeyView>
export type WhoView = z.output<typeof whoamiView>
export type AuditEventView = z.output<typeof auditEventView>
/** What a key is to be; the API says which scopes there are. */
type WantedKey = Omit<z.input<typeof createKeySchema>, 'scopes'> & { readonly scopes: readonly string[] }

/** Pauses between attempts to reach an event stream again: growing to the last, which stays. */
const PAUSES_MILLIS = [200, 500, 1000, 2000, 5000] as const
/** A coordinator that is away for longer is given up: it may be gone for good. */
const AWAY_MILLIS_MAX = 300_000

/** A client of the coordinator's API. Everything that goes wrong is a {@link Failure} with its exit code. */
export class ApiClient {
  readonly url: string
  readonly #key: string

  /** @param url `http(s)://host:port` */
  constructor(url: string, key: string) {
    this.url = url.replace(/\/+$/, '')
    this.#key = key
  }

  /** Ids of those that are linked. */
  async nodes(): Promise<readonly string[]> {
    return (await this.nodeViews('linked')).map(({ id }) => id)
  }

  /** All of them, however many pages that takes. */
  async nodeViews(which: 'linked' | 'known'): Promise<readonly NodeView[]> {
    const views: NodeView[] = []
    for (let after: string | null = ''; after !== null; ) {
      const query = new URLSearchParams({ which, limit: '200', ...(after !== '' && { after }) })
      const { data, next }: { data: NodeView[]; next: string | null } = await this.#json(
        `/v1/nodes?${query}`,
        page(nodeView),
      )
      views.push(...data)
      after = next
    }
    return views
  }

  node(id: string): Promise<z.output<typeof nodeWithHistoryView>> {
    return this.#json(`/v1/nodes/${encodeURIComponent(id)}`, nodeWithHistoryView)
  }

  runs(limit: number): Promise<{ data: RunView[]; has_more: boolean; next: string | null }> {
    return this.#json(`/v1/runs?limit=${limit}`, page(runView))
  }

  run(id: string): Promise<RunView> {
    return this.#json(`/v1/runs/${encodeURIComponent(id)}`, runView)
  }

  /** @param after the last round already seen, `next` of a page */
  rounds(id: string, after: string): Promise<{ data: RoundView[]; has_more: boolean; next: string | null }> {
    return this.#json(`/v1/runs/${encodeURIComponent(id)}/rounds?limit=200&after=${after}`, page(roundView))
  }

  round(id: string, round: number): Promise<z.output<typeof roundWithSeatsView>> {
    return this.#json(`/v1/runs/${encodeURIComponent(id)}/rounds/${round}`, roundWithSeatsView)
  }

  /** @param run all runs where it is none */
  publications(run: string | undefined): Promise<z.output<typeof publicationsPage>> {
    const query = run === undefined ? '' : `?run=${encodeURIComponent(run)}`
    return this.#json(`/v1/publications${query}`, publicationsPage)
  }

  async pinProviders(): Promise<readonly z.output<typeof providerView>[]> {
    return (await this.#json('/v1/pin-providers', page(providerView))).data
  }

  resume(id: string): Promise<RunView> {
    return this.#json(`/v1/runs/${encodeURIComponent(id)}/resume`, runView, { method: 'POST' })
  }

  stop(id: string, reason: string): Promise<RunView> {
    const body: z.input<typeof stopSchema> = { reason }
    return this.#json(`/v1/runs/${encodeURIComponent(id)}/stop`, runView, post(JSON.stringify(body), undefined))
  }

  whoami(): Promise<WhoView> {
    return this.#json('/v1/whoami', whoamiView)
  }

  /** All of them, however many pages that takes. */
  async keys(): Promise<readonly KeyView[]> {
    const keys: KeyView[] = []
    for (let after: string | null = ''; after !== null; ) {
      const query = new URLSearchParams({ limit: '200', ...(after !== '' && { after }) })
      const { data, next }: { data: KeyView[]; next: string | null } = await this.#json(
        `/v1/api-keys?${query}`,
        page(apiKeyView),
      )
      keys.push(...data)
      after = next
    }
    return keys
  }

  createKey(wanted: WantedKey, idempotencyKey: string | undefined): Promise<z.output<typeof madeKeyView>> {
    return this.#json('/v1/api-keys', madeKeyView, post(JSON.stringify(wanted), idempotencyKey))
  }

  revokeKey(id: string): Promise<KeyView> {
    return this.#json(`/v1/api-keys/${encodeURIComponent(id)}`, apiKeyView, { method: 'DELETE' })
  }

  auditEvents(limit: number): Promise<{ data: AuditEventView[]; has_more: boolean; next: string | null }> {
    return this.#json(`/v1/audit-events?limit=${limit}`, page(auditEventView))
  }

  /** Keeps a file that anybody may then read. @returns its CID */
  async keepFile(file: Blob): Promise<string> {
    const headers = { 'content-type': 'application/octet-stream' }
    return (await this.#json('/v1/files', fileView, { method: 'POST', body: file, headers })).cid
  }

  /** @param task the body of POST /v1/runs, as it is */
  launch(task: string, idempotencyKey: string | undefined): Promise<RunView> {
    return this.#json('/v1/runs', runView, post(task, idempotencyKey))
  }

  /** @param ask the body of POST /v1/stats-queries, as it is */
  ask(ask: string, idempotencyKey: string | undefined): Promise<z.output<typeof statsQueryView>> {
    return this.#json('/v1/stats-queries', statsQueryView, post(ask, idempotencyKey))
  }

  /** The record of a run that has ended, or of one of its rounds, as one CAR file. */
  async bundle(
    id: string,
    { round, vectors = true }: { readonly round?: number | undefined; readonly vectors?: boolean } = {},
  ): Promise<ReadableStream<Uint8Array>> {
    const query = new URLSearchParams({
      ...(round === undefined ? {} : { round: String(round) }),
      ...(vectors ? {} : { vectors: 'no' }),
    })
    const { body } = await this.#fetch(
      `/v1/runs/${encodeURIComponent(id)}/bundle${query.size > 0 ? `?${query}` : ''}`,
      {},
    )
    if (!body) throw new Failure(EXIT.unexpected, 'bad_answer', 'the coordinator answered without a bundle')
    return body
  }

  /** A run's events from the first on, each once, over whatever happens to the connection; ends with the run. */
  async *events(id: string, signal: AbortSignal): AsyncIterable<ApiEvent> {
    let last = -1
    let failures = 0
    let awaySince: number | undefined
    while (!signal.aborted) {
      try {
        const path = `/v1/runs/${encodeURIComponent(id)}/events`
        const headers = { accept: 'text/event-stream', ...(last < 0 ? {} : { 'last-event-id': String(last) }) }
        const { body } = await this.#fetch(path, { headers, signal })
        awaySince = undefined
        for await (const event of body ? eventsIn(body) : []) {
          if (event.seq <= last) continue
          last = event.seq
          failures = 0
          yield event
          if (isLast(event)) return
        }
      } catch (cause) {
        if (signal.aborted) return
        if (cause instanceof Failure && cause.exit !== EXIT.network) throw cause
        awaySince ??= Date.now()
        if (Date.now() - awaySince > AWAY_MILLIS_MAX) throw cause
      }
      await pause(PAUSES_MILLIS[Math.min(failures++, PAUSES_MILLIS.length - 1)], undefined, { signal }).catch(
        () => undefined,
      )
    }
  }

  async #json<S extends z.ZodType>(path: string, schema: S, init: RequestInit = {}): Promise<z.output<S>> {
    const response = await this.#fetch(path, init)
    const value = schema.safeParse(await response.json().catch(() => undefined))
    if (value.success) return value.data
    throw new Failure(EXIT.unexpected, 'bad_answer', `${this.url}${path} answered something else than its API says`, {
      fix: 'is it a consilium coordinator of this version?',
      cause: value.error,
    })
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = { ...init.headers, authorization: `Bearer ${this.#key}` }
    let response: Response
    try {
      response = await fetch(`${this.url}${path}`, { ...init, headers })
    } catch (cause) {
      if (init.signal?.aborted) throw cause
      throw unreachable(this.url, cause)
    }
    if (response.ok) return response
    throw refused(response.status, await response.text().catch(() => ''))
  }
}

function post(body: string, idempotencyKey: string | undefined): RequestInit {
  const idempotency = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }
  return { method: 'POST', body, headers: { 'content-type': 'application/json', ...idempotency } }
}

export async function openApiClient(args: Arguments): Promise<ApiClient> {
  const url = args.text('coordinator') ?? ''
  if (!URL.canParse(url)) throw new Failure(EXIT.usage, 'bad_value', `--coordinator is a URL, not ${url}`)
  return new ApiClient(url, await apiKey(args))
}

export function unreachable(url: string, cause: unknown): Failure {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  const why = inner instanceof Error ? inner.message || inner.name : String(inner)
  return new Failure(EXIT.network, 'unreachable', `${url} cannot be reached: ${why}`, {
    fix: 'is the coordinator up? consilium coordinator up; or point --coordinator elsewhere',
    cause,
  })
}

const problemSchema = z.looseObject({
  code: z.string(),
  detail: z.string(),
  retryable: z.boolean().default(false),
  request_id: z.string().optional(),
  errors: z.array(z.object({ pointer: z.string(), message: z.string() })).default([]),
})

function refused(status: number, body: string): Failure {
  const problem = problemSchema.safeParse(parseJson(body))
  if (!problem.success)
    return new Failure(exitOf(status, status >= 500), `http_${status}`, `the coordinator answered ${status}`)
  const { code, detail, retryable, request_id: request, errors } = problem.data
  const lines = errors.map(({ pointer, message }) => [pointer, message] as const)
  return new Failure(exitOf(status, retryable), code, detail, {
    lines: request === undefined ? lines : [...lines, ['request', request]],
    fix: fixOf(status, code),
    problem: problem.data,
  })
}

function fixOf(status: number, code: string): string | undefined {
  if (code === 'vectors_expired') return '--without-vectors takes all the rest'
  return status === 401 ? 'set CONSILIUM_API_KEY, or point --key at the file that the coordinator named' : undefined
}

function exitOf(status: number, retryable: boolean): number {
  if (retryable) return EXIT.network
  if (status === 401 || status === 403) return EXIT.denied
  if (status === 404 || status === 410) return EXIT.notFound
  if (status === 409 || status === 412) return EXIT.conflict
  return status < 500 ? EXIT.usage : EXIT.unexpected
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
