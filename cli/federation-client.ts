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
import { EXIT, Failure } from './failure.ts'

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
    const found =
      matching.length > 0 ? matching : all.filter(({ id }) => text.length >= 4 && startsWith(id, 'fed_', text))
    return theOne(found, 'federation', text)
  }

  found(name: string, description: string | null): Promise<FederationView> {
    return this.#api.request('/v1/federations', federationView, post({ name, description }))
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

  async remove(id: string, node: string): Promise<void> {
    await this.#api.request(`/v1/federations/${id}/members/${encodeURIComponent(node)}`, NOTHING, { method: 'DELETE' })
  }

  invites(id: string): Promise<readonly InviteView[]> {
    return this.#api.all(`/v1/federations/${id}/invites?limit=200`, inviteView)
  }

  invite(
    id: string,
    terms: { readonly operator: string | null; readonly uses: number; readonly expiresAt: string | null },
  ): Promise<z.output<typeof inviteWithCodeView>> {
    return this.#api.request(`/v1/federations/${id}/invites`, inviteWithCodeView, post(terms))
  }

  /** By its id, or a start of it that no other has. */
  async revoke(id: string, text: string): Promise<string> {
    const found = (await this.invites(id)).filter((one) => startsWith(one.id, 'inv_', text))
    const invite = theOne(found, 'invite', text)
    await this.#api.request(`/v1/federations/${id}/invites/${invite.id}`, NOTHING, { method: 'DELETE' })
    return invite.id
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

function startsWith(id: string, prefix: string, text: string): boolean {
  return id.startsWith(text) || id.startsWith(`${prefix}${text}`)
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

/** The second of two positional arguments. */
export function secondOf({ command, positionals }: Arguments): string {
  const second = positionals[1]
  if (second !== undefined) return second
  throw usage('missing_argument', `${command.name} needs ${command.positional?.name}`)
}
