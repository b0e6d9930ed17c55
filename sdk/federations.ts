import { Listing, type ListOptions } from './listing.ts'
import type { CallOptions, CreateOptions, Transport } from './transport.ts'
import type { FederationView, InviteView, MemberView } from './views.ts'

/** Who works with whom: federations, their members, and invitations to become one. */
export class Federations {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  list(options: ListOptions = {}): Listing<FederationView> {
    return new Listing(this.#transport, ROOT, options, (view: FederationView) => view)
  }

  create(
    federation: { readonly name: string; readonly description?: string },
    options: CreateOptions = {},
  ): Promise<FederationView> {
    return this.#transport.json(ROOT, { method: 'POST', json: federation, ...options })
  }

  get(id: string, options: CallOptions = {}): Promise<FederationView> {
    return this.#transport.json(of(id), options)
  }

  remove(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json(of(id), { method: 'DELETE', ...options })
  }

  members(id: string, options: ListOptions = {}): Listing<MemberView> {
    return new Listing(this.#transport, `${of(id)}/members`, options, (view: MemberView) => view)
  }

  addMember(
    id: string,
    member: { readonly node: string; readonly operator?: string },
    options: CreateOptions = {},
  ): Promise<MemberView> {
    return this.#transport.json(`${of(id)}/members`, { method: 'POST', json: member, ...options })
  }

  removeMember(id: string, node: string, options: CallOptions = {}): Promise<void> {
    const path = `${of(id)}/members/${encodeURIComponent(node)}`
    return this.#transport.json(path, { method: 'DELETE', ...options })
  }

  invites(id: string, options: ListOptions = {}): Listing<InviteView> {
    return new Listing(this.#transport, `${of(id)}/invites`, options, (view: InviteView) => view)
  }

  /** @returns with `code`, which is told this once */
  invite(
    id: string,
    invite: { readonly operator?: string; readonly uses?: number; readonly expiresAt?: string } = {},
    options: CreateOptions = {},
  ): Promise<InviteView & { readonly code: string }> {
    return this.#transport.json(`${of(id)}/invites`, { method: 'POST', json: invite, ...options })
  }
}

const ROOT = '/v1/federations'

function of(id: string): string {
  return `${ROOT}/${encodeURIComponent(id)}`
}
