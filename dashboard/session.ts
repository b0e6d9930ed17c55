import { signal } from '@preact/signals'

/** Who looks. A key is kept by this tab at most, and only where the coordinator has no sessions. */
export type Session =
  | { readonly kind: 'asking' }
  | { readonly kind: 'none'; readonly why: 'new' | 'wrong-key' | 'ended' | 'unreachable' }
  | { readonly kind: 'cookie'; readonly name: string; readonly csrf: string }
  | { readonly kind: 'key'; readonly name: string | null; readonly key: string }

export const session = signal<Session>({ kind: 'asking' })
const KEPT = 'consilium-key'

/** A key in the address signs in once; it is out of the address before anything else happens. */
export async function begin(): Promise<void> {
  const given = /^#key=(.+)$/.exec(location.hash)?.[1]
  if (given !== undefined) history.replaceState(null, '', location.pathname + location.search)
  if (given !== undefined) return signIn(decodeURIComponent(given))
  const kept = sessionStorage.getItem(KEPT)
  if (kept !== null) session.value = await byKey(kept).catch((): Session => ({ kind: 'none', why: 'unreachable' }))
  else session.value = (await current().catch(() => undefined)) ?? { kind: 'none', why: 'new' }
}

export async function signIn(key: string): Promise<void> {
  session.value = { kind: 'asking' }
  session.value = await signedIn(key).catch((): Session => ({ kind: 'none', why: 'unreachable' }))
}

async function signedIn(key: string): Promise<Session> {
  const opened = await fetch('/v1/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key }),
  })
  if (opened.ok) return (await current()) ?? { kind: 'none', why: 'ended' }
  if (opened.status === 401) return { kind: 'none', why: 'wrong-key' }
  return byKey(key)
}

/** A coordinator without sessions knows no such route: the key is sent with every request instead. */
async function byKey(key: string): Promise<Session> {
  const headers = { authorization: `Bearer ${key}` }
  const tried = await fetch('/v1/runs?limit=1', { headers })
  if (tried.status === 401) return { kind: 'none', why: 'wrong-key' }
  const whoami = await fetch('/v1/whoami', { headers })
  const name = whoami.ok ? ((await whoami.json()) as { readonly name: string }).name : null
  sessionStorage.setItem(KEPT, key)
  return { kind: 'key', name, key }
}

async function current(): Promise<Session | undefined> {
  const response = await fetch('/v1/session')
  if (!response.ok) return undefined
  const { name, csrf } = (await response.json()) as { readonly name: string; readonly csrf: string }
  return { kind: 'cookie', name, csrf }
}

export async function signOut(): Promise<void> {
  const { value } = session
  sessionStorage.removeItem(KEPT)
  session.value = { kind: 'none', why: 'new' }
  if (value.kind === 'cookie')
    await fetch('/v1/session', { method: 'DELETE', headers: { 'x-csrf-token': value.csrf } }).catch(() => undefined)
}

/** The coordinator takes what we have no longer. */
export function sessionEnded(): void {
  sessionStorage.removeItem(KEPT)
  if (session.value.kind !== 'none') session.value = { kind: 'none', why: 'ended' }
}

export function credentials(): Readonly<Record<string, string>> {
  const { value } = session
  if (value.kind === 'key') return { authorization: `Bearer ${value.key}` }
  return value.kind === 'cookie' ? { 'x-csrf-token': value.csrf } : {}
}
