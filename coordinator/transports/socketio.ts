import type { Server as HttpServer, IncomingMessage } from 'node:http'
import { Server, type Socket } from 'socket.io'
import { randomBytes } from '#crypto'
import { Allowance, type Rate } from '#protocol/allowance.ts'
import { equalBytes } from '#protocol/bytes.ts'
import { isBytes } from '#protocol/codec.ts'
import { open, type Signer } from '#protocol/envelope.ts'
import type { Bytes, Millis, NodeId } from '#protocol/ids.ts'
import { Inbox } from '#protocol/inbox.ts'
import {
  ALL_UNREAD_BYTES_MAX,
  FRAME_BYTES_MAX,
  SOCKET_BYTES_MAX,
  UNREAD_BYTES_MAX,
  UNREAD_FRAMES_MAX,
  WAITING_BYTES_MAX,
  WAITING_EVENTS_MAX,
} from '#protocol/limits.ts'
import { LINK_PATH, readClientMessage, say } from '#protocol/messages.ts'
import type { PlacesRule } from '#protocol/places.ts'
import type { CoordinatorTransport, LinkEvent, Presence } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Counters, Gauges } from '../counters.ts'
import { Recent } from '../recent.ts'
import { Flow } from './flow.ts'
import { Strangers, turnAway } from './strangers.ts'

export type LinkOptions = {
  readonly signer: Signer
  /** Who may link, at the moment that it is asked. */
  readonly admits: (node: NodeId) => Promise<boolean>
  /** A node may be away for this long before it has left. */
  readonly graceMillis: Millis
  /** From connection to a signed hello. */
  readonly helloMillis: Millis
  readonly linksMax: number
  readonly strangers?: PlacesRule
  /** Whether this process has more to do than it can: no new links then. */
  readonly isOverloaded: () => boolean
  readonly count: Counters['count']
  /** What is told of who is linked here, and so to none of the other processes. */
  readonly presence: Presence
}

/** Of sockets that have not said hello yet; an address may be that of a whole network behind one router. */
const STRANGERS: PlacesRule = { total: 1024, each: 768 }

/** How often a node may link: each costs a signature and the telling of where things stand. */
const LINKINGS: Rate = { perSecond: 0.5, burst: 20 }

/** How long a refusal has to get to whoever is turned away. */
const TOLD_MILLIS = 1000

/** How often it is asked whose newer link is to another process. */
const MOVED_MILLIS = 1000

/** For how long whoever sends is left unread while too much waits. */
const CROWDED_MILLIS = 100

type Link = {
  readonly socket: Socket
  readonly flow: Flow
  readonly arrived: Promise<boolean>
  /** The how many-th of this process it is. */
  readonly turn: number
  unreadFrames: number
  unreadBytes: number
}

/**
 * The node link. A socket says nothing until it has answered our challenge with a `hello` signed by an admitted key;
 * from then on it *is* that node, whatever its socket id. A node's newer link replaces its older one, in whichever process
 * that is; a lost one is given the grace time to come back before the node has left.
 */
export class SocketTransport implements CoordinatorTransport {
  readonly #io: Server
  readonly #options: LinkOptions
  readonly #links = new Map<NodeId, Link>()
  readonly #leaving = new Map<NodeId, NodeJS.Timeout>()
  readonly #inbox = new Inbox<LinkEvent>({ events: WAITING_EVENTS_MAX, bytes: WAITING_BYTES_MAX })
  readonly #flows = new WeakMap<Socket['conn'], Flow>()
  readonly #strangers: Strangers
  readonly #linkings: Recent<NodeId, Allowance>
  #draining = false
  #closed = false
  #sockets = 0
  #turns = 0
  readonly #looking: NodeJS.Timeout
  #isLooking = false
  #unreadBytes = 0

