import { join } from 'node:path'
import type { Logger } from 'pino'
import { randomBytes } from '#crypto'
import type { BlobStore } from '#protocol/ports.ts'
import { type Libp2pPeer, openLibp2pPeer } from '#storage/blobs/libp2p.ts'
import { openKeyFile } from '#storage/secret-file.ts'

export type PeerConfig = {
  /** Multiaddrs to listen on. */
  readonly listen: readonly string[]
  /** Multiaddrs of peers to dial, so that they can fetch from us where we cannot be dialled. */
  readonly peers: readonly string[]
}

/**
 * Serves the public blocks to any IPFS peer. It is given nothing else to read from, so boxes, shares and withheld vectors
 * cannot be asked for; and it fetches nothing, so no stranger can make the coordinator ask for things. Its key says only who
 * serves blocks: the coordinator's own would be used under a second protocol.
 */
export async function openPeer(
  { listen, peers }: PeerConfig,
  { state, blobs, logger }: { readonly state: string; readonly blobs: BlobStore; readonly logger: Logger },
): Promise<Libp2pPeer> {
  return openLibp2pPeer({
    blobs,
    secret: await openKeyFile(join(state, 'libp2p.key'), () => randomBytes(32)),
    ...{ listen, peers },
    report: (err) => logger.warn({ err }, 'the libp2p peer goes on'),
  })
}
