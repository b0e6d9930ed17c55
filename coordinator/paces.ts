import type { Millis, NodeId, Round, RunId } from '#protocol/ids.ts'
import type { Advanced } from './runner.ts'

/** Of a round in which a node reported. */
export type Pace = {
  readonly run: RunId
  readonly round: Round
  /** By the node's own clock. */
  readonly trainMillis: Millis
  /** By ours, from its seat to its report: it cannot have trained for longer. */
  readonly elapsedMillis: Millis
}

/** Nodes, and rounds of each, that are remembered: for people to look at, so a restart may forget them. */
const NODES_MAX = 4096
const ROUNDS_MAX = 8

/** What nodes say of their training, beside what our own clock says of it. */
export class Paces {
  readonly #paces = new Map<NodeId, readonly Pace[]>()

  hear({ before, event, after }: Advanced): void {
    const round = before?.round
    if (event.kind !== 'reported' || !round || !('startedAt' in round)) return
    const { node, trainMillis, at } = event
    const pace = { run: after.spec.run, round: round.round, trainMillis, elapsedMillis: at - round.startedAt }
    const known = this.#paces.get(node) ?? []
    this.#paces.delete(node)
    this.#paces.set(node, [...known, pace].slice(-ROUNDS_MAX))
    const [oldest] = this.#paces.keys()
    if (this.#paces.size > NODES_MAX && oldest) this.#paces.delete(oldest)
  }

  /** The latest last. */
  of(node: NodeId): readonly Pace[] {
    return this.#paces.get(node) ?? []
  }
}