  constructor(http: HttpServer, options: LinkOptions) {
    this.#options = options
    this.#strangers = new Strangers(options.strangers ?? STRANGERS)
    this.#linkings = new Recent(options.linksMax)
    this.#io = new Server(http, {
      path: LINK_PATH,
      transports: ['websocket'],
      maxHttpBufferSize: SOCKET_BYTES_MAX,
      perMessageDeflate: false,
      httpCompression: false,
      serveClient: false,
      connectTimeout: options.helloMillis,
      allowRequest: (request, answer) => this.#knock(request, answer),
    })
    this.#io.engine.on('connection', (connection: Socket['conn']) =>
      this.#flows.set(connection, this.#flowOf(connection)),
    )
    this.#io.on('connection', (socket) => this.#meet(socket))
    this.#looking = setInterval(() => void this.#dropMoved(), MOVED_MILLIS)
  }

  async send(to: NodeId, frame: Bytes): Promise<void> {
    const link = this.#links.get(to)
    if (!link) return
    link.unreadFrames++
    link.unreadBytes += frame.length
    this.#unreadBytes += frame.length
    const tooMuch = link.unreadBytes > UNREAD_BYTES_MAX || this.#unreadBytes > ALL_UNREAD_BYTES_MAX
    if (link.unreadFrames <= UNREAD_FRAMES_MAX && !tooMuch) link.socket.emit('frame', frame)
    else this.#drop(link)
  }

  linked(): readonly NodeId[] {
    return [...this.#links.keys()]
  }

  events(signal: AbortSignal): AsyncIterable<LinkEvent> {
    return this.#inbox.events(signal)
  }

  /** What there is now, by name. */
  gauges(): Gauges {
    return {
      ...{ links: this.#links.size, strangers: this.#strangers.size },
      ...{ waiting_frames: this.#inbox.size, unread_bytes: this.#unreadBytes },
    }
  }

  /** Links stay, new ones go to another process. */
  drain(): void {
    this.#draining = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    clearInterval(this.#looking)
    for (const timer of this.#leaving.values()) clearTimeout(timer)
    this.#leaving.clear()
    this.#io.disconnectSockets(true)
    this.#io.of('/').adapter.close()
    this.#io.engine.close()
  }

  /** Before a WebSocket is made. */
  #knock(request: IncomingMessage, answer: (refusal: string | null, allowed: boolean) => void): void {
    if (!isOfHere(request)) {
      this.#options.count('links_refused', 'another-origin')
      return answer('a page of another origin', false)
    }
    const full = this.#sockets >= this.#options.linksMax
    const refusal = this.#options.isOverloaded() ? 'overload' : full ? 'too-many-links' : undefined
    if (refusal === undefined && this.#strangers.enter(request)) return answer(null, true)
    const reason = refusal ?? 'too-many-strangers'
    this.#options.count('links_refused', reason)
    turnAway(request, reason, () => answer(null, false))
  }

  #meet(socket: Socket): void {
    if (this.#draining) return this.#turnAway(socket, 'draining')
    this.#sockets++
    const { conn: connection, request } = socket
    const flow = this.#flows.get(connection) ?? this.#flowOf(connection)
    const nonce = randomBytes(32)
    let node: NodeId | undefined
    let greeted = false
    const late = setTimeout(
      () => this.#turnAway(socket, greeted ? 'unavailable' : 'no-hello'),
      this.#options.helloMillis,
    )
    socket.on('frame', async (frame: unknown) => {
      if (node) return this.#hear(node, flow, frame)
      // Until it is linked nobody listens to it, and it has been told to wait for that.
      if (greeted) return this.#options.count('frames_refused', 'not-linked')
      greeted = true
      const hello = await this.#check(frame, nonce)
      clearTimeout(late)
      // It may have been turned away meanwhile, or gone.
      if (!socket.connected) return
      if (!hello.ok) return this.#turnAway(socket, hello.refusal)
      node = hello.value
      this.#strangers.leave(request)
      this.#link(node, socket, flow)
    })
    socket.on('disconnect', () => {
      this.#sockets--
      clearTimeout(late)
      const link = node && this.#links.get(node)
      if (node && link?.socket === socket) void this.#unlink(node, link)
    })
    socket.emit('frame', say(this.#options.signer, { kind: 'challenge', nonce }))
  }

  #flowOf(connection: Socket['conn']): Flow {
    // A little later than whoever has got so far as to be told why.
    return new Flow(connection, this.#options.helloMillis + TOLD_MILLIS, (what) => {
      if (what === 'slowed') this.#options.count('links_slowed', 'too-many-frames')
      else this.#options.count('links_refused', what)
    })
  }

  async #check(frame: unknown, nonce: Bytes): Promise<Result<NodeId>> {
    if (!isFrame(frame)) return refuse('malformed')
    const signed = open(frame, FRAME_BYTES_MAX)
    if (!signed.ok) return signed
    const message = readClientMessage(signed.value)
    if (!message.ok) return message
    if (message.value.kind !== 'hello') return refuse('hello-first')
    if (message.value.to !== this.#options.signer.id) return refuse('wrong-coordinator')
    if (!equalBytes(message.value.nonce, nonce)) return refuse('replayed')
    const { from } = signed.value
    // Where what the processes share is away, nobody knows.
    const admitted = await this.#options.admits(from).catch(() => undefined)
    if (admitted === undefined) return refuse('unavailable')
    if (!admitted) return refuse('not-admitted')
    return this.#mayLink(from) ? accept(from) : refuse('links-too-often')
  }

  #mayLink(node: NodeId): boolean {
    const now = performance.now()
    const known = this.#linkings.get(node)
    const allowance = known ?? new Allowance(LINKINGS, now)
    if (!known) this.#linkings.set(node, allowance)
    return allowance.take(now)
  }

  #turnAway(socket: Socket, reason: string): void {
    this.#options.count('links_refused', reason)
    socket.emit('refused', reason)
    socket.disconnect(true)
  }

  #link(node: NodeId, socket: Socket, flow: Flow): void {
    clearTimeout(this.#leaving.get(node))
    this.#leaving.delete(node)
    const arrived = this.#options.presence.arrived(node).then(
      () => true,
      () => false,
    )
    const older = this.#links.get(node)
    if (older) this.#read(older)
    const link: Link = { socket, flow, arrived, turn: this.#turns++, unreadFrames: 0, unreadBytes: 0 }
    this.#links.set(node, link)
    flow.admit()
    void socket.join(node)
    this.#io.in(node).except(socket.id).disconnectSockets(true)
    // Whatever waited is on the wire from here on: a batch at a time, and the next one waits until the kernel has it.
    socket.conn.on('flush', () => this.#read(link))
    void arrived.then((known) => {
      if (!known) return this.#turnAway(socket, 'unavailable')
      if (this.#links.get(node) !== link) return
      this.#options.count('links', 'linked')
      socket.emit('linked')
      this.#inbox.push({ kind: 'linked', node })
    })
  }

  /**
   * Which of a node's links is the newest, presence knows, which all processes share. A word from one to another that a node
   * has come would be heard too late by whom it has left for meanwhile.
   */
  async #dropMoved(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    const { presence } = this.#options
    const turn = this.#turns
    const moved = await presence.moved().catch(() => [])
    this.#isLooking = false
    for (const node of moved) {
      const link = this.#links.get(node)
      // One that came back here meanwhile is newer than the answer; and where any did, one that is gone again may have.
      if (link && link.turn < turn) link.socket.disconnect(true)
      else if (!link && this.#turns === turn) void presence.departed(node).catch(() => undefined)
    }
  }

  #read(link: Link): void {
    this.#unreadBytes -= link.unreadBytes
    link.unreadFrames = 0
    link.unreadBytes = 0
  }

  /** It may read what it is sent or come back and be told where things stand, but it is not buffered for. */
  #drop({ flow }: Link): void {
    this.#options.count('links_refused', 'slow-reader')
    flow.cut()
  }

  async #unlink(node: NodeId, link: Link): Promise<void> {
    this.#read(link)
    this.#links.delete(node)
    await link.arrived
    if (this.#links.has(node)) return
    // Whose newest link is elsewhere is waited for there. Where that is not known, it is found out when the grace is over.
    const nowhere = await this.#options.presence.departed(node).catch(() => true)
    if (!nowhere || this.#links.has(node) || this.#closed) return
    const timer = setTimeout(() => {
      this.#leaving.delete(node)
      this.#inbox.push({ kind: 'left', node })
    }, this.#options.graceMillis)
    this.#leaving.set(node, timer)
  }

  #hear(from: NodeId, flow: Flow, frame: unknown): void {
    if (!isFrame(frame)) return this.#options.count('frames_refused', 'malformed')
    if (frame.length > FRAME_BYTES_MAX) return this.#options.count('frames_refused', 'too-large')
    if (this.#inbox.isCrowded) flow.pause(CROWDED_MILLIS)
    if (!this.#inbox.push({ kind: 'frame', from, frame: new Uint8Array(frame) }))
      this.#options.count('frames_refused', 'overload')
  }
}

/** socket.io hands binary over as a Buffer, which is a Uint8Array of Node's own realm. */
function isFrame(value: unknown): value is Bytes {
  return isBytes(value)
}

/**
 * A browser lets any page open a WebSocket to anywhere, so also to a coordinator that only its own machine or network reaches;
 * it says where the page came from, and other clients say nothing. The page that lends a browser comes from here.
 */
function isOfHere({ headers: { origin, host } }: IncomingMessage): boolean {
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)
}
