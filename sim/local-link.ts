import type { Bytes, NodeId } from '#protocol/ids.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import type { CoordinatorTransport, LinkEvent, Presence } from '#protocol/ports.ts'

/** Frames between one coordinator and any number of nodes in the same process: all of them arrive, at once and in order. */
export class LocalLink {
  readonly #inbox = new Mailbox<LinkEvent>()
  readonly #nodes = new Map<NodeId, (frame: Bytes) => void>()

  readonly coordinator: CoordinatorTransport = {
    send: async (to, frame) => this.#nodes.get(to)?.(frame),
    linked: () => [...this.#nodes.keys()],
    events: (signal) => this.#inbox.items(signal),
    async [Symbol.asyncDispose]() {},
  }

  /** Whoever is linked once stays it. */
  readonly presence: Presence = {
    arrived: async () => undefined,
    departed: async () => false,
    has: async (node) => this.#nodes.has(node),
    nodes: async () => [...this.#nodes.keys()].sort(),
    count: async () => this.#nodes.size,
    moved: async () => [],
    orphans: async () => [],
    async [Symbol.asyncDispose]() {},
  }

  /** @param hear what the node is sent @returns what the node says */
  link(node: NodeId, hear: (frame: Bytes) => void): (frame: Bytes) => void {
    this.#nodes.set(node, hear)
    this.#inbox.push({ kind: 'linked', node })
    return (frame) => this.#inbox.push({ kind: 'frame', from: node, frame })
  }
}
