import { codecOf, DAG_PB } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import { partsOf } from '#protocol/file-node.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, UNIXFS_WIDTH } from '#protocol/limits.ts'
import { BlobCorrupt, type BlobStore, type Clock, type RemoteStore } from '#protocol/ports.ts'
import { fileSizeOf } from '#protocol/unixfs.ts'
import { type Answer, type Exchange, faultOf, RemoteFault, RemoteRefused, readAtMost } from './exchange.ts'

/**
 * Gives a gateway a blob that lies in a store, one block at a time and a few in flight, so that no more than those are in
 * memory. Of a file it sends the root first and is told what is not there: after any break, of the line, of the gateway or of
 * this process, that is all that is sent again. All of it goes under the ticket of the moment at which it began.
 */
export function openSending(options: SendingOptions): RemoteStore['send'] {
  return (from, cid, signal) => new Sending(options, from, cid, signal).run()
}

export type SendingOptions = {
  readonly exchange: Exchange
  /** Where a block is put. */
  readonly at: (cid: Cid, query: string) => () => URL
  readonly authorization: () => Readonly<Record<string, string>>
  readonly clock: Clock
  /** For an answer, on top of the time that the bytes take. */
  readonly attemptMillis: Millis
}

type Source = Pick<BlobStore, 'getBlock'>

class Sending {
  readonly #options: SendingOptions
  readonly #from: Source
  readonly #root: Cid
  readonly #headers: Readonly<Record<string, string>>
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #running = new Set<Promise<void>>()
  /** Leaves that came there. */
  #sent = 0
  /** How many are sent at a time: a line that takes long for a block gains nothing by several, and each would seem to stand still. */
  #window = 1

  constructor(options: SendingOptions, from: Source, root: Cid, signal: AbortSignal | undefined) {
    this.#options = options
    this.#from = from
    this.#root = root
    this.#headers = { 'Content-Type': RAW_BLOCK, ...options.authorization() }
    this.#signal = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal
  }

  async run(): Promise<void> {
    const root = { cid: this.#root, bytes: await this.#from.getBlock(this.#root, BLOCK_BYTES_MAX) }
    const size = fileSizeOf(root)
    if (!size.ok) throw new BlobCorrupt(`${this.#root} is not a file`)
    const sentMax = SENT_TIMES_MAX * Math.ceil(size.value / BLOCK_BYTES_MAX)
    for (let stalls = 0; ; ) {
      const missing = await this.#put(this.#root)
      if (!missing) return
      const before = this.#sent
      try {
        await this.#sendUnder(missing)
      } catch (cause) {
        // Another process of the gateway, or one that has begun again: the root tells it of the upload, and what it has counts.
        if (!isUnknown(cause)) throw cause
      }
      stalls = this.#sent > before ? 0 : stalls + 1
      if (stalls >= STALLS_MAX || this.#sent >= sentMax)
        throw new RemoteFault(`${this.#root} does not become whole there`)
    }
  }

  /** Sends these parts of the root. Where one fails, none is on its way any more when this throws. */
  async #sendUnder(missing: readonly Cid[]): Promise<void> {
    let failure: { readonly cause: unknown } | undefined
    const fail = (cause: unknown) => {
      failure ??= { cause }
      // What else is on its way to a gateway that knows nothing of the upload any more may still be taken by another.
      if (!isUnknown(cause)) this.#stop.abort(cause)
    }
    try {
      for await (const leaf of this.#leavesAmong(missing)) {
        while (this.#running.size >= this.#window && !failure) await Promise.race(this.#running)
        if (failure) break
        const sending = this.#sendLeaf(leaf)
          .catch(fail)
          .finally(() => this.#running.delete(sending))
        this.#running.add(sending)
      }
    } catch (cause) {
      fail(cause)
    }
    await Promise.all(this.#running)
    if (failure) throw failure.cause
  }

  /** The leaves that are not there; the nodes on the way to them are sent. */
  async *#leavesAmong(parts: readonly Cid[]): AsyncIterable<Cid> {
    for (const cid of parts) {
      if (codecOf(cid) !== DAG_PB) yield cid
      else yield* this.#leavesAmong((await this.#put(cid)) ?? [])
    }
  }

  async #sendLeaf(leaf: Cid): Promise<void> {
    const { clock } = this.#options
    const since = clock.now()
    await this.#put(leaf)
    this.#sent++
    const isQuick = clock.now() - since <= QUICK_MILLIS
    this.#window = isQuick ? Math.min(this.#window + 1, WINDOW_MAX) : Math.max(this.#window - 1, 1)
  }

  /** @returns the parts of a node that are not there; undefined where all of it is */
  async #put(cid: Cid): Promise<readonly Cid[] | undefined> {
    const { exchange, at, attemptMillis } = this.#options
    const bytes = await this.#from.getBlock(cid, BLOCK_BYTES_MAX)
    return exchange(
      at(cid, cid === this.#root ? '' : `?of=${this.#root}`),
      {
        ...{ method: 'PUT', headers: this.#headers, body: bytes as Uint8Array<ArrayBuffer>, signal: this.#signal },
        allowMillis: attemptMillis + bytes.length / SLOWEST_BYTES_PER_MILLI,
      },
      async (response) => {
        if (!response.ok) throw await faultOf(response)
        return response.status === 202 ? missingIn(response, { cid, bytes }) : undefined
      },
    )
  }
}

function isUnknown(cause: unknown): boolean {
  return cause instanceof RemoteRefused && cause.code === 'unknown-upload'
}

/** What a gateway says that it lacks of a node: its own parts, and nothing else that it might like to have. */
async function missingIn(response: Answer, node: Block): Promise<readonly Cid[]> {
  const parts = partsOf(node)
  if (!parts.ok) throw new BlobCorrupt(`${node.cid} is not a file`)
  const own = new Set<unknown>(parts.value.map(({ cid }) => cid))
  const text = new TextDecoder().decode(await readAtMost(response, MISSING_BYTES_MAX))
  const said = missingOf(text)
  if (!said?.every((cid) => own.has(cid)))
    throw new RemoteRefused(response.status, 'bad-answer', 'it misses what is no part of this')
  return [...new Set(said as readonly Cid[])]
}

function missingOf(text: string): readonly unknown[] | undefined {
  try {
    const { missing } = JSON.parse(text) as { readonly missing?: unknown }
    return Array.isArray(missing) && missing.length <= UNIXFS_WIDTH ? missing : undefined
  } catch {
    return undefined
  }
}

const RAW_BLOCK = 'application/vnd.ipld.raw'
/** CIDs of 59 letters with their quotes and commas, and room. */
const MISSING_BYTES_MAX = 64 * UNIXFS_WIDTH + 1024
/** Enough to fill the line while answers are on their way. */
const WINDOW_MAX = 4
const QUICK_MILLIS: Millis = 5000
/** How often the gateway may know nothing of what is sent, and how often in all it may want what it had. */
const STALLS_MAX = 4
const SENT_TIMES_MAX = 4
/** 16 KiB/s: a link slower than this cannot take part. */
const SLOWEST_BYTES_PER_MILLI = 16
