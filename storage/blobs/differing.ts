import { Allowance, type Rate } from '#protocol/allowance.ts'
import { ownOf } from '#protocol/bytes.ts'
import { codecOf, RAW } from '#protocol/cid.ts'
import { isPairable } from '#protocol/difference.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { LruCache } from '#protocol/lru-cache.ts'
import { BlobMissing, type Clock } from '#protocol/ports.ts'
import type { Readable } from './hot-blocks.ts'

/** The deflated difference of one leaf from another; undefined where it is not to be had now, or not worth it. */
export type Differing = (from: Cid, to: Cid) => Promise<Bytes | undefined>

/**
 * Differences between leaves that are both here, each made once however many ask, and kept while it is used. Anybody may ask
 * for any pair, so what making them costs is bounded: what is over the rate, or would wait behind too many others, is not
 * made, and whoever asked takes the whole leaf.
 */
export function openDiffering({ blobs, differ, clock, report }: DifferingDoors, bounds = DIFFERING): Differing {
  const allowance = new Allowance(bounds.rate, clock.now())
  /** An empty one says that it is not worth its while. */
  const made = new LruCache<string, Bytes>({ limitBytes: bounds.cacheBytes, bytesOf: (bytes) => bytes.length + 256 })
  const making = new Map<string, Promise<Bytes>>()

  async function make(name: string, parent: Bytes, next: Bytes): Promise<Bytes> {
    try {
      const deflated = ownOf(await differ(parent, next))
      const kept = deflated.length < next.length * WORTH_SHARE ? deflated : NOTHING
      made.keep(name, kept)
      return kept
    } catch (cause) {
      // The leaf itself is there to be sent.
      report?.(cause)
      return NOTHING
    } finally {
      making.delete(name)
    }
  }

  async function found(from: Cid, to: Cid): Promise<Bytes> {
    const name = `${from} ${to}`
    const known = made.get(name) ?? making.get(name)
    if (known) return known
    const [parent, next] = await Promise.all([from, to].map((cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX)))
    if (!parent || !next || !isPairable(parent, next)) return NOTHING
    // Another may have begun meanwhile.
    const begun = made.get(name) ?? making.get(name)
    if (begun) return begun
    if (making.size >= bounds.waitingMax || !allowance.take(clock.now())) return NOTHING
    const running = make(name, parent, next)
    making.set(name, running)
    return running
  }

  return async (from, to) => {
    if (from === to || codecOf(from) !== RAW || codecOf(to) !== RAW) return undefined
    const difference = await found(from, to).catch((cause: unknown) => {
      if (cause instanceof BlobMissing) return NOTHING
      throw cause
    })
    return difference === NOTHING ? undefined : difference
  }
}

export type DifferingDoors = {
  readonly blobs: Pick<Readable, 'getBlock'>
  readonly differ: (parent: Bytes, next: Bytes) => Promise<Bytes>
  readonly clock: Pick<Clock, 'now'>
  /** Hears why one could not be made. */
  readonly report?: ((cause: unknown) => void) | undefined
}

type DifferingBounds = {
  /** Of differences that are made. */
  readonly rate: Rate
  /** Those that are being made or wait for it. */
  readonly waitingMax: number
  readonly cacheBytes: number
}

/** A leaf takes some fifty milliseconds of one core: the largest model at once, and then a fifth of it in the long run. */
const DIFFERING: DifferingBounds = {
  rate: { perSecond: 4, burst: 1024 },
  waitingMax: 16,
  cacheBytes: 32 * 1_048_576,
}

/** Above this the whole leaf costs nobody anything more worth speaking of. */
const WORTH_SHARE = 0.95
const NOTHING: Bytes = new Uint8Array(0)
