import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { randomBytes } from '#crypto'
import type { Bytes } from '#protocol/ids.ts'
import { type Connection, readFrames, type Stream } from '#storage/blobs/bitswap/frames.ts'
import { decodeMessage, type Message } from '#storage/blobs/bitswap/message.ts'
import { type Libp2pPeer, type Libp2pPeerOptions, openLibp2pPeer } from '#storage/blobs/libp2p.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { comesTrue } from './eventually.ts'

/** A peer on a free loopback port. Answers when those that it was told of are connected. */
export async function loopbackPeer(options: Partial<Libp2pPeerOptions> = {}): Promise<Libp2pPeer> {
  const peer = await openLibp2pPeer({
    blobs: openMemoryBlobs(),
    secret: randomBytes(32),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    peers: [],
    report: (cause) => {
      throw cause
    },
    ...options,
  })
  await comesTrue(async () => peer.away().length === 0)
  return peer
}

/** Where others dial it. */
export function addressOf(peer: Libp2pPeer): string {
  return peer.addresses()[0] as string
}

/** Somebody who speaks libp2p and says what it likes. */
export type Stranger = AsyncDisposable & {
  readonly connection: Connection
  /** What it was told, as it came. */
  readonly heard: readonly Message[]
  /** What it offers to speak, as it told this stranger. */
  protocols(): Promise<readonly string[]>
  say(frame: Bytes): Promise<Stream>
}

/** @param hearsBytes so much of what it is told on a stream it reads, and then nothing more */
export async function strangerTo(address: string, hearsBytes = Number.POSITIVE_INFINITY): Promise<Stranger> {
  const node = await createLibp2p({
    ...{ transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()] },
    services: { identify: identify() },
  })
  const heard: Message[] = []
  await node.handle(BITSWAP, async (stream) => {
    let readBytes = 0
    stream.addEventListener('message', ({ data }) => {
      readBytes += data.byteLength
      if (readBytes > hearsBytes) stream.pause()
    })
    if (hearsBytes < Number.POSITIVE_INFINITY) return
    try {
      for await (const body of readFrames(stream, () => new DisposableStack())) {
        const message = decodeMessage(body)
        if (message.ok) heard.push(message.value)
      }
    } catch {
      // Reset: what was heard before counts.
    }
  })
  const connection = await node.dial(multiaddr(address)).catch(async (cause) => {
    await node.stop()
    throw cause
  })
  return {
    ...{ connection, heard },
    protocols: async () => (await node.peerStore.get(connection.remotePeer)).protocols,
    async say(frame) {
      const stream = await connection.newStream(BITSWAP)
      stream.send(frame)
      return stream
    },
    async [Symbol.asyncDispose]() {
      await node.stop()
    },
  }
}

const BITSWAP = '/ipfs/bitswap/1.2.0'
