import { z } from 'zod'
import { assert } from '#protocol/assert.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import {
  canonicalCid,
  PIN_ADDRESS_CHARS_MAX,
  PIN_ADDRESSES_MAX,
  PIN_CID_CHARS_MAX,
  PIN_CIDS_MAX,
} from '#protocol/pinning.ts'
import type { Clock, Pin, PinningService, PinRequest, PinStatus } from '#protocol/ports.ts'
import { RemoteFault, RemoteRefused, readAtMost } from '../blobs/exchange.ts'

/**
 * Somebody else's pinning service, by the IPFS Pinning Service API 1.0.0. Nothing that it says is believed but its own words
 * about its own requests: they go by their ids and by the CIDs that we asked for, and never by names, whose search some
 * services have wrong. Each call is one exchange, bounded in bytes and time; whoever calls tries again, when it was told to.
 * It throws {@link RemoteRefused} for what asking again does not change, and {@link RemoteFault} for the rest.
 */
export function openPinningService({
  url,
  token,
  clock,
  fetch = globalThis.fetch,
  answerMillis = 30_000,
}: PinningServiceOptions): PinningService {
  const base = checkedBase(url)
  assert(TOKEN.test(token), 'a token is one word of visible ASCII')

  /** @returns the answer's bytes, or undefined where there is no such pin */
  async function ask(method: string, path: string, body?: object): Promise<Bytes | undefined> {
    const [limit, done] = [new AbortController(), new AbortController()]
    clock.wakeAt(clock.now() + answerMillis, done.signal).then(
      () => limit.abort(new RemoteFault(`no answer within ${answerMillis} ms`)),
      () => undefined,
    )
    const type = body && { 'Content-Type': 'application/json' }
    try {
      const response = await fetch(`${base}${path}`, {
        method,
        headers: { Authorization: `Bearer ${token}`, Accept: 'application/json', ...type },
        body: body ? JSON.stringify(body) : null,
        // The token is for nobody else.
        redirect: 'manual',
        signal: limit.signal,
      })
      const bytes = await readAtMost(response, response.ok ? ANSWER_BYTES_MAX : FAILURE_BYTES_MAX)
      if (response.status === 404) return undefined
      if (!response.ok) throw faultIn(response, bytes)
      if (bytes.length > ANSWER_BYTES_MAX) throw new RemoteFault(`an answer of more than ${ANSWER_BYTES_MAX} bytes`)
      return bytes
    } catch (cause) {
      if (cause instanceof RemoteFault || cause instanceof RemoteRefused) throw cause
      if (limit.signal.aborted) throw limit.signal.reason
      // Not what it says: that may have the request in it.
      throw new RemoteFault(`no answer: ${nameOf(cause)}`)
    } finally {
      done.abort()
    }
  }

  /** A pin that is of this CID, in whatever spelling. */
  async function one(cid: Cid, answer: Promise<Bytes | undefined>): Promise<Pin> {
    const bytes = await answer
    if (!bytes) throw new RemoteRefused(404, 'NOT_FOUND', 'there is no pinning service at this address')
    const said = read(statusSchema, bytes)
    if (canonicalCid(said.pin.cid) !== cid) throw new RemoteFault('it answers a pin of another CID')
    return pinOf(said, cid)
  }

  return {
    add: ({ cid, name, origins, meta }: PinRequest) =>
      one(cid, ask('POST', '/pins', { cid, ...(name !== null && { name }), origins, meta })),

    async get(id) {
      const bytes = await ask('GET', `/pins/${encodeURIComponent(id)}`)
      if (!bytes) return undefined
      const said = read(statusSchema, bytes)
      const cid = canonicalCid(said.pin.cid) as Cid | undefined
      if (said.requestid !== id || cid === undefined) throw new RemoteFault('it answers another request')
      return pinOf(said, cid)
    },

    async find(cids) {
      assert(cids.length > 0 && cids.length <= PIN_CIDS_MAX, `a question is about 1 to ${PIN_CIDS_MAX} CIDs`)
      const asked = new Set<string>(cids)
      const found = new Map<string, Pin>()
      const query = `/pins?cid=${cids.join(',')}&status=queued,pinning,pinned,failed&limit=${PAGE}`
      let before: string | undefined
      for (let page = 0; page < PAGES_MAX; page++) {
        const bytes = await ask('GET', before === undefined ? query : `${query}&before=${encodeURIComponent(before)}`)
        if (!bytes) throw new RemoteRefused(404, 'NOT_FOUND', 'there is no pinning service at this address')
        const { count, results } = read(resultsSchema, bytes)
        for (const said of results) {
          const cid = canonicalCid(said.pin.cid)
          if (cid !== undefined && asked.has(cid)) found.set(said.requestid, pinOf(said, cid as Cid))
        }
        const oldest = results.map(({ created }) => created).sort((a, b) => Date.parse(a) - Date.parse(b))[0]
        if (oldest === undefined || results.length >= count) break
        if (before !== undefined && !(Date.parse(oldest) < Date.parse(before)))
          throw new RemoteFault('its pages do not move on')
        before = oldest
      }
      return [...found.values()]
    },

    async remove(id) {
      await ask('DELETE', `/pins/${encodeURIComponent(id)}`)
    },
  }
}

