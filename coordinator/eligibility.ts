import type { FederationId, NodeId } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Federations } from './federations.ts'

/** A coordinator's own list, each node with its operator where it has another than itself; or everybody. */
export type Admits = ReadonlyMap<NodeId, string | null> | 'open'
/** A node that may be in a round, and whose it is. */
type Eligible = { readonly operator: string | null }
export type EligibilityRefusal = 'not-a-member' | 'not-admitted'

/**
 * Who may link, and who may be in which run's rounds, at the moment it is asked: whoever is on the list, and whoever is a
 * member of a federation; in a run of a federation its members, and nobody else.
 */
export class Eligibility {
  readonly #admits: Admits
  readonly #federations: Federations

  constructor(doors: { readonly admits: Admits; readonly federations: Federations }) {
    this.#admits = doors.admits
    this.#federations = doors.federations
  }

  async mayLink(node: NodeId): Promise<boolean> {
    return this.#isListed(node) || (await this.#federations.memberships(node)).length > 0
  }

  /** @param federation of the run; null where it is of none */
  async of(federation: FederationId | null, node: NodeId): Promise<Result<Eligible, EligibilityRefusal>> {
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

  /** Those of the nodes that are invited to a run's rounds. */
  async among(federation: FederationId | null, nodes: readonly NodeId[]): Promise<readonly NodeId[]> {
    return federation === null ? nodes : this.#federations.among(federation, nodes)
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
