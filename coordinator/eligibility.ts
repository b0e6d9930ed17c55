import type { FederationId, NodeId } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { type Capabilities, isFoundWrong } from './capabilities.ts'
import type { Drains } from './drains.ts'
import type { Federations } from './federations.ts'

/** A coordinator's own list, each node with its operator where it has another than itself; or everybody. */
export type Admits = ReadonlyMap<NodeId, string | null> | 'open'
/** A node that may be in a round, and whose it is. */
type Eligible = { readonly operator: string | null }
export type EligibilityRefusal = 'not-a-member' | 'not-admitted' | 'drained' | 'found-wrong'

/**
 * Who may link, and who may be in which run's rounds, at the moment it is asked: whoever is on the list, and whoever is a
 * member of a federation; in a run of a federation its members, and nobody else. Of those who may be, the ones that are drained
 * are not asked; nor, where anybody may come and nobody knows them, the ones whose training was found wrong.
 */
export class Eligibility {
  readonly #admits: Admits
  readonly #federations: Federations
  readonly #drains: Drains
  readonly #capabilities: Pick<Capabilities, 'get' | 'select'>

  constructor(doors: {
    readonly admits: Admits
    readonly federations: Federations
    readonly drains: Drains
    readonly capabilities: Pick<Capabilities, 'get' | 'select'>
  }) {
    this.#admits = doors.admits
    this.#federations = doors.federations
    this.#drains = doors.drains
    this.#capabilities = doors.capabilities
  }

  async mayLink(node: NodeId): Promise<boolean> {
    return this.#isListed(node) || (await this.#federations.memberships(node)).length > 0
  }

  /** Whether a node may join a round that is open. @param federation of the run; null where it is of none */
  async of(federation: FederationId | null, node: NodeId): Promise<Result<Eligible, EligibilityRefusal>> {
    const eligible = await this.#member(federation, node)
    if (!eligible.ok) return eligible
    if (await this.#drains.has(node)) return refuse('drained', 'the coordinator lets it rest')
    const known = this.#isForAnybody(federation) ? await this.#capabilities.get(node) : undefined
    if (known && isFoundWrong(known)) return refuse('found-wrong', 'until a spot check confirms what it trains')
    return eligible
  }

  async #member(
    federation: FederationId | null,
    node: NodeId,
  ): Promise<Result<Eligible, 'not-a-member' | 'not-admitted'>> {
    if (federation === null && this.#isListed(node)) return accept({ operator: this.#listed(node) })
    const memberships = await this.#federations.memberships(node)
    if (federation !== null) {
      const member = memberships.find((one) => one.federation === federation)
      if (!member) return refuse('not-a-member', 'the run is of a federation')
      return accept({ operator: this.#listed(node) ?? member.operator })
    }
    // Whoever was a member when it linked may be none any more.
    if (memberships.length === 0) return refuse('not-admitted')
    return accept({ operator: operatorIn(memberships) })
  }

  /** Those of the nodes that may be in a run's rounds, and have a word in them. */
  async among(federation: FederationId | null, nodes: readonly NodeId[]): Promise<readonly NodeId[]> {
    return federation === null ? nodes : this.#federations.among(federation, nodes)
  }

  /** Those of them that are invited to a round that opens. */
  async invited(federation: FederationId | null, nodes: readonly NodeId[]): Promise<readonly NodeId[]> {
    const [all, left] = await Promise.all([this.among(federation, nodes), this.#leftOut(federation)])
    return left.size === 0 ? all : all.filter((node) => !left.has(node))
  }

  /** Whether everybody who is linked is invited to the rounds of such a run. */
  async invitesAll(federation: FederationId | null): Promise<boolean> {
    return federation === null && (await this.#leftOut(federation)).size === 0
  }

  async #leftOut(federation: FederationId | null): Promise<ReadonlySet<NodeId>> {
    const drained = await this.#drains.all()
    const wrong = this.#isForAnybody(federation) ? await this.#capabilities.select(isFoundWrong) : []
    return new Set([...drained.keys(), ...wrong.map(({ node }) => node)])
  }

  /** Whether whoever comes is in it, and nobody has said that he knows them. */
  #isForAnybody(federation: FederationId | null): boolean {
    return federation === null && this.#admits === 'open'
  }

  /** Nodes that may be in the rounds; undefined where anybody may. */
  async populationSize(federation: FederationId | null): Promise<number | undefined> {
    if (federation !== null) return (await this.#federations.get(federation))?.members ?? 0
    if (this.#admits === 'open') return undefined
    return new Set([...this.#admits.keys(), ...(await this.#federations.everyone())]).size
  }

  /**
   * Who runs each node, as far as the coordinator was told.
   *
   * @param federation that alone is believed besides the list; all of them where it is null
   */
  async operators(federation: FederationId | null): Promise<(node: NodeId) => string | null> {
    const told = await this.#federations.operators(federation)
    return (node) => this.#listed(node) ?? told.get(node) ?? null
  }

  #isListed(node: NodeId): boolean {
    return this.#admits === 'open' || this.#admits.has(node)
  }

  #listed(node: NodeId): string | null {
    return this.#admits === 'open' ? null : (this.#admits.get(node) ?? null)
  }
}

function operatorIn(memberships: readonly Eligible[]): string | null {
  return memberships.find(({ operator }) => operator !== null)?.operator ?? null
}
