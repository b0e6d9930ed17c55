import { copyOf } from '#protocol/bytes.ts'
import { applyDeflated } from '#protocol/difference.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobTooLarge } from '#protocol/ports.ts'
import { type Answer, type Exchange, readAtMost } from './exchange.ts'
import { blockIn, type Keeping, RAW_QUERY, RAW_TYPE, typeOf } from './fetching.ts'
import type { Parents } from './parents.ts'
import { checkedBlock, type LoadChecked } from './reading.ts'

/**
 * Blocks from the gateway that has them all. Each is asked for once, for all who want it at that time. Where the leaf that one
 * was made from is here, the difference is asked for: the answer is that or the leaf, whatever the gateway likes. A
 * difference that makes another leaf costs one more question, and no other is asked for of that file.
 */
export function openOrigin({ exchange, at, headers, attemptMillis, keeping, parents }: OriginOptions): LoadChecked {
  const coming = new Map<Cid, Promise<Bytes>>()

  const whole = (cid: Cid, limitBytes: number, signal?: AbortSignal) =>
    ask(cid, RAW_QUERY, signal, (answer) => blockIn(answer, limitBytes))

  const madeFrom = (parent: Block) => (cid: Cid, _: number, signal?: AbortSignal) =>
    ask(cid, `${RAW_QUERY}&from=${parent.cid}`, signal, async (answer) => {
      if (!answer.ok || typeOf(answer) !== DIFFERENCE_TYPE) return blockIn(answer, BLOCK_BYTES_MAX)
      const made = await applyDeflated(parent.bytes, await readAtMost(answer, parent.bytes.length))
      if (!made.ok) throw new BlobCorrupt(`the difference of ${cid}: ${made.detail}`)
      return made.value
    })

  function ask(
    cid: Cid,
    query: string,
    signal: AbortSignal | undefined,
    read: (answer: Answer) => Promise<Bytes | undefined>,
  ): Promise<Bytes | undefined> {
    const request = { headers: { Accept: RAW_TYPE, ...headers() }, signal, allowMillis: attemptMillis }
    return exchange(at(cid, query), request, read)
  }

  /** Whoever comes before it is kept waits for this one, and whoever comes after finds it. */
  async function load(cid: Cid, limitBytes: number, signal?: AbortSignal): Promise<Bytes> {
    const kept = await keeping?.get(cid)
    if (kept) return within(kept, limitBytes)
    const bytes = await fetched(cid, limitBytes, signal)
    await keeping?.keep({ cid, bytes })
    return bytes
  }

  async function fetched(cid: Cid, limitBytes: number, signal?: AbortSignal): Promise<Bytes> {
    const parent = await parents?.of(cid)
    if (parent)
      try {
        return within(await checkedBlock(madeFrom(parent), cid, BLOCK_BYTES_MAX, signal), limitBytes)
      } catch (cause) {
        if (!(cause instanceof BlobCorrupt)) throw cause
        parents?.doubt()
      }
    return checkedBlock(whole, cid, limitBytes, signal)
  }

  return async (cid, limitBytes, signal) => {
    const running = coming.get(cid)
    // What another's question came to says nothing about ours: it may have been given up.
    const shared = running && (await endedBy(running, signal).catch(() => undefined))
    signal?.throwIfAborted()
    // Memory of one's own: whoever reads may change what it was given.
    if (shared) return within(copyOf(shared), limitBytes)
    const loading = load(cid, limitBytes, signal)
    coming.set(cid, loading)
    try {
      return await loading
    } finally {
      if (coming.get(cid) === loading) coming.delete(cid)
    }
  }
}

export type OriginOptions = {
  readonly exchange: Exchange
  readonly at: (cid: Cid, query: string) => () => URL
  readonly headers: () => Readonly<Record<string, string>>
  /** For one answer. */
  readonly attemptMillis: Millis
  readonly keeping?: Keeping | undefined
  readonly parents?: Parents | undefined
}

const DIFFERENCE_TYPE = 'application/vnd.consilium.difference'

function within(bytes: Bytes, limitBytes: number): Bytes {
  if (bytes.length > limitBytes) throw new BlobTooLarge(`${bytes.length} bytes, at most ${limitBytes}`)
  return bytes
}

async function endedBy<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const end = () => reject(signal?.reason)
  signal?.addEventListener('abort', end, { once: true })
  try {
    return await Promise.race([work, ended])
  } finally {
    signal?.removeEventListener('abort', end)
  }
}
