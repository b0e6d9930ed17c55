import type { Bytes, Millis, NodeId } from '#protocol/ids.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import type { ClientTransport, Clock, CoordinatorTransport, LinkEvent, Presence } from '#protocol/ports.ts'
import { type Draw, pick } from './chance.ts'

/** How bad the network is. Probabilities are per frame; delays are drawn evenly, so frames overtake one another. */
export type Weather = {
  readonly loss: number
  readonly duplication: number
  readonly delayMillis: Millis
  /** A link that breaks at a frame, and comes back after up to a second. */
  readonly breaks: number
}

/** Which way nothing goes: from the nodes, to them, or both. */
export type Direction = 'up' | 'down' | 'both'

type NodeEvent = { readonly kind: 'linked' } | { readonly kind: 'frame'; readonly frame: Bytes }

/** A node's end of its link. Without an inbox its process is gone. */
type NodeEnd = {
  readonly id: NodeId
  inbox: Mailbox<NodeEvent> | undefined
  /** The process that it is linked to. */
  at: ProcessEnd | undefined
  /** How often it has linked: what belongs to an older link is late. */
  links: number
  /** Causes for which nothing goes this way. */
  readonly cut: { up: number; down: number }
  isStopped: boolean
  /** Frames that wait for a way. */
  held: { readonly way: 'up' | 'down'; readonly link: number; readonly arrive: () => void }[]
}

/** A coordinator process's end of its links. */
type ProcessEnd = {
  readonly inbox: Mailbox<LinkEvent>
  readonly presence: Presence
  /** Nodes whose link to it broke, and that are linked nowhere since. */
  readonly leaving: Map<NodeId, object>
  isGone: boolean
  isStopped: boolean
}

/** Nobody answers: what a node's requests over HTTP meet. */
export class Unreachable extends Error {
  override name = 'Unreachable'
}

/** A link over which nothing comes is given up after this, at most; half of it at least. */
const SILENCE_MILLIS_MAX: Millis = 3000
const RELINK_MILLIS_MAX: Millis = 1000

export type NetworkOptions = {
  readonly clock: Clock
  readonly draw: Draw
  readonly weather: Weather
  readonly graceMillis: Millis
  /** Told of every frame that a node sends. @returns whether nobody ever hears it, whatever the weather */
  readonly said: (frame: Bytes, from: NodeId) => boolean
  /** Told of every frame that a node is sent, whether or not it arrives. */
  readonly told: (frame: Bytes, to: NodeId) => void
  readonly end: AbortSignal
}

/** Frames between the processes of a coordinator and its nodes, in bad weather, all of it drawn from one seed. */
export class Network {
  readonly #options: NetworkOptions
  readonly #nodes = new Map<NodeId, NodeEnd>()
  readonly #processes = new Set<ProcessEnd>()

  constructor(options: NetworkOptions) {
    this.#options = options
  }

