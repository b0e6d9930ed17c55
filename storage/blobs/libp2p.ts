import type { Libp2p } from 'libp2p'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { holderOf, Places } from '#protocol/places.ts'
import { BlobCorrupt, BlobMissing, type BlobStore, type Clock } from '#protocol/ports.ts'
import { systemClock } from '../clock.ts'
import { turns } from '../turns.ts'
import { type Answering, openAnswering } from './bitswap/answering.ts'
import { openAsking, PeersSilent } from './bitswap/asking.ts'
import { type Connection, readFrames, type Stream, writeFrame } from './bitswap/frames.ts'
import { decodeMessage, encodeMessage, type Message } from './bitswap/message.ts'
import { type Load, readingOf } from './reading.ts'

/**
 * A libp2p peer (TCP, noise, yamux, identify, and nothing else) that answers whoever wants blocks of a store over Bitswap,
 * and asks the peers that it was told of. It dials those and nobody else: there is no discovery, no routing, no relay, no
 * lookup of its own address. Bitswap is our own, since Helia's loads all that a stranger wants before it sends any of it:
 * 1,024 blocks, which is a gigabyte for a message of 40 KB.
 *
 * @param secret 32 bytes, from which its libp2p identity follows: no key that means anything elsewhere
 */
export async function openLibp2pPeer({
  blobs,
  secret,
  listen,
  peers: told,
  clock = systemClock,
  report,
}: Libp2pPeerOptions): Promise<Libp2pPeer> {
  const { createLibp2p, tcp, noise, yamux, identify, multiaddr, generateKeyPairFromSeed } = await loadLibp2p()
  const endpoints = new Set(told.map(endpointOf))
  const closing = new AbortController()
  const places = new Places(STRANGERS)
  const links = new Map<string, Link>()
  /** Ids of those that we dialled and that are connected; addresses of the others. */
  const known = new Set<string>()
  const away = new Set(told)
  const asking = openAsking({ clock, answerMillis: ANSWER_MILLIS })

  const node: Libp2p = await createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', secret),
    addresses: { listen: [...listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        ...{ maxInboundStreams: STREAMS_MAX, maxOutboundStreams: STREAMS_MAX },
        streamOptions: { initialStreamWindowSize: WINDOW_BYTES, maxStreamWindowSize: WINDOW_BYTES },
      }),
    ],
    peerDiscovery: [],
    services: { identify: identify() },
    connectionMonitor: { enabled: false },
    // Above our own count of strangers, which turns away whoever comes when it is full instead of dropping somebody else.
    connectionManager: {
      maxConnections: STRANGERS.total + 2 * told.length + 1,
      // In a second, from one address.
      inboundConnectionThreshold: 2 * STRANGERS.each,
    },
    connectionGater: {
      denyDialMultiaddr: (address) => !endpoints.has(endpointOf(address.toString())),
      denyInboundConnection(connection) {
        const place = places.take(holderOf(connection.remoteAddr.toString().split('/')[2]))
        connection.addEventListener('close', () => place?.[Symbol.dispose]())
        return place === undefined
      },
    },
    start: false,
  })

  /** What is between a peer and us while it is connected. */
  function linkTo({ remotePeer }: Connection): Link {
    const id = remotePeer.toString()
    const link = links.get(id)
    if (link) return link
    const inTurn = turns()
    let stream: Stream | undefined
    const send = (message: Message) =>
      inTurn(async () => {
        if (stream?.writeStatus !== 'writable') {
          const connection = node.getConnections(remotePeer).find(({ status }) => status === 'open')
          if (!connection) throw new Error(`${id} is not connected`)
          stream = await connection.newStream(BITSWAP, { signal: AbortSignal.timeout(SEND_MILLIS) })
        }
        await writeFrame(stream, encodeMessage(message), SEND_MILLIS)
      })
    const made = { answering: openAnswering({ blobs, send, report }), send, heldBytes: 0 }
    links.set(id, made)
    return made
  }

  async function receive(stream: Stream, connection: Connection): Promise<void> {
    // Or what is between us would be made anew after it was thrown away.
    if (connection.status !== 'open') return
    const id = connection.remotePeer.toString()
    const link = linkTo(connection)
    const admit = (sizeBytes: number): Disposable => {
      const limitBytes = known.has(id) ? TOLD_BYTES_MAX : STRANGER_BYTES_MAX
      if (link.heldBytes + sizeBytes > limitBytes) throw new Error(`a message of ${sizeBytes} bytes`)
      link.heldBytes += sizeBytes
      return {
        [Symbol.dispose]() {
          link.heldBytes -= sizeBytes
        },
      }
    }
    try {
      // Nothing is ever said on a stream that somebody else opened.
      stream.close().catch(() => undefined)
      for await (const body of readFrames(stream, admit)) {
        const message = decodeMessage(body)
        if (!message.ok) throw new Error(message.detail)
        if (known.has(id)) asking.receive(id, message.value)
        await link.answering.receive(message.value)
      }
    } catch (cause) {
      stream.abort(new Error('not a stream of Bitswap messages', { cause }))
    }
  }

  /** A told peer is dialled for as long as we are open, with growing pauses while it is away. */
  async function keepDialling(address: string): Promise<void> {
    let pause = FIRST_PAUSE_MILLIS
    // That it cannot be reached, which is said once.
    let isKnown = false
    while (!closing.signal.aborted) {
      try {
        const connection = await node.dial(multiaddr(address), { signal: closing.signal })
        const id = connection.remotePeer.toString()
        known.add(id)
        asking.joined(id, linkTo(connection).send)
        away.delete(address)
        pause = FIRST_PAUSE_MILLIS
        isKnown = false
        await closed(connection)
      } catch (cause) {
        if (!isKnown && !closing.signal.aborted) report(new Error(`${address} cannot be reached`, { cause }))
        isKnown = true
      }
      away.add(address)
      await clock.wakeAt(clock.now() + pause, closing.signal).catch(() => undefined)
      pause = Math.min(2 * pause, PAUSE_MILLIS_MAX)
    }
  }

  node.addEventListener('peer:disconnect', ({ detail: peer }) => {
    const id = peer.toString()
    links.get(id)?.answering[Symbol.dispose]()
    links.delete(id)
    if (known.delete(id)) asking.left(id)
    // Or every stranger that ever called would be remembered.
    else node.peerStore.delete(peer).catch(() => undefined)
  })
  await node.handle(BITSWAP, receive, { maxInboundStreams: STREAMS_MAX, maxOutboundStreams: 1 })
  await node.start()
  const dialling = told.map(keepDialling)

  return {
    id: node.peerId.toString(),
    addresses: () => node.getMultiaddrs().map(String),
    away: () => [...away],
    async want(cid, signal) {
      const block = await asking.want(cid, signal)
      if (!block && away.size > 0)
        throw new PeersSilent(`${away.size} of ${told.length} peers are away, and nobody else has ${cid}`)
      return block
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      for (const { answering } of links.values()) answering[Symbol.dispose]()
      await node.stop()
      await Promise.all(dialling)
    },
  }
}

