import type { z } from 'zod'
import { auditEventView } from '#coordinator/api/audit.ts'
import { dryRunView } from '#coordinator/api/dry-run.ts'
import { apiKeyView, type createKeySchema, madeKeyView, whoamiView } from '#coordinator/api/keys.ts'
import { nodeView, nodeWithHistoryView } from '#coordinator/api/node-views.ts'
import { balanceView, payoutView } from '#coordinator/api/payouts.ts'
import { providerView, publicationsPage, type publicationView } from '#coordinator/api/publications.ts'
import type { extendSchema, pauseSchema, stopSchema } from '#coordinator/api/run-schemas.ts'
import { roundView, roundWithSeatsView, runView, type seatView, statsQueryView } from '#coordinator/api/run-views.ts'
import { eventView, fileView, page } from '#coordinator/api/schemas.ts'
import type { Relabelling } from '#coordinator/labels.ts'
import { ApiError, ConnectionError } from '#sdk/errors.ts'
import { follow } from '#sdk/follow.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import { Transport } from '#sdk/transport.ts'
import { type Feed, type FollowAll, followAll } from './all-events.ts'
import type { Arguments } from './arguments.ts'
import { dryRun } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { apiKey } from './state.ts'
import { trustFix } from './trust.ts'
import { Unsent } from './unsent.ts'

export type DryRunView = z.output<typeof dryRunView>
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

/** A client of the coordinator's API. Everything that goes wrong is a {@link Failure} with its exit code. */
export class ApiClient {
  readonly url: string
  readonly #transport: Transport
  readonly #isDry: boolean

  /**
   * @param url `http(s)://host:port`
   * @param key undefined for what anybody may ask
   * @param timeoutMs until an answer begins; 0: for ever
   * @param isDry what would change something is {@link Unsent}
   */
  constructor(url: string, key: string | undefined, { timeoutMs = 0, isDry = false }: Manner = {}) {
    this.#isDry = isDry
    // Whoever types a command is told at once.
    this.#transport = new Transport({ url, ...(key !== undefined && { apiKey: key }), maxRetries: 0, timeoutMs })
    this.url = this.#transport.url
  }

  /** What no other method asks for: the same key, and the same failures. */
  answer(path: string, init: Init = {}): Promise<Response> {
    return this.#fetch(path, init)
  }

  /** Ids of those that are linked. */
  async nodes(): Promise<readonly string[]> {
    return (await this.nodeViews('linked')).map(({ id }) => id)
  }

  /** All of them, however many pages that takes. */
  nodeViews(which: 'linked' | 'known'): Promise<readonly NodeView[]> {
    return this.all(`/v1/nodes?which=${which}&limit=200`, nodeView)
  }

  node(id: string): Promise<z.output<typeof nodeWithHistoryView>> {
    return this.#json(`/v1/nodes/${encodeURIComponent(id)}`, nodeWithHistoryView)
  }

