import { Listing, type ListOptions, same } from './listing.ts'
import type { CallOptions, ChangeOptions, CreateOptions, Transport } from './transport.ts'
import type { FederationView, InviteView, InviteWithCodeView, MemberView } from './views/federations.ts'

export type NewFederation = { readonly name: string; readonly description?: string | null }

/** Who works with whom: federations, their members, and invitations to become one. */
export class Federations {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  list(options: ListOptions = {}): Listing<FederationView> {
    return new Listing(this.#transport, ROOT, options, same)
  }

  create(federation: NewFederation, options: CreateOptions = {}): Promise<FederationView> {
    return this.#transport.json(ROOT, { method: 'POST', json: federation, ...options })
  }

  get(id: string, options: CallOptions = {}): Promise<FederationView> {
    return this.#transport.json(of(id), options)
  }

  /** Renames or describes it. */
  amend(id: string, change: Partial<NewFederation>, options: ChangeOptions = {}): Promise<FederationView> {
    return this.#transport.json(of(id), { method: 'PATCH', json: change, ...options })
  }

  /** Dissolves it, with its members and invites. */
  remove(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json(of(id), { method: 'DELETE', ...options })
  }

  members(id: string, options: ListOptions = {}): Listing<MemberView> {
    return new Listing(this.#transport, `${of(id)}/members`, options, same)
  }

  addMember(
    id: string,
    member: { readonly node: string; readonly operator?: string | null },
    options: CreateOptions = {},
  ): Promise<MemberView> {
    return this.#transport.json(`${of(id)}/members`, { method: 'POST', json: member, ...options })
  }

  removeMember(id: string, node: string, options: CallOptions = {}): Promise<void> {
    const path = `${of(id)}/members/${encodeURIComponent(node)}`
    return this.#transport.json(path, { method: 'DELETE', ...options })
  }

  invites(id: string, options: ListOptions = {}): Listing<InviteView> {
    return new Listing(this.#transport, `${of(id)}/invites`, options, same)
  }

  /** @returns with `code`, which is told this once */
  invite(
    id: string,
    invite: { readonly operator?: string | null; readonly uses?: number; readonly expiresAt?: string | null } = {},
    options: CreateOptions = {},
  ): Promise<InviteWithCodeView> {
    return this.#transport.json(`${of(id)}/invites`, { method: 'POST', json: invite, ...options })
  }

  /** Whoever has taken it stays a member. */
  withdrawInvite(id: string, invite: string, options: CallOptions = {}): Promise<void> {
    const path = `${of(id)}/invites/${encodeURIComponent(invite)}`
    return this.#transport.json(path, { method: 'DELETE', ...options })
  }
}

const ROOT = '/v1/federations'

function of(id: string): string {
  return `${ROOT}/${encodeURIComponent(id)}`
}
