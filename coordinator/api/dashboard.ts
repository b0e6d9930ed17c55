import type { FastifyInstance } from 'fastify'
import type { Bounds } from '../bounds.ts'
import { apart, HIDDEN, type PageDoors, servePages } from './pages.ts'

/** Where the dashboard is: one document, which reads its address itself. */
const PLACES = [
  '/',
  '/runs/:id',
  '/runs/:id/:tab',
  '/nodes',
  '/money',
  '/verify',
  '/models/:run',
  '/settings',
  '/docs',
] as const

/** The dashboard: a document and its scripts, public like its sources. What it shows it asks the API for, with a key. */
export function dashboardRoutes(
  server: FastifyInstance,
  { files, bounds }: PageDoors & { readonly bounds: Pick<Bounds, 'requests'> },
): void {
  const { document, asset } = servePages(server, { files }, { bounds, headers: apart() })
  for (const place of PLACES) server.get(place, HIDDEN, document)
  server.get<{ Params: { readonly name: string } }>('/ui/:name', HIDDEN, asset)
}
