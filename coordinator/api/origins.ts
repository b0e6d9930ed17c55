import type { FastifyReply, FastifyRequest } from 'fastify'

/** What a page may read of an answer beside its body: what clients go by. */
const EXPOSED = [
  ...['ETag', 'Link', 'Location', 'Retry-After', 'RateLimit', 'RateLimit-Policy'],
  ...['Idempotent-Replayed', 'X-Consilium-Model', 'Content-Disposition'],
].join(', ')
const METHODS = 'GET, HEAD, POST, PATCH, DELETE'
/** What clients send; no cookie's token is among it. */
const SENT = 'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID'
/** A browser asks again after so long: an origin that is listed no more is soon kept out. */
const REMEMBERED_SECONDS = 600
/** What programs ask for; pages and their sign-in are for pages of here. */
const OPEN = /^\/(v1|ipfs)\//

/**
 * Pages of which other origins may read what the API answers (Fetch Standard, 3.2): those that the operator has listed, with
 * a key that they have and never with the browser's cookie. No other page's script sees an answer.
 */
export class Origins {
  readonly #listed: ReadonlySet<string>

  /** @param listed as browsers write them, `https://lab.example.org` */
  constructor(listed: ReadonlySet<string>) {
    this.#listed = listed
  }

  /**
   * Writes what a browser goes by, also on answers that are written without the framework.
   *
   * @returns whether the request only asks what may be asked, and is answered by that
   */
  tell({ method, url, headers }: FastifyRequest, { raw }: FastifyReply): boolean {
    if (this.#listed.size === 0 || !OPEN.test(url)) return false
    // Whatever is kept on the way is kept for one origin.
    raw.appendHeader('vary', 'Origin')
    const { origin } = headers
    if (origin === undefined || !this.#listed.has(origin)) return false
    raw.setHeader('access-control-allow-origin', origin)
    raw.setHeader('access-control-expose-headers', EXPOSED)
    if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return false
    raw.setHeader('access-control-allow-methods', METHODS)
    raw.setHeader('access-control-allow-headers', SENT)
    raw.setHeader('access-control-max-age', REMEMBERED_SECONDS)
    return true
  }

  /** Whether a page of another origin sent it, one that may read the answer: what it sends of the browser's is not its own. */
  isElsewhere({ headers: { origin, host } }: FastifyRequest): boolean {
    return origin !== undefined && this.#listed.has(origin) && new URL(origin).host !== host
  }
}

/** @returns what is wrong with an origin that is to be listed; undefined where nothing is */
export function originFault(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.origin !== text) return 'is no origin as browsers write it'
  const isLoopback = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname)
  // Whoever is on its way could put a script into such a page, which then has its key.
  return url.protocol === 'https:' || isLoopback ? undefined : 'is a page without TLS, off loopback'
}
