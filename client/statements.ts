import { type Equivocation, equivocation } from '#aggregation/secagg/equivocation.ts'
import type { Said } from '#aggregation/secagg/messages.ts'
import type { NodeId } from '#protocol/ids.ts'

/** What a coordinator says in a session, each kind once, U2 at most twice. */
export type Statement = Said<'Roster'> | Said<'Shared'> | Said<'Survivors'> | Said<'QuorumCert'>

/** A coordinator's statements of one session as one member heard them: two that contradict each other are a proof. */
export class Statements {
  readonly #coordinator: NodeId
  readonly #heard = new Map<string, Statement>()

  constructor(coordinator: NodeId) {
    this.#coordinator = coordinator
  }

  /** @returns the proof, where this contradicts what was heard before */
  note(said: Statement): Equivocation | undefined {
    if (said.from !== this.#coordinator) return undefined
    for (const before of this.#heard.values()) {
      const proof = equivocation(before, said)
      if (proof) return proof
    }
    const name = said.kind === 'Shared' ? `Shared ${said.body.ver}` : said.kind
    // The first of each stays: five at most, whatever is said.
    if (!this.#heard.has(name)) this.#heard.set(name, said)
    return undefined
  }
}
