import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseCid } from '#protocol/cid.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'
import type { PlacesRule } from '#protocol/places.ts'
import type { Clock, PartsStore } from '#protocol/ports.ts'
import { type Asked, answerProblem, problemOf } from './answers.ts'
import { openDiffering } from './differing.ts'
import { download, PROBE } from './downloads.ts'
import { hotBlocks } from './hot-blocks.ts'
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
  const downloading = { ...options, blobs, differing, transfers: going }
  const upload = openUploads({ ...options, transfers: coming })
  const gauges = () => ({ uploads: coming.size, downloads: going.size })

  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const [path = '', query = ''] = split(request.url ?? '', '?')
    if (!path.startsWith('/ipfs/')) return false
    // Read as it came, never normalised or decoded: what is not exactly a CID is refused.
    const name = path.slice('/ipfs/'.length)
    const asked = { request, response, query: new URLSearchParams(query), clock }
    // The other side may go away at any time; whoever reads or writes hears of it, and nobody else need.
    response.on('error', () => undefined)
    let outcome: string
    try {
      outcome = await answer(asked, name)
    } catch (cause) {
      outcome = await fail(asked, cause)
    }
    options.count?.(outcome)
    return true
  }
  return Object.assign(serve, { gauges })

  async function answer(asked: Asked, name: string): Promise<string> {
    const { request } = asked
    const reads = request.method === 'GET' || request.method === 'HEAD'
    if (!reads && request.method !== 'PUT') {
      asked.response.setHeader('Allow', 'GET, HEAD, PUT')
      return answerProblem(asked, problemOf('method-not-allowed', `${request.method} is not offered here`))
    }
    const [text = '', rest] = split(name, '/')
    if (reads && text === PROBE) return download(asked, downloading, PROBE)
    const cid = parseCid(text)
    if (!cid.ok) return answerProblem(asked, problemOf('bad-cid', cid.detail))
    if (rest !== undefined) return answerProblem(asked, problemOf('no-paths', 'blobs here are files, not folders'))
    return reads ? download(asked, downloading, cid.value) : upload(asked, cid.value)
  }

  async function fail(asked: Asked, cause: unknown): Promise<string> {
    if (asked.response.headersSent || asked.response.destroyed) {
      // Too late to say anything: a response that ends short tells the reader.
      asked.response.destroy()
      return 'broken-off'
    }
    options.report?.(cause)
    return answerProblem(asked, problemOf('fault', 'the store could not do it'))
  }
}

/** Answers true when the request was for it; resolves once the response is over. Never rejects. */
export type Gateway = ((request: IncomingMessage, response: ServerResponse) => Promise<boolean>) & {
  /** How many transfers are under way. */
  gauges(): { readonly uploads: number; readonly downloads: number }
}

export type GatewayOptions = {
  readonly blobs: PartsStore
  /** Where uploads under a `commit-only` ticket go. */
  readonly withheld: PartsStore
  readonly tickets: Tickets
  readonly clock: Clock
  readonly limits: GatewayLimits
  /** Makes the difference of one leaf from another, deflated; without it leaves are always sent whole. */
  readonly differ?: (parent: Bytes, next: Bytes) => Promise<Bytes>
  /** Hears how each request ended: `sent`, `difference-sent`, `not-modified`, `kept`, `already-here`, `part`, `broken-off`, or a problem's code. */
  readonly count?: (outcome: string) => void
  /** Hears how each public block came that a download needs: from memory, from the store, or with another's read. */
  readonly countRead?: (how: 'hit' | 'miss' | 'joined') => void
  /** Hears of the world's faults behind a 500. */
  readonly report?: (cause: unknown) => void
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

function split(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
