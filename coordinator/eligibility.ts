import type { FederationId, NodeId } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Drains } from './drains.ts'
import type { Federations } from './federations.ts'

/** A coordinator's own list, each node with its operator where it has another than itself; or everybody. */
export type Admits = ReadonlyMap<NodeId, string | null> | 'open'
/** A node that may be in a round, and whose it is. */
type Eligible = { readonly operator: string | null }
export type EligibilityRefusal = 'not-a-member' | 'not-admitted' | 'drained'

/**
 * Who may link, and who may be in which run's rounds, at the moment it is asked: whoever is on the list, and whoever is a
 * member of a federation; in a run of a federation its members, and nobody else. Of those who may be, the ones that are drained
 * are not asked.
 */
export class Eligibility {
  readonly #admits: Admits
  readonly #federations: Federations
  readonly #drains: Drains

  constructor(doors: { readonly admits: Admits; readonly federations: Federations; readonly drains: Drains }) {
    this.#admits = doors.admits
    this.#federations = doors.federations
    this.#drains = doors.drains
  }

  async mayLink(node: NodeId): Promise<boolean> {
    return this.#isListed(node) || (await this.#federations.memberships(node)).length > 0
  }

  /** Whether a node may join a round that is open. @param federation of the run; null where it is of none */
  async of(federation: FederationId | null, node: NodeId): Promise<Result<Eligible, EligibilityRefusal>> {
    const eligible = await this.#member(federation, node)
    if (eligible.ok && (await this.#drains.has(node))) return refuse('drained', 'the coordinator lets it rest')
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
    const [all, drained] = await Promise.all([this.among(federation, nodes), this.#drains.all()])
    return drained.size === 0 ? all : all.filter((node) => !drained.has(node))
  }

  /** Whether everybody who is linked is invited to the rounds of such a run. */
  async invitesAll(federation: FederationId | null): Promise<boolean> {
    return federation === null && (await this.#drains.all()).size === 0
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
