import { signal } from '@preact/signals'
import type { Scope } from '#coordinator/api/caller.ts'

/** Who looks. The key is shown to the coordinator once, for a cookie that no script can read; the page keeps none. */
export type Session =
  | { readonly kind: 'asking' }
  | { readonly kind: 'none'; readonly why: 'new' | 'wrong-key' | 'ended' | 'unreachable' }
  | ({ readonly kind: 'signed-in' } & SignedIn)
/** As the coordinator tells it of the key. @property federation the only one that the key sees */
type SignedIn = {
  readonly id: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly federation: string | null
  readonly csrf: string
}

export const session = signal<Session>({ kind: 'asking' })

const PATH = '/v1/session'

/**
 * A key in the address signs in once; it is out of the address before anything else happens. It takes nobody's place: whoever
 * followed somebody else's link would go on as somebody else, and make his keys and invites there.
 */
export async function begin(): Promise<void> {
  const given = /^#key=(.+)$/.exec(location.hash)?.[1]
  if (given !== undefined) history.replaceState(null, '', location.pathname + location.search)
  if (session.value.kind === 'signed-in') return
  session.value = await current().catch((): Session => ({ kind: 'none', why: 'unreachable' }))
  if (given !== undefined && session.value.kind === 'none') await signIn(given)
}

export async function signIn(key: string): Promise<void> {
  session.value = { kind: 'asking' }
  session.value = await shown(key).catch((): Session => ({ kind: 'none', why: 'unreachable' }))
}

async function shown(key: string): Promise<Session> {
  const headers = { 'content-type': 'application/json' }
  const opened = await fetch(PATH, { method: 'POST', headers, body: JSON.stringify({ key }) })
  if (opened.ok) return current()
  return { kind: 'none', why: opened.status < 500 ? 'wrong-key' : 'unreachable' }
}

async function current(): Promise<Session> {
  const response = await fetch(PATH)
  if (!response.ok) return { kind: 'none', why: response.status < 500 ? 'new' : 'unreachable' }
  return { ...((await response.json()) as SignedIn), kind: 'signed-in' }
}

/** Where the coordinator does not answer, the cookie is good still: whoever wants to be signed out has to see that. */
export async function signOut(): Promise<void> {
  const answer = await fetch(PATH, { method: 'DELETE', headers: credentials() }).catch(() => undefined)
  const isOut = answer !== undefined && answer.status < 500
  session.value = { kind: 'none', why: isOut ? 'new' : 'unreachable' }
}

/** Whether the key that signed in is for that. What it is not for is not offered. */
export function may(scope: Scope): boolean {
  const { value } = session
  return value.kind === 'signed-in' && value.scopes.includes(scope)
}

/** Whether the key is of no federation: what is the coordinator's as a whole is for such keys alone. */
export function isUnbound(): boolean {
  const { value } = session
  return value.kind === 'signed-in' && value.federation === null
}

/** The coordinator takes the cookie no longer. */
export function sessionEnded(): void {
  if (session.value.kind === 'signed-in') session.value = { kind: 'none', why: 'ended' }
}

/** Says that a request comes from this page: another one could send the cookie, and nothing else. */
export function credentials(): Readonly<Record<string, string>> {
  const { value } = session
  return value.kind === 'signed-in' ? { 'x-csrf-token': value.csrf } : {}
}
