import type { FastifyRequest } from 'fastify'
import { Problem } from './problems.ts'

/** What a key may be for. Reading and writing are apart; each mutation of money, keys or members has a scope of its own. */
export const SCOPES = [
  'runs:read',
  'runs:write',
  'models:read',
  'nodes:read',
  'nodes:admin',
  'federations:read',
  'federations:admin',
  'payouts:read',
  'pins:read',
  'pins:write',
  'webhooks:admin',
  'audit:read',
  'keys:admin',
] as const
export type Scope = (typeof SCOPES)[number]

/** Who sent a request that needs a key. */
export type Caller = {
  /** Of the key; `root` is the one in the coordinator's own folder. */
  readonly id: string
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  /** Where it is not null, the only federation that exists for this caller. */
  readonly federation: string | null
}

export const ROOT: Caller = { id: 'root', name: 'root', scopes: new Set(SCOPES), federation: null }

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a route behind the key asks of it: each of them says so. */
    readonly scope?: Scope
  }
  interface FastifyRequest {
    caller: Caller
  }
}

/** @throws {Problem} 403 where the caller's key is not for this route */
export function checkScope({ caller, routeOptions }: FastifyRequest): void {
  const { scope } = routeOptions.config
  if (scope === undefined || caller.scopes.has(scope)) return
  throw new Problem(403, 'insufficient_scope', 'This key is not for that', `a key with the scope ${scope} is needed`)
}
