import type { FastifyRequest } from 'fastify'
import type { Millis } from '#protocol/ids.ts'
import type { ApiKey } from '../api-keys.ts'
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
  readonly expiresAt: Millis | null
}

export const ROOT: Caller = {
  ...{ id: 'root', name: 'root', scopes: new Set(SCOPES) },
  ...{ federation: null, expiresAt: null },
}

export function callerOf({ id, name, scopes, federation, expiresAt }: ApiKey): Caller {
  return { id, name, scopes: new Set(SCOPES.filter((scope) => scopes.includes(scope))), federation, expiresAt }
}

/** Whether a caller may see what is of this federation, or of none: of what it may not see it is told that there is none. */
export function sees(caller: Pick<Caller, 'federation'>, federation: string | null): boolean {
  return caller.federation === null || caller.federation === federation
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a route behind the key asks of it: each of them says so. */
    readonly scope?: Scope | 'any'
    /** A POST that changes nothing, and is not audited. */
    readonly isQuestion?: true
  }
  interface FastifyRequest {
    caller: Caller
  }
}

export function mayCall({ caller, routeOptions }: FastifyRequest): boolean {
  const { scope } = routeOptions.config
  return scope === undefined || scope === 'any' || caller.scopes.has(scope)
}

export function insufficientScope({ routeOptions }: FastifyRequest): Problem {
  const { scope } = routeOptions.config
  return new Problem(403, 'insufficient_scope', 'This key is not for that', `a key with the scope ${scope} is needed`)
}
