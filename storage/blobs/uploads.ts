import type { IncomingMessage } from 'node:http'
import { codecOf, DAG_CBOR } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BlobCorrupt, type BlobStore, BlobTooLarge, type Clock, StorageFull } from '#protocol/ports.ts'
import type { Ticket } from '#protocol/ticket.ts'
import { type Asked, answerProblem, answerWhole, type ProblemCode, problemOf } from './answers.ts'
import { TooSlow } from './pace.ts'
import { type Tickets, ticketIn } from './tickets.ts'
import type { Transfers } from './transfers.ts'

type UploadDoors = {
  readonly blobs: BlobStore
  readonly withheld: BlobStore
  readonly tickets: Tickets
  readonly clock: Clock
  readonly transfers: Transfers
}

type Upload = (asked: Asked, cid: Cid) => Promise<string>

/**
 * `PUT /ipfs/{cid}`: the body is cut into blocks and staged as it comes in, and kept only when it makes that CID. 201
 * after it is durable, 200 when it was here already. Everything that can be refused without reading is refused first.
 *
 * What comes under a `commit-only` ticket goes to a store of its own, and only such a ticket is told what is there.
 */
export function openUploads({ blobs, withheld, tickets, clock, transfers }: UploadDoors): Upload {
  return async (asked, cid) => {
    const { request } = asked
    const no = (code: ProblemCode, detail?: string) => answerProblem(asked, problemOf(code, detail))
    const ticketText = ticketIn(request.headers.authorization)
    if (ticketText === undefined) return no('no-ticket', 'an upload needs Authorization: Bearer and its ticket')
    const ticket = tickets.check(ticketText)
    if (!ticket.ok) return no(ticket.refusal, ticket.detail)
    if (codecOf(cid) === DAG_CBOR) return no('not-uploadable', 'manifests are not uploaded')
    if (request.headers['content-encoding'] !== undefined) return no('encoded-body', 'send the bytes as they are')
    const { sizeBytes, expiresAt, publish } = ticket.value
    const store = publish === 'full' ? blobs : withheld
    if (Number(request.headers['content-length'] ?? 0) > sizeBytes) return no('too-large', `at most ${sizeBytes} bytes`)
    using transfer = transfers.begin(request)
    if (!transfer) return no('busy', 'all places for uploads are taken')
    if (await store.has(cid)) return here(asked, cid, 200, publish)
    const admitted = tickets.admit(ticket.value, cid)
    if (!admitted.ok) return no(admitted.refusal)

    let kept = false
    const { pace } = transfer
    const late = new AbortController()
    const body = async function* () {
      pace.wait()
      for await (const chunk of chunksOf(request)) {
        pace.moved(chunk.length)
        // A ticket that ran out stops its upload: nobody keeps one going a byte at a time.
        if (clock.now() >= expiresAt) late.abort(new ExpiredTicket('the ticket expired during the upload'))
        yield chunk
        pace.wait()
      }
    }
    try {
      await store.put(body(), sizeBytes, AbortSignal.any([pace.signal, late.signal]), cid)
      kept = true
      return await here(asked, cid, 201, publish)
    } catch (cause) {
      if (kept || (request.destroyed && !request.complete)) return brokenOff(asked)
      if (cause instanceof BlobCorrupt) return no('wrong-content', cause.message)
      if (cause instanceof BlobTooLarge) return no('too-large', `at most ${sizeBytes} bytes`)
      if (cause instanceof StorageFull) return no('storage-full', 'there is no room for it now')
      if (cause instanceof ExpiredTicket) return no('expired-ticket', cause.message)
      if (cause instanceof TooSlow) return no('too-slow', cause.message)
      throw cause
    } finally {
      admitted.value.end(kept)
    }
  }
}

class ExpiredTicket extends Error {
  override name = 'ExpiredTicket'
}

async function here(asked: Asked, cid: Cid, status: 200 | 201, publish: Ticket['publish']): Promise<string> {
  if (publish === 'full') {
    asked.response.setHeader('Location', `/ipfs/${cid}`)
    asked.response.setHeader('ETag', `"${cid}"`)
  }
  await answerWhole(asked, status, undefined, '')
  return status === 201 ? 'kept' : 'already-here'
}

/** The client went away in the middle: there is nobody to answer. */
function brokenOff({ response }: Asked): string {
  response.destroy()
  return 'broken-off'
}

/** Leaving the loop early must not destroy the request: its connection still has to carry the answer. */
function chunksOf(request: IncomingMessage): AsyncIterable<Bytes> {
  return request.iterator({ destroyOnReturn: false })
}
