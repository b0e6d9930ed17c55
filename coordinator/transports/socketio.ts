import type { Server as HttpServer } from 'node:http'
import { Server, type ServerOptions, type Socket } from 'socket.io'
import { randomBytes } from '#crypto'
import { equalBytes } from '#protocol/bytes.ts'
import { isBytes } from '#protocol/codec.ts'
import { open, type Signer } from '#protocol/envelope.ts'
import type { Bytes, Millis, NodeId } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX, SOCKET_BYTES_MAX } from '#protocol/limits.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import { LINK_PATH, readClientMessage, say } from '#protocol/messages.ts'
import type { CoordinatorTransport, LinkEvent, Presence } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'

export type LinkOptions = {
  readonly signer: Signer
  /** Who may link: an allow-list, or everybody. */
  readonly admits: (node: NodeId) => boolean
  /** A node may be away for this long before it has left. */
  readonly graceMillis: Millis
  /** From connection to a signed hello. */
  readonly helloMillis: Millis
  readonly linksMax: number
  readonly count: (name: string, reason: string) => void
  /** What is told of who is linked here, and so to none of the other processes. */
  readonly presence: Presence
  /** Reaches the sockets of other processes; left out where there are none. */
  readonly adapter?: ServerOptions['adapter']
}

/** Sockets that have not said hello yet. */
const STRANGERS_MAX = 1024

/** Frames that a node has not taken from the wire yet: more than it is ever told at once, of all runs together. */
const UNREAD_FRAMES_MAX = 1024

/** Events that wait for the gateway; past it new frames are refused. */
const WAITING_EVENTS_MAX = 65_536

type Link = { readonly socket: Socket; readonly arrived: Promise<boolean>; unread: number }

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
  readonly #mailbox = new Mailbox<LinkEvent>()
  #draining = false
  #closed = false
  #sockets = 0
  #strangers = 0

  constructor(http: HttpServer, options: LinkOptions) {
    this.#options = options
    this.#io = new Server(http, {
      path: LINK_PATH,
      transports: ['websocket'],
      maxHttpBufferSize: SOCKET_BYTES_MAX,
      perMessageDeflate: false,
      httpCompression: false,
      serveClient: false,
      connectTimeout: options.helloMillis,
      ...(options.adapter && { adapter: options.adapter }),
    })
    this.#io.on('connection', (socket) => this.#meet(socket))
  }

  async send(to: NodeId, frame: Bytes): Promise<void> {
    const link = this.#links.get(to)
    if (!link) return
    link.unread++
    if (link.unread <= UNREAD_FRAMES_MAX) link.socket.emit('frame', frame)
    else this.#drop(link)
  }

  linked(): readonly NodeId[] {
    return [...this.#links.keys()]
  }

  events(signal: AbortSignal): AsyncIterable<LinkEvent> {
    return this.#mailbox.items(signal)
  }

  /** Links stay, new ones go to another process. */
  drain(): void {
    this.#draining = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    for (const timer of this.#leaving.values()) clearTimeout(timer)
    this.#leaving.clear()
    // Only those of this process: the others go on.
    this.#io.local.disconnectSockets(true)
    this.#io.of('/').adapter.close()
    this.#io.engine.close()
  }

  #meet(socket: Socket): void {
    if (this.#draining) return this.#turnAway(socket, 'draining')
    // Whoever has not said hello holds few places, so that silent strangers cannot keep the nodes out.
    if (this.#sockets >= this.#options.linksMax || this.#strangers >= STRANGERS_MAX)
      return this.#turnAway(socket, 'too-many-links')
    this.#sockets++
    this.#strangers++
    const known = once(() => this.#strangers--)
    const nonce = randomBytes(32)
    const late = setTimeout(() => this.#turnAway(socket, 'no-hello'), this.#options.helloMillis)
    let node: NodeId | undefined
    socket.on('frame', (frame: unknown) => {
      if (node) return this.#hear(node, frame)
      const hello = this.#check(frame, nonce)
      clearTimeout(late)
      known()
      if (!hello.ok) return this.#turnAway(socket, hello.refusal)
      node = hello.value
      this.#link(node, socket)
    })
    socket.on('disconnect', () => {
      this.#sockets--
      clearTimeout(late)
      known()
      const link = node && this.#links.get(node)
      if (node && link?.socket === socket) void this.#unlink(node, link)
    })
    socket.emit('frame', say(this.#options.signer, { kind: 'challenge', nonce }))
  }

  #check(frame: unknown, nonce: Bytes): Result<NodeId> {
    if (!isFrame(frame)) return refuse('malformed')
    const signed = open(frame, FRAME_BYTES_MAX)
    if (!signed.ok) return signed
    const message = readClientMessage(signed.value)
    if (!message.ok) return message
    if (message.value.kind !== 'hello') return refuse('hello-first')
    if (message.value.to !== this.#options.signer.id) return refuse('wrong-coordinator')
    if (!equalBytes(message.value.nonce, nonce)) return refuse('replayed')
    return this.#options.admits(signed.value.from) ? accept(signed.value.from) : refuse('not-admitted')
  }

  #turnAway(socket: Socket, reason: string): void {
    this.#options.count('links_refused', reason)
    socket.emit('refused', reason)
    socket.disconnect(true)
  }

  #link(node: NodeId, socket: Socket): void {
    clearTimeout(this.#leaving.get(node))
    this.#leaving.delete(node)
    const arrived = this.#options.presence.arrived(node).then(
      () => true,
      () => false,
    )
    const link = { socket, arrived, unread: 0 }
    this.#links.set(node, link)
    void socket.join(node)
    this.#io.in(node).except(socket.id).disconnectSockets(true)
    // Whatever waited is on the wire from here on, where the kernel bounds it.
    socket.conn.on('flush', () => {
      link.unread = 0
    })
    void arrived.then((known) => {
      if (!known) return this.#turnAway(socket, 'unavailable')
      if (this.#links.get(node) !== link) return
      this.#options.count('links', 'linked')
      socket.emit('linked')
      this.#mailbox.push({ kind: 'linked', node })
    })
  }

  /** It may read what it is sent or come back and be told where things stand, but it is not buffered for. */
  #drop({ socket }: Link): void {
    this.#options.count('links_refused', 'slow-reader')
    socket.conn.close(true)
  }

  async #unlink(node: NodeId, { arrived }: Link): Promise<void> {
    this.#links.delete(node)
    await arrived
    if (this.#links.has(node)) return
    // Whose newest link is elsewhere is waited for there. Where that is not known, it is found out when the grace is over.
    const nowhere = await this.#options.presence.departed(node).catch(() => true)
    if (!nowhere || this.#links.has(node) || this.#closed) return
    const timer = setTimeout(() => {
      this.#leaving.delete(node)
      this.#mailbox.push({ kind: 'left', node })
    }, this.#options.graceMillis)
    this.#leaving.set(node, timer)
  }

  #hear(from: NodeId, frame: unknown): void {
    if (!isFrame(frame)) return this.#options.count('frames_refused', 'malformed')
    if (frame.length > FRAME_BYTES_MAX) return this.#options.count('frames_refused', 'too-large')
    if (this.#mailbox.size >= WAITING_EVENTS_MAX) return this.#options.count('frames_refused', 'overload')
    this.#mailbox.push({ kind: 'frame', from, frame: new Uint8Array(frame) })
  }
}

function once(act: () => void): () => void {
  let done = false
  return () => {
    if (!done) act()
    done = true
  }
}

/** socket.io hands binary over as a Buffer, which is a Uint8Array of Node's own realm. */
function isFrame(value: unknown): value is Bytes {
  return isBytes(value)
}
