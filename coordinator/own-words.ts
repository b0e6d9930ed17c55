import type { Millis, NodeId } from '#protocol/ids.ts'

/** What is kept of all nodes together. */
export type OwnWordsBounds = {
  /** Nodes that are remembered: whoever has said nothing for longest is forgotten first. */
  readonly nodes: number
  /** Entries in a day: an open population may have as many names as it likes, and the disk is ours. */
  readonly dayEntries: number
  /** Entries after which nothing more is kept: the stream is read whole at a start. */
  readonly entries: number
}

const DAY_MILLIS: Millis = 86_400_000

/** What nodes say of themselves, kept in one stream of the log: of each what it said last, and of a day only so much. */
export class OwnWords<T> {
  /** By node, whoever has said something last at the end. */
  readonly nodes = new Map<NodeId, T>()
  #day = 0
  #dayEntries = 0

  /** One more entry of the stream. */
  count(at: Millis): void {
    const day = dayOf(at)
    this.#dayEntries = day === this.#day ? this.#dayEntries + 1 : 1
    this.#day = day
  }

  remember(node: NodeId, said: T, { nodes: nodesMax }: OwnWordsBounds): void {
    this.nodes.delete(node)
    this.nodes.set(node, said)
    const [oldest] = this.nodes.keys()
    if (this.nodes.size > nodesMax && oldest) this.nodes.delete(oldest)
  }

  /** @param position of the entry that would be kept now */
  isFull(position: number, at: Millis, { entries, dayEntries }: OwnWordsBounds): boolean {
    return position >= entries || (dayOf(at) === this.#day && this.#dayEntries >= dayEntries)
  }
}

function dayOf(at: Millis): number {
  return Math.floor(at / DAY_MILLIS)
}
