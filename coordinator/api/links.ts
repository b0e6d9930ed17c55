import type { FastifyRequest } from 'fastify'

/** Where the next page is, of an answer that is a page and not the last: the address that was asked, with its cursor. */
export function nextPage({ url }: Pick<FastifyRequest, 'url'>, answer: unknown): string | undefined {
  const { has_more: more, next } = (answer ?? {}) as { readonly has_more?: unknown; readonly next?: unknown }
  if (more !== true || typeof next !== 'string') return undefined
  const [path, query] = url.split('?')
  const wanted = new URLSearchParams(query)
  wanted.set('after', next)
  return `<${path}?${wanted}>; rel="next"`
}