/** A store that also reads what the peer's peers have: first its own blocks, then theirs, which it does not keep. */
export function withPeers<Store extends BlobStore>(own: Store, peer: Pick<Libp2pPeer, 'want'>): Store {
  const load: Load = async (cid, _limitBytes, signal) => {
    try {
      return await own.getBlock(cid, BLOCK_BYTES_MAX)
    } catch (cause) {
      const block =
        cause instanceof BlobMissing || cause instanceof BlobCorrupt ? await peer.want(cid, signal) : undefined
      if (block || cause instanceof BlobMissing) return block
      throw cause
    }
  }
  return { ...own, ...readingOf(load, undefined, () => AHEAD_BYTES) }
}

export type Libp2pPeer = AsyncDisposable & {
  /** `12D3Koo…` */
  readonly id: string
  /** Where it listens, with its id: what others dial. */
  addresses(): readonly string[]
  /** Those of the told addresses at which nobody is connected at the moment. */
  away(): readonly string[]
  /** A block of one of them, checked. Undefined where all of them say that they have not got it; throws {@link PeersSilent}. */
  want(cid: Cid, signal?: AbortSignal): Promise<Bytes | undefined>
}

export type Libp2pPeerOptions = {
  /** What it answers from: only blocks that anybody may read. */
  readonly blobs: Pick<BlobStore, 'has' | 'getBlock'>
  readonly secret: Bytes
  /** Multiaddrs to listen on, e.g. `/ip4/127.0.0.1/tcp/4001`; none at all where it only dials. */
  readonly listen: readonly string[]
  /** Multiaddrs of the peers to dial and to ask. */
  readonly peers: readonly string[]
  readonly clock?: Clock
  /** Hears of peers that cannot be reached and of a store that cannot answer. */
  readonly report: (cause: unknown) => void
}

const BITSWAP = '/ipfs/bitswap/1.2.0'
/** Connections that others made, of all and of one address: each may cost a few MiB while it is served. */
const STRANGERS = { total: 64, each: 16 }
/** Streams of one connection, and what may be under way on each: a peer needs one, and Helia opens one a message. */
const STREAMS_MAX = 16
const WINDOW_BYTES = 262_144
/** What is held of unfinished messages: of a stranger, who only wants; and of a peer that sends blocks, 4 MiB at once. */
const STRANGER_BYTES_MAX = 1_048_576
const TOLD_BYTES_MAX = 16_777_216
/** Leaves that a reader of a file has asked for beyond the one that it waits for. */
const AHEAD_BYTES = 4 * BLOCK_BYTES_MAX
const SEND_MILLIS: Millis = 30_000
const ANSWER_MILLIS: Millis = 30_000
const FIRST_PAUSE_MILLIS: Millis = 1000
const PAUSE_MILLIS_MAX: Millis = 60_000

type Link = {
  readonly answering: Answering
  readonly send: (message: Message) => Promise<void>
  heldBytes: number
}

/** What has to be installed beside us: it is much, and only this needs it. */
const PACKAGES = [
  'libp2p',
  '@libp2p/crypto',
  '@libp2p/identify',
  '@libp2p/noise',
  '@libp2p/tcp',
  '@libp2p/yamux',
  '@multiformats/multiaddr',
]

async function loadLibp2p() {
  try {
    const [{ createLibp2p }, { generateKeyPairFromSeed }, { identify }, { noise }, { tcp }, { yamux }, { multiaddr }] =
      await Promise.all([
        import('libp2p'),
        import('@libp2p/crypto/keys'),
        import('@libp2p/identify'),
        import('@libp2p/noise'),
        import('@libp2p/tcp'),
        import('@libp2p/yamux'),
        import('@multiformats/multiaddr'),
      ])
    return { createLibp2p, generateKeyPairFromSeed, identify, noise, tcp, yamux, multiaddr }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new Error(`libp2p is not installed: npm install ${PACKAGES.join(' ')}`, { cause })
  }
}

/** An address without the id of who is there. */
function endpointOf(address: string): string {
  return address.split('/p2p/')[0] as string
}

function closed(connection: Connection): Promise<void> {
  return new Promise((resolve) => {
    if (connection.status !== 'open') resolve()
    connection.addEventListener('close', () => resolve())
  })
}
