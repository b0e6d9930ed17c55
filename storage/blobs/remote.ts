import { collect } from '#protocol/bytes.ts'
import { holdFile } from '#protocol/held-file.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, type Clock, type RemoteStore } from '#protocol/ports.ts'
import { systemClock } from '../clock.ts'
import { type Fetch, faultOf, openExchange } from './exchange.ts'
import { type Keeping, openFetching, type SourceOrder } from './fetching.ts'
import { openOrigin } from './origin.ts'
import type { Parents } from './parents.ts'
import { readingFrom } from './reading.ts'
import { openSending } from './sending.ts'
import { bounded } from './writing.ts'

/**
 * The blobs behind a gateway, from anywhere that has `fetch`. Nothing that the gateway says is believed: files come block
 * by block, some in flight, and each is hashed before it is passed on, so after a broken connection reading goes on at the
 * block where it was. What is public may come from other gateways as well. A blob that lies in a store is sent from there,
 * block by block; one that is put is held in memory, for its CID must be known before the first byte is sent. Networks that
 * fail are tried again with growing pauses; what the gateway refuses is thrown at once, by the door's names.
 *
 * @param url where `/ipfs/` lies, e.g. `https://coordinator.example:7410`, or where it lies at the moment
 * @param ticket the ticket of the moment, for uploads; for reading only where that is asked for
 */
export function openRemoteBlobs({
  url,
  ticket = () => undefined,
  reads = 'public',
  sources = () => [],
  keeping,
  parents,
  fetch = globalThis.fetch,
  siteFetch,
  clock = systemClock,
  attempts = 6,
  firstPauseMillis = 250,
  attemptMillis = 60_000,
  jitter = Math.random,
}: RemoteBlobsOptions): RemoteBlobs {
  /** Asked anew at each attempt: the coordinator may be elsewhere by then. */
  const at =
    (cid: Cid, query = '') =>
    () =>
      new URL(`/ipfs/${cid}${query}`, typeof url === 'function' ? url() : url)

  const exchange = openExchange({ fetch, clock, attempts, firstPauseMillis, jitter })

  const isPublic = reads === 'public'
  const origin = openOrigin({
    ...{ exchange, at, attemptMillis, ...(isPublic && { keeping, parents }) },
    headers: () => (isPublic ? {} : bearer(ticket())),
  })
  const fetching = openFetching({
    ...{ fetch, siteFetch, clock, origin },
    // What only members may read is nobody else's to be asked for, and is not kept.
    ...(isPublic ? { sources, keeping, parents } : { sources: () => [] }),
  })

  const send = openSending({ exchange, at, authorization: () => bearer(ticket()), clock, attemptMillis })

  function has(cid: Cid, signal?: AbortSignal): Promise<boolean> {
    return exchange(
      at(cid),
      {
        method: 'HEAD',
        headers: reads === 'withheld' ? bearer(ticket()) : {},
        ...{ signal, allowMillis: attemptMillis },
      },
      async (response) => {
        if (response.status === 404 || response.status === 410) return false
        if (!response.ok) throw await faultOf(response)
        return true
      },
    )
  }

  return {
    ...readingFrom(fetching.block, fetching.ahead),
    send,
    pull(cid, from, signal) {
      if (from !== undefined) parents?.suggest(cid, from)
      return origin(cid, BLOCK_BYTES_MAX, signal)
    },
    async put(source, limitBytes, signal, expected) {
      const held = holdFile(await collect(bounded(source, limitBytes, signal), limitBytes))
      if (expected !== undefined && held.cid !== expected) throw new BlobCorrupt(`these are the bytes of ${held.cid}`)
      await send(held, held.cid, signal)
      return held.cid
    },
    async putBlocks() {
      throw new TypeError('a gateway takes files, not manifests or inner nodes')
    },
    has,
    async delete() {
      throw new TypeError('a gateway forgets nothing on request')
    },
  }
}

export type RemoteBlobs = RemoteStore & {
  /** A block from the gateway itself, whatever other sources there are. @param from what it may be made from, as somebody says */
  pull(cid: Cid, from: Cid | undefined, signal: AbortSignal): Promise<Bytes>
}

export type RemoteBlobsOptions = {
  readonly url: string | URL | (() => string)
  readonly ticket?: () => string | undefined
  /** `withheld`: shows the ticket to read as well, and so reads what only members of a run may. Otherwise no reader has a name. */
  readonly reads?: 'public' | 'withheld'
  /** Where else public blocks may be had. No ticket goes there. */
  readonly sources?: SourceOrder
  /** Where public blocks are kept that were fetched, and looked for first. */
  readonly keeping?: Keeping | undefined
  /** Which leaf was made from which: of those the difference will do. */
  readonly parents?: Parents | undefined
  readonly fetch?: Fetch
  /** For those sources that are nodes of the site. */
  readonly siteFetch?: Fetch
  readonly clock?: Clock
  readonly attempts?: number
  readonly firstPauseMillis?: Millis
  /** For one block, on top of the time its bytes take where it is sent. */
  readonly attemptMillis?: Millis
  /** Spreads the pauses: from 0 to 1. */
  readonly jitter?: () => number
}

function bearer(ticket: string | undefined): Readonly<Record<string, string>> {
  return ticket === undefined ? {} : { Authorization: `Bearer ${ticket}` }
}
