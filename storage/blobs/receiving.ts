import type { IncomingMessage } from 'node:http'
import { collect } from '#protocol/bytes.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { BlobCorrupt, BlobTooLarge, StorageFull } from '#protocol/ports.ts'
import type { Asked, ProblemCode } from './answers.ts'
import { type Pace, TooSlow } from './pace.ts'
import { bounded, checkBlock } from './writing.ts'

/**
 * Takes one block that a client sends, and makes sure that it is the one: at most `limitBytes`, as fast as everybody has to
 * be, and before the ticket runs out, so that nobody keeps an upload going a byte at a time.
 */
export async function receiveBlock(
  { request, clock }: Asked,
  { cid, limitBytes, expiresAt }: { readonly cid: Cid; readonly limitBytes: number; readonly expiresAt: Millis },
  pace: Pace,
): Promise<Block> {
  const late = new AbortController()
  const body = async function* () {
    pace.wait()
    for await (const chunk of chunksOf(request)) {
      pace.moved(chunk.length)
      if (clock.now() >= expiresAt) late.abort(new ExpiredTicket('the ticket expired during the upload'))
      yield chunk
      pace.wait()
    }
    pace.moved(0)
  }
  const signal = AbortSignal.any([pace.signal, late.signal])
  const bytes = await collect(bounded(body(), limitBytes, signal), limitBytes)
  checkBlock(cid, bytes)
  return { cid, bytes }
}

/** What is said to a client whose block was not kept; undefined where it is not its fault, nor the disk's. */
export function refusalOf(cause: unknown): ProblemCode | undefined {
  if (cause instanceof BlobCorrupt) return 'wrong-content'
  if (cause instanceof BlobTooLarge) return 'too-large'
  if (cause instanceof StorageFull) return 'storage-full'
  if (cause instanceof ExpiredTicket) return 'expired-ticket'
  return cause instanceof TooSlow ? 'too-slow' : undefined
}

class ExpiredTicket extends Error {
  override name = 'ExpiredTicket'
}

/** Leaving the loop early must not destroy the request: its connection still has to carry the answer. */
function chunksOf(request: IncomingMessage): AsyncIterable<Bytes> {
  return request.iterator({ destroyOnReturn: false })
}
