import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobMissing, BlobTooLarge, type Clock } from '#protocol/ports.ts'
import { type Answer, type Fetch, faultOf, openExchange, RemoteFault, readAtMost } from './exchange.ts'
import type { Parents } from './parents.ts'
import { checkedBlock, type LoadChecked } from './reading.ts'
import { Standing } from './standing.ts'

/**
 * The reading half of a gateway's client: each block from whoever has it, hashed before it is passed on. The sources are
 * asked in the order that they have for that block; one that has it not, fails, is slow or lies is passed over, and the
 * last resort is the gateway itself, which alone is asked again and again.
 */
export function openFetching({
  fetch,
  siteFetch = fetch,
  clock,
  origin,
  sources,
  keeping,
  parents,
}: FetchingOptions): Fetching {
  const standing = new Standing(SOURCE_MILLIS)
  const tries = { clock, attempts: 1, waits: 0, firstPauseMillis: 0, jitter: () => 0 }
  const [far, near] = [openExchange({ fetch, ...tries }), openExchange({ fetch: siteFetch, ...tries })]
  let aheadBytes = AHEAD_BYTES_FIRST

  const block: LoadChecked = async (cid, limitBytes, signal) => {
    const kept = await keeping?.get(cid)
    if (kept) return read({ cid, bytes: kept }, limitBytes)
    const asked = clock.now()
    const near = await fromSources(cid, signal)
    if (near) await keeping?.keep({ cid, bytes: near })
    const bytes = near ?? (await origin(cid, limitBytes, signal))
    const took = clock.now() - asked
    if (took < EASY_MILLIS) aheadBytes = Math.min(AHEAD_BYTES_MAX, aheadBytes + BLOCK_BYTES_MAX)
    else if (took > HARD_MILLIS) aheadBytes = Math.floor(aheadBytes / BLOCK_BYTES_MAX / 2) * BLOCK_BYTES_MAX
    return read({ cid, bytes }, limitBytes)
  }

  async function read(block: Block, limitBytes: number): Promise<Bytes> {
    const { cid, bytes } = block
    if (bytes.length > limitBytes) throw new BlobTooLarge(`${cid} is ${bytes.length} bytes, at most ${limitBytes}`)
    await parents?.learn(block)
    return bytes
  }

  /** Undefined where none of those that are asked has it. */
  async function fromSources(cid: Cid, signal?: AbortSignal): Promise<Bytes | undefined> {
    let left = SOURCES_A_BLOCK
    for (const source of sources(cid)) {
      if (left === 0) return undefined
      const url = String(source.url)
      if (!standing.admits(url, clock.now())) continue
      left--
      const bytes = await fromSource(source, cid, signal)
      if (bytes !== undefined) return bytes
    }
    return undefined
  }

  async function fromSource({ url: at, isNode }: Source, cid: Cid, signal?: AbortSignal): Promise<Bytes | undefined> {
    const url = String(at)
    const from = isNode ? parents?.named(cid) : undefined
    const query = from ? `${RAW_QUERY}&from=${from}` : RAW_QUERY
    const once = isNode ? near : far
    const load = (): Promise<Bytes | undefined> =>
      once(
        () => new URL(`/ipfs/${cid}${query}`, url),
        { headers: { Accept: RAW_TYPE }, signal, allowMillis: SOURCE_MILLIS },
        (answer) => {
          if (answer.ok && typeOf(answer) !== RAW_TYPE) throw new RemoteFault(`${typeOf(answer)} is no block`)
          if (Number(answer.headers.get('content-length')) > BLOCK_BYTES_MAX) throw new RemoteFault('more than a block')
          return blockIn(answer, BLOCK_BYTES_MAX)
        },
      )
    try {
      // Whole, whatever the reader has room for: half a block cannot be told from a lie.
      const bytes = await checkedBlock(load, cid, BLOCK_BYTES_MAX, signal)
      standing.kept(url)
      return bytes
    } catch (cause) {
      signal?.throwIfAborted()
      if (cause instanceof BlobMissing) standing.kept(url)
      else standing.failed(url, clock.now(), cause instanceof RemoteFault ? cause.retryAfterMillis : undefined)
      return undefined
    }
  }

  return { block, ahead: () => aheadBytes }
}

export type Fetching = {
  readonly block: LoadChecked
  /** For {@link readFile}: as many bytes as come in about two seconds, within the bound, so that no line has more under way
   * than it can finish before somebody's patience ends, and a fast one never waits for an answer. */
  ahead(): number
}

/** Any trustless gateway: `/ipfs/` lies at its root. It is shown no ticket, and nothing that it says is believed. */
export type Source = {
  readonly url: string | URL
  /** One of our nodes: told which leaf a leaf was made from, it may fetch the difference and sends the leaf. */
  readonly isNode?: true
}
/** Where else a block may be had, the best first. Asked for each block: the owner of one is not that of another. */
export type SourceOrder = (cid: Cid) => Iterable<Source>

export type FetchingOptions = {
  readonly fetch: Fetch
  /** For nodes of the site, where it is another one. */
  readonly siteFetch?: Fetch | undefined
  readonly clock: Clock
  /** The gateway itself, which is the last resort. */
  readonly origin: LoadChecked
  readonly sources: SourceOrder
  /** What was fetched before, and is here still. */
  readonly keeping?: Keeping | undefined
  readonly parents?: Parents | undefined
}

/** Blocks that can be had again. What it answers was hashed. */
export type Keeping = {
  get(cid: Cid): Promise<Bytes | undefined>
  keep(block: Block): Promise<void>
}

export const RAW_QUERY = '?format=raw'
export const RAW_TYPE = 'application/vnd.ipld.raw'
/** A source has so long for a block: 100 KiB/s, and whoever is slower is not worth leaving the gateway for. */
const SOURCE_MILLIS: Millis = 10_000
/** How many are asked for one block before the gateway is: each may take its time. */
const SOURCES_A_BLOCK = 3
/** In flight beyond the block that the reader waits for: at first, and at most. With that block, one more and what was read last, all that a reader holds. */
const AHEAD_BYTES_FIRST = 2 * BLOCK_BYTES_MAX
const AHEAD_BYTES_MAX = 6 * BLOCK_BYTES_MAX
/** A block that came sooner makes room for one more in flight; after one that took longer than the other there are half as many. */
const EASY_MILLIS: Millis = 2000
const HARD_MILLIS: Millis = 8000
const NOT_FOUND_BYTES_MAX = 4096

export async function blockIn(answer: Answer, limitBytes: number): Promise<Bytes | undefined> {
  if (answer.status === 404 || answer.status === 410) {
    // Read to its end, so that the connection can be used again.
    await readAtMost(answer, NOT_FOUND_BYTES_MAX)
    return undefined
  }
  if (!answer.ok) throw await faultOf(answer)
  return readAtMost(answer, limitBytes)
}

export function typeOf({ headers }: Answer): string | undefined {
  return headers.get('content-type')?.split(';')[0]?.trim()
}
