import type { IncomingMessage } from 'node:http'
import { Allowance, type Rate } from '#protocol/allowance.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { holderOf, Places, type PlacesRule } from '#protocol/places.ts'
import { BlobMissing, type Clock } from '#protocol/ports.ts'
import { type Asked, answerProblem, problemOf } from './answers.ts'
import { download, type Named, PROBE } from './downloads.ts'
import { hotBlocks, type Readable } from './hot-blocks.ts'
import type { KeptBlocks } from './kept-blocks.ts'
import { formOf } from './negotiation.ts'
import { readingFrom } from './reading.ts'
import { type Serve, type ServingDoors, serving } from './serving.ts'
import { type TransferLimits, Transfers } from './transfers.ts'

/**
 * What a node shows to the others of its site: single blocks, by their hash, that it has fetched from the coordinator. One
 * that it has not it fetches, if that falls to it and is asked for: from the coordinator, as anybody may, and from nobody
 * else, so that no question goes round in circles. Nothing is written here, and nothing that the node made can be read.
 */
export function openSiteGateway(options: SiteGatewayOptions): Serve {
  const { kept, clock, limits, pull, pullsFor } = options
  const { downloads, pulls, pullRate, cacheBytes, ...rule } = limits
  const here = hotBlocks(readableOf(kept), { clock, limitBytes: cacheBytes, freshMillis: FRESH_MILLIS })
  const transfers = new Transfers(clock, { ...rule, places: downloads })
  const places = new Places(pulls)
  const allowance = new Allowance(pullRate, clock.now())
  const pulling = new Map<Cid, Promise<Pulled>>()
  /** What the coordinator does not have is not asked of it again and again. */
  const absent = new Map<Cid, Millis>()

  /** Goes on when whoever asked has gone, for as long as a block takes on a slow line: the next who asks will find it. */
  function pulled({ cid, from }: Wanted, { socket }: IncomingMessage): Promise<Pulled> {
    const running = pulling.get(cid)
    if (running) return running
    const now = clock.now()
    if ((absent.get(cid) ?? 0) > now) return Promise.resolve('absent')
    const place = places.take(holderOf(socket.remoteAddress))
    if (!place || !allowance.take(now)) {
      place?.[Symbol.dispose]()
      return Promise.resolve('busy')
    }
    const going = within(clock, PULL_MILLIS, (signal) => pull(cid, from, signal))
      .catch((cause: unknown) => (cause instanceof BlobMissing ? remember(cid) : 'busy'))
      .finally(() => {
        pulling.delete(cid)
        place[Symbol.dispose]()
      })
    pulling.set(cid, going)
    return going
  }

  function remember(cid: Cid): 'absent' {
    absent.delete(cid)
    absent.set(cid, clock.now() + ABSENT_MILLIS)
    for (const earliest of absent.keys()) {
      if (absent.size <= ABSENT_MAX) break
      absent.delete(earliest)
    }
    return 'absent'
  }

  async function read(asked: Asked, cid: Named): Promise<string> {
    const { request, query } = asked
    const form = formOf(request, query)
    if (!form.ok) return answerProblem(asked, problemOf(form.refusal, form.detail))
    if (form.value.kind !== 'raw')
      return answerProblem(asked, problemOf('not-acceptable', 'a node shows single blocks: ask for format=raw'))
    if (cid === PROBE || !pullsFor(cid) || !asksToPull(request) || (await isHere(here, cid)))
      return download(asked, { blobs: here, transfers }, cid)
    const wanted = { cid, from: form.value.from }
    const bytes = await within(clock, ANSWER_MILLIS, () => pulled(wanted, request)).catch(() => 'busy' as const)
    if (bytes === 'busy') return answerProblem(asked, problemOf('busy', 'it cannot be fetched now'))
    const found = bytes === 'absent' ? here : only(cid, bytes)
    return download(asked, { blobs: found, transfers }, cid)
  }

  return serving({ read }, options)
}

export type SiteGatewayOptions = ServingDoors & {
  readonly kept: Pick<KeptBlocks, 'get'>
  /** Fetches a block that anybody may read from the coordinator, hashes it, and keeps it. */
  readonly pull: (cid: Cid, from: Cid | undefined, signal: AbortSignal) => Promise<Bytes>
  /** Whether a block falls to this node: to others it is not fetched for them, whoever asks. */
  readonly pullsFor: (cid: Cid) => boolean
  readonly limits: SiteGatewayLimits
}

export type SiteGatewayLimits = Omit<TransferLimits, 'places'> & {
  readonly downloads: PlacesRule
  /** Blocks that are fetched for others at a time, and in the long run. */
  readonly pulls: PlacesRule
  readonly pullRate: Rate
  readonly cacheBytes: number
}

type Wanted = { readonly cid: Cid; readonly from: Cid | undefined }
type Pulled = Bytes | 'busy' | 'absent'

/** Shorter than a neighbour waits for an answer: it should hear that this node is there, and only slow. */
const ANSWER_MILLIS: Millis = 8000
/** A block on the slowest line that can take part, 16 KiB/s. */
const PULL_MILLIS: Millis = 64_000
const ABSENT_MILLIS: Millis = 5000
const ABSENT_MAX = 1024
/** What is kept never changes, only goes. */
const FRESH_MILLIS: Millis = 600_000
const LATE = new Error('it took too long')

async function within<T>(clock: Clock, millis: Millis, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const [late, done] = [new AbortController(), new AbortController()]
  const tooLate = clock.wakeAt(clock.now() + millis, done.signal).then(() => {
    late.abort(LATE)
    throw LATE
  })
  tooLate.catch(() => undefined)
  try {
    return await Promise.race([act(late.signal), tooLate])
  } finally {
    done.abort(LATE)
  }
}

/** RFC 9111 section 5.2.1.7; and a HEAD only asks. */
function asksToPull({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && !headers['cache-control']?.includes('only-if-cached')
}

function readableOf(kept: Pick<KeptBlocks, 'get'>): Readable {
  const block = async (cid: Cid) => {
    const bytes = await kept.get(cid)
    if (!bytes) throw new BlobMissing(cid)
    return bytes
  }
  return { ...readingFrom(block), has: async (cid) => (await kept.get(cid)) !== undefined }
}

function only(cid: Cid, bytes: Bytes): Readable {
  return readableOf({ get: async (asked) => (asked === cid ? bytes : undefined) })
}

async function isHere(blobs: Readable, cid: Cid): Promise<boolean> {
  try {
    await blobs.getBlock(cid, BLOCK_BYTES_MAX)
    return true
  } catch (cause) {
    if (cause instanceof BlobMissing) return false
    throw cause
  }
}