  /** @param label `key:value`, of those alone */
  runs(limit: number, label?: string): Promise<{ data: RunView[]; has_more: boolean; next: string | null }> {
    const query = new URLSearchParams({ limit: String(limit), ...(label !== undefined && { label }) })
    return this.#json(`/v1/runs?${query}`, page(runView))
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

  /** What every node has earned. */
  balances(): Promise<readonly z.output<typeof balanceView>[]> {
    return this.all('/v1/balances?limit=200', balanceView)
  }

  /** The newest, of a run or to a node where they are named. */
  payouts(
    { run, node }: { readonly run: string | undefined; readonly node: string | undefined },
    limit: number,
  ): Promise<readonly z.output<typeof payoutView>[]> {
    const query = new URLSearchParams({
      limit: String(Math.min(limit, 200)),
      ...(run && { run }),
      ...(node && { node }),
    })
    return this.all(`/v1/payouts?${query}`, payoutView, limit)
  }

  /** The model card of a run, in Markdown. */
  async card(id: string): Promise<string> {
    return (await this.#fetch(`/v1/runs/${encodeURIComponent(id)}/card`, {})).text()
  }

  resume(id: string): Promise<RunView> {
    return this.#json(`/v1/runs/${encodeURIComponent(id)}/resume`, runView, { method: 'POST' })
  }

  pause(id: string, reason: string): Promise<RunView> {
    const body: z.input<typeof pauseSchema> = { reason }
    return this.#json(`/v1/runs/${encodeURIComponent(id)}/pause`, runView, post(JSON.stringify(body), undefined))
  }

  relabel(id: string, json: Relabelling): Promise<RunView> {
    return this.#json(`/v1/runs/${encodeURIComponent(id)}`, runView, { method: 'PATCH', json })
  }

  extend(id: string, added: z.input<typeof extendSchema>, idempotencyKey: string | undefined): Promise<RunView> {
    return this.#json(`/v1/runs/${encodeURIComponent(id)}/extend`, runView, post(JSON.stringify(added), idempotencyKey))
  }

  /** @param task the body of POST /v1/runs, as it is */
  dryRun(task: string): Promise<DryRunView> {
    return this.#json('/v1/runs/dry-run', dryRunView, post(task, undefined))
  }

  stop(id: string, reason: string): Promise<RunView> {
    const body: z.input<typeof stopSchema> = { reason }
    return this.#json(`/v1/runs/${encodeURIComponent(id)}/stop`, runView, post(JSON.stringify(body), undefined))
  }

  whoami(): Promise<WhoView> {
    return this.#json('/v1/whoami', whoamiView)
  }

  keys(): Promise<readonly KeyView[]> {
    return this.all('/v1/api-keys?limit=200', apiKeyView)
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
    return (await this.#json('/v1/files', fileView, { method: 'POST', body: file, headers, timeoutMs: 0 })).cid
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

  /** What has happened in a run so far. @param after the last seq already seen */
  async *pastEvents(id: string, after = -1): AsyncIterable<ApiEvent> {
    for (let next: string | null = String(after); next !== null; ) {
      const path = `/v1/runs/${encodeURIComponent(id)}/events?limit=1000&after=${next}`
      const read: { data: ApiEvent[]; next: string | null } = await this.#json(path, page(eventView))
      yield* read.data
      next = read.next
    }
  }

  /**
   * A run's events, each once, over whatever happens to the connection; ends with the run.
   * @param after the last seq already seen: from the first on by default
   */
  async *events(id: string, signal: AbortSignal, after = -1): AsyncIterable<ApiEvent> {
    try {
      yield* follow(this.#transport, id, { signal, after })
    } catch (cause) {
      throw failureOf(this.url, cause)
    }
  }

  /** What happens in all runs from now on, each event once, over whatever happens to the connection. */
  async *allEvents(following: FollowAll): AsyncIterable<ApiEvent> {
    const feed: Feed = {
      now: async () => Date.parse((await this.answer('/healthz')).headers.get('date') ?? '') || 0,
      runs: async () => (await Promise.all(LISTS.map((path) => this.all(`${path}?limit=200`, standing)))).flat(),
      pastEvents: (run, after) => this.pastEvents(run, after),
    }
    try {
      yield* followAll(this.#transport, feed, following)
    } catch (cause) {
      throw failureOf(this.url, cause)
    }
  }

  /** However many pages that takes, up to so many. */
  async all<S extends z.ZodType>(
    path: string,
    schema: S,
    limit = Number.POSITIVE_INFINITY,
  ): Promise<readonly z.output<S>[]> {
    const all: z.output<S>[] = []
    for (let after = ''; all.length < limit; ) {
      const { data, next }: { data: z.output<S>[]; next: string | null } = await this.#json(
        `${path}${after}`,
        page(schema),
      )
      all.push(...data)
      if (next === null) break
      after = `&after=${encodeURIComponent(next)}`
    }
    return all.slice(0, limit)
  }

  /** Any other resource. */
  request<S extends z.ZodType>(path: string, schema: S, init: Init = {}): Promise<z.output<S>> {
    return this.#json(path, schema, init)
  }

  async #json<S extends z.ZodType>(path: string, schema: S, init: Init = {}): Promise<z.output<S>> {
    const response = await this.#fetch(path, init)
    const answer = await response.json().catch((cause: unknown) => {
      // Cut off on its way: the same again may work.
      if (!(cause instanceof SyntaxError)) throw unreachable(this.url, cause)
    })
    const value = schema.safeParse(answer)
    if (value.success) return value.data
    throw new Failure(EXIT.unexpected, 'bad_answer', `${this.url}${path} answered something else than its API says`, {
      fix: 'is it a consilium coordinator of this version?',
      cause: value.error,
    })
  }

  async #fetch(path: string, init: Init): Promise<Response> {
    if (this.#isDry && (init.method ?? 'GET') !== 'GET') throw unsent(path, init)
    try {
      return await this.#transport.fetch(path, init)
    } catch (cause) {
      throw failureOf(this.url, cause)
    }
  }
}

/** Of runs that train, and of those that ask. */
const LISTS = ['/v1/runs', '/v1/stats-queries'] as const
const standing = runView.pick({ id: true, status: true })

export type Init = NonNullable<Parameters<Transport['fetch']>[1]>

type Manner = { readonly timeoutMs?: number; readonly isDry?: boolean }

/** What is no JSON is told by its type: it may be large, and what was given is known to whoever gave it. */
function unsent(path: string, { method = 'GET', json, body }: Init): Unsent {
  const parsed = json ?? (typeof body === 'string' ? (JSON.parse(body) as unknown) : null)
  return new Unsent({ dry_run: true, method, path, body: parsed })
}

function post(body: string, idempotencyKey: string | undefined): Init {
  return { method: 'POST', body, headers: { 'content-type': 'application/json' }, idempotencyKey }
}

/** Where the coordinator is: what anybody may read there needs no more. */
export function coordinatorUrl(args: Arguments): string {
  const url = args.text('coordinator') ?? ''
  if (URL.canParse(url)) return url
  throw new Failure(EXIT.usage, 'bad_value', `--coordinator is a URL, not ${url}`)
}

export async function openApiClient(args: Arguments): Promise<ApiClient> {
  const url = coordinatorUrl(args)
  const seconds = args.text('timeout') === undefined ? 0 : args.integer('timeout', { min: 0, max: 86_400 })
  // Of run it is something else: the coordinator is asked what such a run would be.
  const isDry = args.command.options.includes(dryRun) && args.flag('dry-run')
  return new ApiClient(url, await apiKey(args, url), { timeoutMs: 1000 * seconds, isDry })
}

export function unreachable(url: string, cause: unknown): Failure {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  const why = inner instanceof Error ? inner.message || inner.name : String(inner)
  return new Failure(EXIT.network, 'unreachable', `${url} cannot be reached: ${why}`, {
    fix: trustFix(why) ?? 'is the coordinator up? consilium coordinator up; or point --coordinator elsewhere',
    cause,
  })
}

/** What the SDK throws, as a failure; anything else is as it was. */
function failureOf(url: string, cause: unknown): unknown {
  if (cause instanceof ConnectionError) return unreachable(url, cause.cause ?? cause)
  return cause instanceof ApiError ? refused(cause) : cause
}

function refused({ status, code, detail, retryable, requestId, errors, problem }: ApiError): Failure {
  const lines = errors.map(({ pointer, message }) => [pointer, message] as const)
  return new Failure(EXIT_OF_CODE[code] ?? exitOf(status, retryable), code, detail, {
    lines: requestId === undefined ? lines : [...lines, ['request', requestId]],
    fix: problem ? fixOf(status, code) : status >= 500 ? IN_BETWEEN : undefined,
    ...(problem && { problem }),
  })
}

function fixOf(status: number, code: string): string | undefined {
  if (code === 'vectors_expired') return '--without-vectors takes all the rest'
  return status === 401 ? 'set CONSILIUM_API_KEY, or point --key at the file that the coordinator named' : undefined
}

/** What stands before a coordinator answers in no words of ours. */
const IN_BETWEEN = 'what stands before the coordinator says so: is a coordinator up behind it, and ready (/readyz)?'

/** What tells more than the status does. */
const EXIT_OF_CODE: Readonly<Record<string, number>> = {
  insufficient_funds: EXIT.budget,
}

function exitOf(status: number, retryable: boolean): number {
  if (retryable) return EXIT.network
  if (status === 401 || status === 403) return EXIT.denied
  if (status === 404 || status === 410) return EXIT.notFound
  if (status === 409 || status === 412) return EXIT.conflict
  return status < 500 ? EXIT.usage : EXIT.unexpected
}
