import { extname } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Allowance } from '#protocol/allowance.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import type { Bounds } from '../bounds.ts'
import { later, notFound } from './problems.ts'

/** The page that lends a browser, bundled: `index.html` and what it asks for, by name, each gzipped. */
export type LendFiles = ReadonlyMap<string, Bytes>

/**
 * What `/lend` serves to anybody who may link: a page, its scripts, and which key is the coordinator's. All of it is public,
 * so no API key is asked for; what is asked for too often is refused as elsewhere.
 */
export function lendRoutes(
  server: FastifyInstance,
  { files, coordinator, bounds }: LendDoors & { readonly bounds: Pick<Bounds, 'requests'> },
): void {
  const hidden = { schema: { hide: true } }
  const allowance = new Allowance(bounds.requests, performance.now())
  server.addHook('onRequest', async (_request, reply) => {
    void reply.headers(APART)
    if (!allowance.take(performance.now()))
      throw later(429, 'too_many_requests', 'at most so many a second', { seconds: 1 })
  })
  server.get('/lend', hidden, (request, reply) => give('index.html', request, reply))
  server.get('/lend/', hidden, async (_request, reply) => reply.redirect('/lend', 308))
  server.get('/lend/coordinator.json', hidden, async () => ({ coordinator }))
  server.get<{ Params: { readonly name: string } }>('/lend/:name', hidden, async (request, reply) => {
    const { name } = request.params
    if (name === 'index.html') throw notFound('file', name)
    // Its name holds a hash of it.
    void reply.header('cache-control', 'public, max-age=31536000, immutable')
    return give(name, request, reply)
  })

  async function give(name: string, request: FastifyRequest, reply: FastifyReply): Promise<Bytes> {
    const file = (await files()).get(name)
    if (!file) throw notFound('file', name.slice(0, 80))
    const takesGzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
    void reply.type(TYPES[extname(name)] ?? 'application/octet-stream').header('vary', 'accept-encoding')
    if (takesGzip) void reply.header('content-encoding', 'gzip')
    return takesGzip ? Buffer.from(file) : unzip(file)
  }
}

export type LendDoors = {
  /** Asked for at the first request: in a clone they are made then. */
  readonly files: () => Promise<LendFiles>
  readonly coordinator: NodeId
}

const unzip = promisify(gunzip) as (bytes: Bytes) => Promise<Bytes>

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.wasm': 'application/wasm',
}

/**
 * A page that holds a key lives alone: nothing from elsewhere, nothing inline, in no frame, and in a process of its own. That
 * last is also what gives it memory that is shared between threads, and so a word by which training stops in the middle of a
 * batch: a message would wait for as long as a kernel runs.
 */
const APART = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
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
