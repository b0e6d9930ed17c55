import { z } from 'zod'
import {
  coordinatorView,
  datasetView,
  federationView,
  inviteView,
  inviteWithCodeView,
  memberView,
} from '#coordinator/api/federation-schemas.ts'
import { type ApiClient, type Init, openApiClient } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import { idOf, KINDS, startingWith, theOne } from './identified.ts'

export type FederationView = z.output<typeof federationView>
export type MemberView = z.output<typeof memberView>
export type InviteView = z.output<typeof inviteView>
export type DatasetView = z.output<typeof datasetView>

/** The coordinator's API, as far as it is about federations. */
export class FederationClient {
  readonly #api: ApiClient

  constructor(api: ApiClient) {
    this.#api = api
  }

  static async open(args: Arguments): Promise<FederationClient> {
    return new FederationClient(await openApiClient(args))
  }

  all(): Promise<readonly FederationView[]> {
    return this.#api.all('/v1/federations?limit=200', federationView)
  }

  /** By its id, a start of it that no other has, or its name. */
  async find(text: string): Promise<FederationView> {
    const all = await this.all()
    const matching = all.filter(({ id, name }) => id === text || name === text)
    const { what, prefix } = KINDS.federation
    return theOne(matching.length > 0 ? matching : startingWith(all, prefix, text), what, text)
  }

  found(name: string, description: string | null, idempotencyKey: string | undefined): Promise<FederationView> {
    return this.#api.request('/v1/federations', federationView, { ...post({ name, description }), idempotencyKey })
  }

  amend(id: string, change: { readonly name: string; readonly description?: string | null }): Promise<FederationView> {
    return this.#api.request(`/v1/federations/${id}`, federationView, { ...post(change), method: 'PATCH' })
  }

  async dissolve(id: string): Promise<void> {
    await this.#api.request(`/v1/federations/${id}`, NOTHING, { method: 'DELETE' })
  }

  members(id: string): Promise<readonly MemberView[]> {
    return this.#api.all(`/v1/federations/${id}/members?limit=200`, memberView)
  }

  add(id: string, node: string, operator: string | null): Promise<MemberView> {
    return this.#api.request(`/v1/federations/${id}/members`, memberView, post({ node, operator }))
  }

  /** By its id, or a start of it that no other member has. @returns its id */
  async remove(id: string, text: string): Promise<string> {
    const node = await idOf(text, KINDS.node, async () => (await this.members(id)).map(({ node }) => ({ id: node })))
    await this.#api.request(`/v1/federations/${id}/members/${encodeURIComponent(node)}`, NOTHING, { method: 'DELETE' })
    return node
  }

  invites(id: string): Promise<readonly InviteView[]> {
    return this.#api.all(`/v1/federations/${id}/invites?limit=200`, inviteView)
  }

  invite(
    id: string,
    terms: { readonly operator: string | null; readonly uses: number; readonly expiresAt: string | null },
    idempotencyKey: string | undefined,
  ): Promise<z.output<typeof inviteWithCodeView>> {
    return this.#api.request(`/v1/federations/${id}/invites`, inviteWithCodeView, { ...post(terms), idempotencyKey })
  }

  /** By its id, or a start of it that no other has. */
  async revoke(id: string, text: string): Promise<string> {
    const invite = await idOf(text, KINDS.invite, () => this.invites(id))
    await this.#api.request(`/v1/federations/${id}/invites/${invite}`, NOTHING, { method: 'DELETE' })
    return invite
  }

  datasets(): Promise<readonly DatasetView[]> {
    return this.#api.all('/v1/datasets?limit=200', datasetView)
  }

  coordinator(): Promise<z.output<typeof coordinatorView>> {
    return this.#api.request('/v1/coordinator', coordinatorView)
  }
}

/** A 204. */
const NOTHING = z.undefined()

function post(body: object): Init {
  return { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
}

/** The second of two positional arguments. */
export function secondOf({ command, positionals }: Arguments): string {
  const second = positionals[1]
  if (second !== undefined) return second
  throw usage('missing_argument', `${command.name} needs ${command.positional?.name}`)
}
