import { extname } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Bytes } from '#protocol/ids.ts'
import { holderOf } from '#protocol/places.ts'
import { Allowances } from '../allowances.ts'
import type { Bounds } from '../bounds.ts'
import { later, notFound } from './problems.ts'

/** A page, bundled: `index.html` and what it asks for, by name, each gzipped. */
export type PageFiles = ReadonlyMap<string, Bytes>

export type PageDoors = {
  /** Asked for at the first request: in a clone they are made then. */
  readonly files: () => Promise<PageFiles>
}

/** What is served of a page, under headers that keep it by itself. */
export type Pages = {
  readonly document: Answer
  /** Of a file that never changes: its name holds a hash of it. */
  readonly asset: (request: FastifyRequest<Named>, reply: FastifyReply) => Promise<Bytes>
}
type Answer = (request: FastifyRequest, reply: FastifyReply) => Promise<Bytes>
type Named = { Params: { readonly name: string } }

/** Not in OpenAPI: no client asks for a page. */
export const HIDDEN = { schema: { hide: true } }

/**
 * What a page is made of is public, so no API key is asked for; whoever asks too often is refused as elsewhere, and nobody
 * else is.
 * @param headers of every answer of this server's scope
 */
export function servePages(
  server: FastifyInstance,
  { files }: PageDoors,
  {
    bounds,
    headers,
  }: { readonly bounds: Pick<Bounds, 'requests'>; readonly headers: Readonly<Record<string, string>> },
): Pages {
  const allowances = new Allowances(bounds.requests)
  server.addHook('onRequest', async ({ raw }, reply) => {
    void reply.headers(headers)
    const { ok, nextInSeconds } = allowances.take(holderOf(raw.socket.remoteAddress), performance.now())
    if (!ok) throw later(429, 'too_many_requests', 'at most so many a second', { seconds: nextInSeconds })
  })

  async function give(name: string, request: FastifyRequest, reply: FastifyReply): Promise<Bytes> {
    const file = (await files()).get(name)
    if (!file) throw notFound('file', name.slice(0, 80))
    const takesGzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
    void reply.type(TYPES[extname(name)] ?? 'application/octet-stream').header('vary', 'accept-encoding')
    if (takesGzip) void reply.header('content-encoding', 'gzip')
    return takesGzip ? Buffer.from(file) : unzip(file)
  }
  return {
    document: (request, reply) => give('index.html', request, reply),
    asset: async (request, reply) => {
      const { name } = request.params
      if (name === 'index.html') throw notFound('file', name)
      void reply.header('cache-control', 'public, max-age=31536000, immutable')
      return give(name, request, reply)
    },
  }
}

const unzip = promisify(gunzip) as (bytes: Bytes) => Promise<Bytes>

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.wasm': 'application/wasm',
}

/**
 * A page that holds a key lives alone: nothing from elsewhere, nothing inline, in no frame, and in a process of its own.
 * @param scripts what else its scripts may be
 */
export function apart(...scripts: readonly string[]): Readonly<Record<string, string>> {
  return {
    'content-security-policy': [
      "default-src 'none'",
      ["script-src 'self'", ...scripts].join(' '),
      "style-src 'self'",
      "connect-src 'self'",
      "worker-src 'self'",
      'img-src data:',
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'permissions-policy': 'camera=(), microphone=(), geolocation=()',
    'x-frame-options': 'DENY',
  }
}
