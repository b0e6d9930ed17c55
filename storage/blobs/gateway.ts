import type { Bytes, Millis } from '#protocol/ids.ts'
import type { PlacesRule } from '#protocol/places.ts'
import type { PartsStore } from '#protocol/ports.ts'
import { openDiffering } from './differing.ts'
import { download } from './downloads.ts'
import { hotBlocks } from './hot-blocks.ts'
import { type Serve, type ServingDoors, serving } from './serving.ts'
import type { Tickets } from './tickets.ts'
import { type TransferLimits, Transfers } from './transfers.ts'
import { openUploads } from './uploads.ts'

/**
 * The blobs over HTTP, for a plain node:http server: answers what lies under `/ipfs/` and says true, or says false and
 * leaves the request alone. Reads follow the IPFS trustless gateway specification (raw blocks, CAR) with the file's bytes
 * as a third form; writes are `PUT /ipfs/{cid}` with a ticket, block by block. What is withheld is read only with the ticket of a seat whose
 * run withholds its vectors: to anybody else who asks for it, it is not there.
 */
export function openGateway(options: GatewayOptions): Gateway {
  const { clock, limits } = options
  const { uploads, downloads, cacheBytes: _, ...rule } = limits
  const [coming, going] = [uploads, downloads].map((places) => new Transfers(clock, { ...rule, places })) as [
    Transfers,
    Transfers,
  ]
  const hot = { clock, limitBytes: limits.cacheBytes, freshMillis: FRESH_MILLIS, count: options.countRead }
  const blobs = hotBlocks(options.blobs, hot)
  const differing = options.differ && openDiffering({ ...options, differ: options.differ, blobs })
  const downloading = { blobs, members: options, differing, transfers: going }
  const upload = openUploads({ ...options, transfers: coming })
  const gauges = () => ({ uploads: coming.size, downloads: going.size })

  const serve = serving({ read: (asked, cid) => download(asked, downloading, cid), write: upload }, options)
  return Object.assign(serve, { gauges })
}

export type Gateway = Serve & {
  /** How many transfers are under way. */
  gauges(): { readonly uploads: number; readonly downloads: number }
}

export type GatewayOptions = ServingDoors & {
  readonly blobs: PartsStore
  /** Where uploads under a `commit-only` ticket go. */
  readonly withheld: PartsStore
  readonly tickets: Tickets
  readonly limits: GatewayLimits
  /** Makes the difference of one leaf from another, deflated; without it leaves are always sent whole. */
  readonly differ?: (parent: Bytes, next: Bytes) => Promise<Bytes>
  /** Hears how each public block came that a download needs: from memory, from the store, or with another's read. */
  readonly countRead?: (how: 'hit' | 'miss' | 'joined') => void
}

export type GatewayLimits = Omit<TransferLimits, 'places'> & {
  /** Blocks that come at a time, and those of one address; each takes up to 2 MiB. */
  readonly uploads: PlacesRule
  /** Downloads at a time, and those of one address; each holds a block of at most 1 MiB. */
  readonly downloads: PlacesRule
  /** Public blocks that are kept in memory for the next who asks. */
  readonly cacheBytes: number
}

/** A retention keeper deletes by the day: nobody minds the minute. */
const FRESH_MILLIS: Millis = 60_000
