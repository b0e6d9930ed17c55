import type { FastifyInstance } from 'fastify'
import type { NodeId } from '#protocol/ids.ts'
import type { Bounds } from '../bounds.ts'
import { apart, HIDDEN, type PageDoors, servePages } from './pages.ts'

/** What `/lend` serves to anybody who may link: a page, its scripts, and which key is the coordinator's. */
export function lendRoutes(
  server: FastifyInstance,
  { files, coordinator, bounds }: LendDoors & { readonly bounds: Pick<Bounds, 'requests'> },
): void {
  const { document, asset } = servePages(server, { files }, { bounds, headers: APART })
  server.get('/lend', HIDDEN, document)
  server.get('/lend/', HIDDEN, async (_request, reply) => reply.redirect('/lend', 308))
  server.get('/lend/coordinator.json', HIDDEN, async () => ({ coordinator }))
  server.get<{ Params: { readonly name: string } }>('/lend/:name', HIDDEN, asset)
}

export type LendDoors = PageDoors & { readonly coordinator: NodeId }

/**
 * Its own process is also what gives the page memory that is shared between threads, and so a word by which training stops in
 * the middle of a batch: a message would wait for as long as a kernel runs.
 */
const APART = apart("'wasm-unsafe-eval'")
