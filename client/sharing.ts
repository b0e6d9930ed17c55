import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { codecOf, RAW } from '#protocol/cid.ts'
import type { Cid } from '#protocol/ids.ts'
import { openKeptBlocks } from '#storage/blobs/kept-blocks.ts'
import { Parents } from '#storage/blobs/parents.ts'
import { openRemoteBlobs, type RemoteBlobs, type RemoteBlobsOptions } from '#storage/blobs/remote.ts'
import { openSiteGateway, type SiteGatewayOptions } from '#storage/blobs/site-gateway.ts'
import { systemClock } from '#storage/clock.ts'
import { siteOrder } from './site-order.ts'

/** Where a node shows the other nodes of its site what it has fetched. */
export type ShareConfig = {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
}

export type SharedBlobsConfig = {
  /** Of blocks that can be fetched again. */
  readonly folder: string
  readonly sharedBytes: number
  /** Undefined: what is fetched is shown to nobody. */
  readonly share: ShareConfig | undefined
  /** Where the other nodes of the site show theirs; this one may be among them. */
  readonly siteNodes: readonly string[]
}

export type SharedBlobs = AsyncDisposable & {
  readonly blobs: RemoteBlobs
  /** Hears which weights are read next. Of one architecture, those of a model are made from the last. */
  readonly expect: (model: { readonly weights: Cid; readonly architecture: Cid }) => void
  /** As the other nodes of the site name this one. */
  readonly url: string | undefined
}

/**
 * The coordinator's public blocks, for a node of a site: kept on its disk while there is room, fetched from whichever node of
 * the site a block belongs to, or from the coordinator, and there as the difference from one that is kept. Where the node
 * shares, the others find here what it fetched.
 */
export async function openSharedBlobs(config: SharedBlobsConfig, remote: RemoteBlobsOptions): Promise<SharedBlobs> {
  const { folder, sharedBytes, share, siteNodes } = config
  const { clock = systemClock } = remote
  const kept = await openKeptBlocks({ folder, quotaBytes: sharedBytes })
  const parents = new Parents((cid) => kept.get(cid))
  let order = siteOrder(undefined, siteNodes)
  const blobs = openRemoteBlobs({
    ...{ ...remote, parents },
    sources: (cid) => [
      ...order.above(cid).map((url) => ({ url, isNode: true }) as const),
      ...(remote.sources?.(cid) ?? []),
    ],
    keeping: {
      get: (cid) => kept.get(cid),
      // Of vectors, which are read once, only those that the others will ask this node for: all would push out the model.
      async keep(block) {
        const { cid } = block
        if (codecOf(cid) !== RAW || parents.expects(cid) || order.isOurs(cid)) await kept.keep(block)
      },
    },
  })
  const server = share && (await listen(share, { kept, pull: blobs.pull, pullsFor: (cid) => order.isOurs(cid), clock }))
  order = siteOrder(server?.url, siteNodes)
  return {
    blobs,
    expect: ({ weights, architecture }) => parents.expect(weights, architecture),
    url: server?.url,
    [Symbol.asyncDispose]: async () => server?.[Symbol.asyncDispose](),
  }
}

/** A gateway for the site, which only reads, and only what anybody may read at the coordinator. */
async function listen(
  { host, port, tls }: ShareConfig,
  doors: Pick<SiteGatewayOptions, 'kept' | 'pull' | 'pullsFor' | 'clock'>,
): Promise<{ readonly url: string } & AsyncDisposable> {
  if (!tls && !LOOPBACK.has(host))
    throw new Error(
      `refusing to share on ${host} without TLS: give --share-tls-cert and --share-tls-key, or share on 127.0.0.1`,
    )
  const gateway = openSiteGateway({ ...doors, limits: LIMITS })
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    if (!(await gateway(request, response))) response.writeHead(404).end()
  }
  const server = tls
    ? createTlsServer({ cert: await readFile(tls.certFile), key: await readFile(tls.keyFile) }, answer)
    : createServer(answer)
  server.maxConnections = CONNECTIONS_MAX
  server.headersTimeout = HEADERS_MILLIS
  server.requestTimeout = HEADERS_MILLIS
  const listening = Promise.withResolvers<void>()
  server.once('error', listening.reject)
  server.listen({ host, port }, listening.resolve)
  await listening.promise
  const bound = (server.address() as AddressInfo).port
  return {
    url: new URL(`${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${bound}`).origin,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', '[::1]', 'localhost'])

const MIB = 1_048_576
/** A site has a few dozen nodes, each with some requests at a time. */
const CONNECTIONS_MAX = 512
const HEADERS_MILLIS = 15_000
const LIMITS = {
  ...{ idleMillis: 30_000, leastBytesPerSecond: 65_536, pressedBytesPerSecond: 262_144 },
  downloads: { total: 128, each: 96 },
  /** What others make this node fetch, whoever they are: a few blocks at a time, and of 1 MiB each no more than 32 MiB a second. */
  pulls: { total: 16, each: 12 },
  pullRate: { perSecond: 32, burst: 1024 },
  cacheBytes: 16 * MIB,
}
