import type { Consilium } from '#sdk/client.ts'
import type { FederationView } from '#sdk/views/federations.ts'
import { all } from './api-client.ts'
import { EXIT, Failure } from './failure.ts'

/** What goes by ids of its own. */
type Kind = { readonly what: string; readonly prefix: string; readonly idChars: number }
const ULID_CHARS = 26
const kindOf = (what: string, prefix: string): Kind => ({ what, prefix, idChars: prefix.length + ULID_CHARS })
export const KINDS = {
  federation: kindOf('federation', 'fed_'),
  invite: kindOf('invite', 'inv_'),
  key: kindOf('key', 'key_'),
  endpoint: kindOf('endpoint', 'we_'),
  node: { what: 'node', prefix: 'z6Mk', idChars: 48 },
} as const satisfies Readonly<Record<string, Kind>>

const CHARS_MIN = 4

/**
 * The one whose id this is, or begins so, with its prefix or without, as the API finds runs. Whole ids are asked about
 * without a list.
 */
export async function idOf(
  text: string,
  { what, prefix, idChars }: Kind,
  list: () => Promise<readonly { readonly id: string }[]>,
): Promise<string> {
  if (text.length === idChars && text.startsWith(prefix)) return text
  return theOne(startingWith(await list(), prefix, text), what, text).id
}

function startingWith<T extends { readonly id: string }>(
  all: readonly T[],
  prefix: string,
  text: string,
): readonly T[] {
  if (text.length < CHARS_MIN) return []
  return all.filter(({ id }) => id.startsWith(text) || id.startsWith(`${prefix}${text}`))
}

function theOne<T extends { readonly id: string }>(found: readonly T[], what: string, text: string): T {
  const [one, other] = found
  if (one && !other) return one
  if (!one) throw new Failure(EXIT.notFound, 'not_found', `there is no ${what} ${text}`)
  const ids = found.map(({ id }) => id).join(', ')
  throw new Failure(EXIT.conflict, 'ambiguous_id', `several ${what}s are called ${text}: ${ids}`, {
    fix: 'give its id',
  })
}

/** By its id, a start of it that no other has, or its name. */
export async function federationCalled({ federations }: Consilium, text: string): Promise<FederationView> {
  const found = await all(federations.list({ limit: 200 }))
  const matching = found.filter(({ id, name }) => id === text || name === text)
  const { what, prefix } = KINDS.federation
  return theOne(matching.length > 0 ? matching : startingWith(found, prefix, text), what, text)
}

/** Of an endpoint of webhooks. */
export function endpointId({ webhooks }: Consilium, text: string): Promise<string> {
  return idOf(text, KINDS.endpoint, () => all(webhooks.list({ limit: 200 })))
}