export type PinningServiceOptions = {
  /** Where `/pins` lies. https, unless it is on this machine. */
  readonly url: string
  readonly token: string
  readonly clock: Clock
  readonly fetch?: typeof globalThis.fetch
  /** For an answer, whole. */
  readonly answerMillis?: Millis
}

/** A hundred pins with twenty delegates each are half of this. */
const ANSWER_BYTES_MAX = 2 ** 21
const FAILURE_BYTES_MAX = 4096
const PAGE = 100
/** A thousand requests for ten CIDs are more than anybody made. */
const PAGES_MAX = 10
const RETRY_AFTER_MILLIS_MAX: Millis = 86_400_000
const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost'])
const TOKEN = /^[\x21-\x7e]{1,8192}$/
const STATUSES: readonly string[] = ['queued', 'pinning', 'pinned', 'failed'] satisfies readonly PinStatus[]

/** Why a token cannot be sent, or undefined. */
export function tokenFault(token: string): string | undefined {
  return TOKEN.test(token) ? undefined : 'a token is one word of at most 8,192 visible ASCII characters'
}

/** Throws on an address that a token must not be sent to. */
export function checkedBase(text: string): string {
  const url = URL.parse(text)
  if (!url) throw new TypeError(`${text} is not a URL`)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.has(url.hostname)))
    throw new TypeError(`${url.origin} would hear the token in the clear: https, or http on this machine`)
  if (url.username || url.password || url.search || url.hash)
    throw new TypeError(`${url.origin}${url.pathname}: an address has no user, password, query or fragment`)
  return url.href.replace(/\/+$/, '')
}

const statusSchema = z.object({
  requestid: z.string().regex(/^[\x21-\x7e]{1,255}$/),
  status: z.string().max(100),
  created: z.string().max(100),
  pin: z.object({ cid: z.string().max(PIN_CID_CHARS_MAX) }),
  delegates: z.array(z.string().max(PIN_ADDRESS_CHARS_MAX)).max(PIN_ADDRESSES_MAX).default([]),
})
const resultsSchema = z.object({ count: z.number(), results: z.array(statusSchema).max(PAGE) })
const failureSchema = z.object({ error: z.object({ reason: z.string(), details: z.string().optional() }) })

/** A status that we do not know is not `pinned`: it is asked for again. */
function pinOf({ requestid, status, delegates }: z.output<typeof statusSchema>, cid: Cid): Pin {
  return { id: requestid, cid, status: STATUSES.includes(status) ? (status as PinStatus) : 'queued', delegates }
}

function read<S extends z.ZodType>(schema: S, bytes: Bytes): z.output<S> {
  const value = schema.safeParse(parseJson(bytes))
  if (value.success) return value.data
  const { path = [], message = 'is not JSON' } = value.error.issues[0] ?? {}
  throw new RemoteFault(`its answer is not of this API: ${printable(`${path.join('.')} ${message}`)}`)
}

function parseJson(bytes: Bytes): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}

function faultIn({ status, headers }: Response, bytes: Bytes): RemoteFault | RemoteRefused {
  if (status >= 300 && status < 400) return new RemoteRefused(status, 'REDIRECTED', 'it sends us somewhere else')
  const failure = failureSchema.safeParse(parseJson(bytes))
  const { reason, details = '' } = failure.success ? failure.data.error : { reason: 'FAILED' }
  const said = printable(`${reason} ${details}`)
  if (status === 408 || status === 429 || status >= 500)
    return new RemoteFault(`${status} ${said}`, retryAfterIn(headers.get('retry-after')))
  return new RemoteRefused(status, printable(reason), printable(details))
}

/** In seconds. Whatever else stands there is not waited for. */
function retryAfterIn(text: string | null): Millis | undefined {
  return text !== null && /^\d{1,9}$/.test(text) ? Math.min(RETRY_AFTER_MILLIS_MAX, Number(text) * 1000) : undefined
}

/** What goes into logs and to terminals of what somebody else has written. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 200)
}

function nameOf(cause: unknown): string {
  const code = (cause as { readonly cause?: { readonly code?: unknown } } | null)?.cause?.code
  return typeof code === 'string' ? printable(code) : 'the connection failed'
}
