import type { Bytes, Millis, NodeId } from '#protocol/ids.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import type { ClientTransport, Clock, CoordinatorTransport, LinkEvent, Presence } from '#protocol/ports.ts'

/** How bad the network is. Probabilities are per frame; delays are drawn evenly, so frames overtake one another. */
export type Weather = {
  readonly loss: number
  readonly duplication: number
  readonly delayMillis: Millis
  /** A link that breaks at a frame, and comes back after up to a second. */
  readonly breaks: number
}

type NodeEvent = { readonly kind: 'linked' } | { readonly kind: 'frame'; readonly frame: Bytes }

/** A node's end of its link. Without an inbox its process is gone. */
type NodeEnd = { inbox: Mailbox<NodeEvent> | undefined; up: boolean; away: number }

/** Frames between the coordinator and its nodes, in bad weather, all of it drawn from one seed. */
export class Network {
  readonly #clock: Clock
  readonly #draw: () => number
  readonly #weather: Weather
  readonly #nodes = new Map<NodeId, NodeEnd>()
  readonly #end: AbortSignal
  readonly #graceMillis: Millis
  readonly #lost: (frame: Bytes, from: NodeId) => boolean
  #coordinator: Mailbox<LinkEvent> | undefined

  constructor(options: {
    clock: Clock
    draw: () => number
    weather: Weather
    graceMillis: Millis
    /** What nodes say and nobody ever hears, besides what the weather takes. */
    lost: (frame: Bytes, from: NodeId) => boolean
    end: AbortSignal
  }) {
    this.#clock = options.clock
    this.#draw = options.draw
    this.#weather = options.weather
    this.#graceMillis = options.graceMillis
    this.#lost = options.lost
    this.#end = options.end
  }

  /** A coordinator comes up: what was under way to its predecessor is lost, and the nodes link again one by one. */
  coordinator(): CoordinatorTransport {
    const inbox = new Mailbox<LinkEvent>()
    this.#coordinator = inbox
    for (const node of this.#nodes.keys()) {
      this.#unlink(node)
      this.#later(1000, () => this.#link(node))
    }
    return {
      send: async (to, frame) => this.#carry(to, () => this.#reach(to, inbox, frame)),
      linked: () => [...this.#nodes].filter(([, { up }]) => up).map(([node]) => node),
      events: (signal) => inbox.items(signal),
      async [Symbol.asyncDispose]() {},
    }
  }

  /** Who is linked: the network itself knows. */
  presence(): Presence {
    const isUp = (node: NodeId) => this.#nodes.get(node)?.up === true
    const nodes = () => [...this.#nodes.keys()].filter(isUp).sort()
    return {
      arrived: async () => undefined,
      departed: async (node) => !isUp(node),
      has: async (node) => isUp(node),
      nodes: async () => nodes(),
      count: async () => nodes().length,
      orphans: async () => [],
      async [Symbol.asyncDispose]() {},
    }
  }

  /** The coordinator's process is gone. */
  coordinatorDied(): void {
    this.#coordinator = undefined
    for (const node of this.#nodes.keys()) this.#unlink(node)
  }

  /** A node's process comes up, for the first time or again. */
  node(id: NodeId): ClientTransport {
    const inbox = new Mailbox<NodeEvent>()
    const node = this.#nodes.get(id)
    if (node) node.inbox = inbox
    else this.#nodes.set(id, { inbox, up: false, away: 0 })
    this.#later(50, () => this.#link(id))
    return {
      send: async (frame) => {
        const coordinator = this.#coordinator
        const node = this.#nodes.get(id)
        if (!node?.up || node.inbox !== inbox || this.#lost(frame, id)) return
        this.#carry(id, () => {
          if (coordinator && coordinator === this.#coordinator) coordinator.push({ kind: 'frame', from: id, frame })
        })
      },
      events: (signal) => inbox.items(signal),
      async [Symbol.asyncDispose]() {},
    }
  }

  /** The node's process is gone: the coordinator sees its link break. */
  nodeDied(id: NodeId): void {
    this.#unlink(id)
    const node = this.#nodes.get(id)
    if (node) node.inbox = undefined
  }

  #reach(to: NodeId, from: Mailbox<LinkEvent>, frame: Bytes): void {
    const node = this.#nodes.get(to)
    if (node?.up && from === this.#coordinator) node.inbox?.push({ kind: 'frame', frame })
  }

  #carry(node: NodeId, arrive: () => void): void {
    if (this.#draw() < this.#weather.breaks) {
      this.#unlink(node)
      this.#later(1000, () => this.#link(node))
      return
    }
    if (this.#draw() < this.#weather.loss) return
    this.#later(this.#weather.delayMillis, arrive)
    if (this.#draw() < this.#weather.duplication) this.#later(this.#weather.delayMillis * 3, arrive)
  }

  #link(id: NodeId): void {
    const node = this.#nodes.get(id)
    if (!node?.inbox || node.up || !this.#coordinator) return
    node.up = true
    node.away++
    node.inbox.push({ kind: 'linked' })
    this.#coordinator.push({ kind: 'linked', node: id })
  }

  #unlink(id: NodeId): void {
    const node = this.#nodes.get(id)
    if (!node?.up) return
    node.up = false
    const away = node.away
    const coordinator = this.#coordinator
    this.#after(this.#graceMillis, () => {
      const back = this.#nodes.get(id)?.away !== away
      if (!back && coordinator === this.#coordinator) coordinator?.push({ kind: 'left', node: id })
    })
  }

  #later(most: Millis, act: () => void): void {
    this.#after(Math.floor(this.#draw() * most), act)
  }

  #after(millis: Millis, act: () => void): void {
    this.#clock.wakeAt(this.#clock.now() + millis, this.#end).then(act, () => undefined)
  }
}
