import { Listing, type ListOptions, same } from './listing.ts'
import type { CallOptions, CreateOptions, Transport } from './transport.ts'
import type { ApiKeyView, AuditEventView, MadeApiKeyView } from './views/access.ts'

/** @property expiresAt RFC 3339; never where it is left out */
export type NewKey = {
  readonly name: string
  readonly scopes: readonly string[]
  /** The only federation that exists for it. */
  readonly federation?: string | null
  readonly expiresAt?: string | null
}

/** Who may call the API, and what they did with that. */
export class Keys {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** The newest first, also those that are no longer good. */
  list(options: ListOptions = {}): Listing<ApiKeyView> {
    return new Listing(this.#transport, ROOT, options, same)
  }

  get(id: string, options: CallOptions = {}): Promise<ApiKeyView> {
    return this.#transport.json(`${ROOT}/${encodeURIComponent(id)}`, options)
  }

  /** @returns with `key`, which is told this once */
  create(key: NewKey, options: CreateOptions = {}): Promise<MadeApiKeyView> {
    return this.#transport.json(ROOT, { method: 'POST', json: key, ...options })
  }

  revoke(id: string, options: CallOptions = {}): Promise<ApiKeyView> {
    return this.#transport.json(`${ROOT}/${encodeURIComponent(id)}`, { method: 'DELETE', ...options })
  }

  /** What was changed through the API, and by whom, the newest first. */
  audit(options: ListOptions = {}): Listing<AuditEventView> {
    return new Listing(this.#transport, '/v1/audit-events', options, same)
  }
}

const ROOT = '/v1/api-keys'
