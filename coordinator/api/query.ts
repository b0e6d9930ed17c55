import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { Problem } from './problems.ts'

/**
 * Whoever misspells a filter would be told of everything: of every route that is documented what it does not know is refused.
 * Pages and the gateway of blocks, which are not, are asked by browsers and tools that add what they like.
 *
 * @param server before its routes are registered
 */
export function checkQueries(server: FastifyInstance): void {
  server.addHook('preValidation', async ({ query, routeOptions, is404 }: FastifyRequest) => {
    const { hide, querystring } = routeOptions.schema ?? {}
    if (hide || is404) return
    const known = Object.keys((querystring as z.ZodObject | undefined)?.shape ?? {})
    const errors = Object.keys(query as object)
      .filter((name) => !known.includes(name))
      .map((name) => ({ pointer: `/${name.substring(0, NAME_CHARS)}`, message: whatIsKnown(known) }))
    if (errors.length === 0) return
    const detail = errors.map(({ pointer, message }) => `${pointer} ${message}`).join('; ')
    throw new Problem(400, 'invalid_request', 'The request is not valid', detail, { errors })
  })
}

/** As much of a name as is told back. */
const NAME_CHARS = 100

function whatIsKnown(known: readonly string[]): string {
  if (known.length === 0) return 'is no query parameter of this route, which takes none'
  return `is no query parameter of this route, which takes ${known.join(', ')}`
}

/** Said once with commas, or said again for each. */
export const listOf = <T extends z.ZodType<unknown, string>>(item: T, max: number) =>
  z
    .union([z.string(), z.array(z.string())])
    .transform((text) => [...new Set([text].flat().flatMap((part) => part.split(',')))])
    .pipe(z.array(item).min(1).max(max))

/** RFC 3339, as milliseconds. */
export const instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))
