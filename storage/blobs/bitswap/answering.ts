import { CID } from 'multiformats/cid'
import { checkCid, codecOf, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing, type BlobStore } from '#protocol/ports.ts'
import { type Message, NOTHING, type Want } from './message.ts'

/**
 * What one peer is told: of each block that it wants, the block, or that it is here or not. One want after another in the
 * order in which they came, and one message after another, so a peer costs a block's memory however much it wants. What is
 * not here is not remembered: who wants it later asks again.
 *
 * @param send resolves when the peer has room for more; throws where it is gone
 */
export function openAnswering({ blobs, send, report }: AnsweringOptions): Answering {
  const waiting = new Map<string, Want>()
  let room = Promise.withResolvers<void>()
  let busy = false
  let closed = false

  async function answer(): Promise<void> {
    try {
      while (waiting.size > 0 && !closed) {
        const message = await nextMessage()
        if (message.blocks.length + message.presences.length > 0) await send(message)
      }
    } catch {
      // It is gone, or takes nothing: its wants go with it.
      waiting.clear()
    } finally {
      busy = false
      room.resolve()
    }
  }

  async function nextMessage(): Promise<Message> {
    const [blocks, presences]: [Message['blocks'][number][], Message['presences'][number][]] = [[], []]
    for (let bytes = 0; bytes < MESSAGE_BYTES && presences.length < WANTS_MAX && waiting.size > 0; ) {
      const [[key, want]] = waiting as unknown as readonly [[string, Want]]
      waiting.delete(key)
      room.resolve()
      const found = await find(want)
      if (typeof found === 'object') {
        blocks.push({ prefix: want.cid.subarray(0, -DIGEST_BYTES), bytes: found })
        bytes += found.length
      } else if (found === 'here' || want.orMissing) {
        presences.push({ cid: want.cid, here: found === 'here' })
      }
    }
    return { ...NOTHING, blocks, presences }
  }

  async function find({ cid, kind }: Want): Promise<Bytes | 'here' | undefined> {
    const known = readCid(cid)
    if (known === undefined) return undefined
    try {
      // Of a tree only its own block is asked for, which need not be whole.
      if (kind === 'have' && codecOf(known) === RAW) return (await blobs.has(known)) ? 'here' : undefined
      const block = await blobs.getBlock(known, BLOCK_BYTES_MAX)
      return kind === 'have' ? 'here' : block
    } catch (cause) {
      if (!(cause instanceof BlobMissing || cause instanceof BlobCorrupt)) report(cause)
      return undefined
    }
  }

  return {
    async receive({ wants, full }) {
      if (full) waiting.clear()
      for (const want of wants) {
        const key = Buffer.from(want.cid).toString('latin1')
        if (want.kind === 'cancel') {
          waiting.delete(key)
          continue
        }
        while (waiting.size >= WANTS_MAX && !closed) {
          room = Promise.withResolvers()
          await room.promise
        }
        if (closed) return
        // Who wants to have the block and to know whether it is here, wants the block.
        if (waiting.get(key)?.kind !== 'block') waiting.set(key, want)
        if (busy) continue
        busy = true
        void answer()
      }
    },
    [Symbol.dispose]() {
      closed = true
      waiting.clear()
      room.resolve()
    },
  }
}

export type Answering = Disposable & {
  /** Resolves when all these wants wait in their order; while too many do, it waits itself. */
  receive(message: Pick<Message, 'wants' | 'full'>): Promise<void>
}

export type AnsweringOptions = {
  readonly blobs: Pick<BlobStore, 'has' | 'getBlock'>
  readonly send: (message: Message) => Promise<void>
  /** Hears of a store that could not answer. */
  readonly report: (cause: unknown) => void
}

/** Wants of one peer that wait, about 200 bytes each: as many as Kubo keeps. */
const WANTS_MAX = 1024
/** Small blocks and presences go together up to about this much; a block of more goes alone or last. */
const MESSAGE_BYTES = 65_536
const DIGEST_BYTES = 32

/** Undefined for what no store of ours has. */
export function readCid(bytes: Bytes): Cid | undefined {
  try {
    const cid = checkCid(CID.decode(bytes))
    return cid.ok ? cid.value : undefined
  } catch {
    return undefined
  }
}