  /** A coordinator's process comes up, and nodes that are linked nowhere link to it, one by one. */
  coordinator(
    over: AbortSignal,
    presence: Presence,
  ): CoordinatorTransport & {
    /** It stops for a while. @returns ends that */
    readonly stall: () => () => void
  } {
    const process: ProcessEnd = {
      ...{ inbox: new Mailbox<LinkEvent>(), presence, leaving: new Map<NodeId, object>() },
      ...{ isGone: false, isStopped: false },
    }
    this.#processes.add(process)
    over.addEventListener('abort', () => this.#lose(process), { once: true })
    for (const node of this.#nodes.values()) if (!node.at) this.#relink(node)
    return {
      send: async (to, frame) => this.#sendDown(process, to, frame),
      linked: () => [...this.#linkedTo(process)].map(({ id }) => id),
      events: (signal) => process.inbox.items(signal),
      stall: () => this.#stall(process),
      async [Symbol.asyncDispose]() {},
    }
  }

  /** A node's process comes up, for the first time or again. */
  node(id: NodeId): ClientTransport {
    const inbox = new Mailbox<NodeEvent>()
    const fresh = { id, at: undefined, links: 0, cut: { up: 0, down: 0 }, isStopped: false, held: [] }
    const node: NodeEnd = this.#nodes.get(id) ?? { ...fresh, inbox }
    node.inbox = inbox
    this.#nodes.set(id, node)
    this.#later(50, () => this.#link(node))
    return {
      send: async (frame) => {
        if (node.inbox === inbox) this.#sendUp(node, frame)
      },
      events: (signal) => inbox.items(signal),
      async [Symbol.asyncDispose]() {},
    }
  }

  /** The node's process is gone: whoever it is linked to sees the link break. */
  nodeDied(id: NodeId): void {
    const node = this.#nodes.get(id)
    if (!node) return
    node.inbox = undefined
    this.#unlink(node)
  }

  /** Nothing goes this way between these nodes and any coordinator. @returns heals it */
  cut(ids: readonly NodeId[], direction: Direction): () => void {
    const nodes = ids.flatMap((id) => this.#nodes.get(id) ?? [])
    const ways = direction === 'both' ? (['up', 'down'] as const) : [direction]
    for (const node of nodes) {
      for (const way of ways) node.cut[way]++
      this.#missSilent(node)
    }
    return () => {
      for (const node of nodes) {
        for (const way of ways) node.cut[way]--
        this.#release(node)
      }
    }
  }

  /** The node's process stops: its link is held for a while by those who carry it. @returns ends it */
  stallNode(id: NodeId): () => void {
    const node = this.#nodes.get(id)
    if (!node) return () => undefined
    node.isStopped = true
    this.#missSilent(node)
    return () => {
      node.isStopped = false
      this.#relink(node)
    }
  }

  /** Whether a request from this node finds anybody. */
  reach(id: NodeId): void {
    const node = this.#nodes.get(id)
    const isCut = !node || node.cut.up > 0 || node.cut.down > 0
    if (isCut || this.#open().length === 0) throw new Unreachable('no coordinator answers')
  }

  #stall(process: ProcessEnd): () => void {
    process.isStopped = true
    for (const node of this.#linkedTo(process)) this.#missSilent(node)
    return () => {
      process.isStopped = false
      for (const node of this.#nodes.values()) if (!node.at) this.#relink(node)
    }
  }

  #lose(process: ProcessEnd): void {
    process.isGone = true
    this.#processes.delete(process)
    for (const node of this.#linkedTo(process)) {
      this.#unlink(node)
      this.#relink(node)
    }
  }

  /** Those that take new links. */
  #open(): readonly ProcessEnd[] {
    return [...this.#processes].filter(({ isStopped }) => !isStopped)
  }

  #linkedTo(process: ProcessEnd): readonly NodeEnd[] {
    return [...this.#nodes.values()].filter(({ at }) => at === process)
  }

  #sendDown(process: ProcessEnd, to: NodeId, frame: Bytes): void {
    this.#options.told(frame, to)
    const node = this.#nodes.get(to)
    if (node?.at !== process) return
    this.#carry(node, 'down', () => node.inbox?.push({ kind: 'frame', frame }))
  }

  #sendUp(node: NodeEnd, frame: Bytes): void {
    const isLost = this.#options.said(frame, node.id)
    const process = node.at
    if (!process || isLost) return
    this.#carry(node, 'up', () => process.inbox.push({ kind: 'frame', from: node.id, frame }))
  }

  #carry(node: NodeEnd, way: 'up' | 'down', arrive: () => void): void {
    const { draw, weather } = this.#options
    if (draw() < weather.breaks) {
      this.#unlink(node)
      this.#relink(node)
      return
    }
    if (draw() < weather.loss) return
    const process = node.at
    const link = node.links
    const land = () => {
      // Down, the frame must find the link that it was sent over; up, the process that it was sent to.
      if (way === 'down' ? node.links !== link || !node.at : process?.isGone) return
      if (node.cut[way] > 0) node.held.push({ way, link, arrive })
      else arrive()
    }
    this.#later(weather.delayMillis, land)
    if (draw() < weather.duplication) this.#later(weather.delayMillis * 3, land)
  }

  /** A way is open again: what still has its link arrives. */
  #release(node: NodeEnd): void {
    const open = node.held.filter(({ way }) => node.cut[way] === 0)
    node.held = node.held.filter(({ way }) => node.cut[way] > 0)
    for (const { link, arrive } of open) if (node.at && node.links === link) arrive()
    if (!node.at) this.#relink(node)
  }

  /** Both ends give up a link over which nothing has come for a while. */
  #missSilent(node: NodeEnd): void {
    const link = node.links
    this.#after(SILENCE_MILLIS_MAX * (0.5 + this.#options.draw() / 2), () => {
      if (node.links !== link || !node.at || !this.#isSilent(node)) return
      this.#unlink(node)
      this.#relink(node)
    })
  }

  #isSilent(node: NodeEnd): boolean {
    return node.cut.up > 0 || node.cut.down > 0 || node.isStopped || node.at?.isStopped === true
  }

  #relink(node: NodeEnd): void {
    this.#later(RELINK_MILLIS_MAX, () => this.#link(node))
  }

  #link(node: NodeEnd): void {
    const open = this.#open()
    if (!node.inbox || node.at || open.length === 0 || this.#isSilent(node)) return
    const process = pick(this.#options.draw, open)
    node.at = process
    const link = ++node.links
    process.leaving.delete(node.id)
    const isIt = () => node.at === process && node.links === link
    process.presence.arrived(node.id).then(
      () => {
        if (!isIt()) return
        node.inbox?.push({ kind: 'linked' })
        process.inbox.push({ kind: 'linked', node: node.id })
      },
      // Whom it cannot tell of, it turns away.
      () => {
        if (!isIt()) return
        node.at = undefined
        this.#relink(node)
      },
    )
  }

  #unlink(node: NodeEnd): void {
    const process = node.at
    if (!process) return
    node.at = undefined
    if (process.isGone) return
    const departure = {}
    process.leaving.set(node.id, departure)
    const leave = () => {
      if (process.leaving.get(node.id) !== departure) return
      process.leaving.delete(node.id)
      if (!process.isGone) process.inbox.push({ kind: 'left', node: node.id })
    }
    process.presence.departed(node.id).then(
      (nowhere) => nowhere && this.#after(this.#options.graceMillis, leave),
      // Where that is not known, it is found out when the grace is over.
      () => this.#after(this.#options.graceMillis, leave),
    )
  }

  #later(most: Millis, act: () => void): void {
    this.#after(this.#options.draw() * most, act)
  }

  #after(millis: Millis, act: () => void): void {
    const { clock, end } = this.#options
    clock.wakeAt(clock.now() + Math.floor(millis), end).then(act, () => undefined)
  }
}
