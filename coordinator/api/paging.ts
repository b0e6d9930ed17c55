import type { z } from 'zod'
import type { pageQuery } from './runs.ts'

/**
 * One page of a list that is there as a whole. A cursor is the key of the last one that was seen, which need not be there
 * any more.
 *
 * @param items in the order of their keys
 */
export async function pageIn<T, V>(
  items: readonly T[],
  { limit, after }: z.output<typeof pageQuery>,
  { keyOf, newestFirst }: { readonly keyOf: (item: T) => string; readonly newestFirst: boolean },
  viewOf: (item: T) => V | Promise<V>,
): Promise<{ data: V[]; has_more: boolean; next: string | null }> {
  const isAfter = (key: string) => after === undefined || (newestFirst ? key < after : key > after)
  const rest = items.filter((item) => isAfter(keyOf(item)))
  const shown = rest.slice(0, limit)
  const last = shown.at(-1)
  const more = rest.length > limit
  return { data: await Promise.all(shown.map(viewOf)), has_more: more, next: more && last ? keyOf(last) : null }
}

export function byKey<T>(keyOf: (item: T) => string): (a: T, b: T) => number {
  return (a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0)
}
