import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'
import { concat } from '#protocol/bytes.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'

/** A Helia node with Helia's own Bitswap and nothing that leaves loopback: no bootstrap, routing, discovery or relay. */
export type HeliaNode = AsyncDisposable & {
  readonly address: string
  /** Ids of those it is connected with. */
  connected(): readonly string[]
  dial(address: string): Promise<void>
  put(cid: Cid, block: Bytes): Promise<void>
  /** From its own store or from whoever it is connected with. */
  get(cid: Cid, signal?: AbortSignal): Promise<Bytes>
}

export async function startHelia(): Promise<HeliaNode> {
  const helia = withBitswap(
    withLibp2pLight(createHeliaLight(), {
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      peerDiscovery: [],
      services: { identify: identify() },
    }),
  )
  await helia.start()
  return {
    address: String(helia.libp2p.getMultiaddrs()[0]),
    connected: () => helia.libp2p.getPeers().map(String),
    async dial(address) {
      await helia.libp2p.dial(multiaddr(address))
    },
    async put(cid, block) {
      await helia.blockstore.put(CID.parse(cid), block)
    },
    async get(cid, signal = AbortSignal.timeout(20_000)) {
      const parts: Bytes[] = []
      for await (const part of helia.blockstore.get(CID.parse(cid), { signal })) parts.push(part)
      return concat(...parts)
    },
    async [Symbol.asyncDispose]() {
      await helia.stop()
    },
  }
}
