import { type ClientRequest, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { expect } from '@jest/globals'
import { collect } from '#protocol/bytes.ts'
import type { Bytes, Cid, RunId } from '#protocol/ids.ts'
import { BlobMissing, type BlobStore, type PartsStore } from '#protocol/ports.ts'
import { issueTicket, type Ticket } from '#protocol/ticket.ts'
import { type VirtualClock, virtualClock } from '#sim/virtual-clock.ts'
import { type GatewayLimits, openGateway } from '#storage/blobs/gateway.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openTickets } from '#storage/blobs/tickets.ts'
import { blocksOf } from '#test/conformance/blobs.ts'
import { contentOf } from '#test/content.ts'
import { loopback, until } from '#test/loopback.ts'
import { ROOMY } from './roomy.ts'

const MIB = 2 ** 20
const key = contentOf('the coordinator', 32)
/** How often a transfer is looked at. */
export const IDLE = 1000

type Given = {
  readonly blobs?: PartsStore
  readonly withheld?: PartsStore
  readonly limits?: Partial<GatewayLimits>
  readonly clock?: VirtualClock
}

/** A gateway on loopback over a clock of the test's. */
export async function serving({
  blobs = openMemoryBlobs(),
  withheld = openMemoryBlobs(),
  limits = {},
  clock = virtualClock(1_000_000),
}: Given = {}) {
  const outcomes: string[] = []
  const gateway = openGateway({
    ...{ blobs, withheld, clock, tickets: openTickets({ key, clock }) },
    limits: { ...ROOMY, idleMillis: IDLE, ...limits },
    count: (outcome) => void outcomes.push(outcome),
  })
  const responses = new Map<number | undefined, ServerResponse>()
  const server = await loopback((request, response) => {
    responses.set(request.socket.remotePort, response)
    void gateway(request, response)
  })
  const responseTo = ({ sent }: SlowPut) => responses.get(sent.socket?.localPort)
  /** Whether it has been answered, be the answer on its way. */
  const hasAnswered = (put: SlowPut) => put.isOver() || responseTo(put)?.headersSent === true
  /** Until all that was sent is here: so long no time passes. */
  const isHere = (put: SlowPut) =>
    until(() => hasAnswered(put) || responseTo(put)?.req.socket.bytesRead === put.sent.socket?.bytesWritten)
  const ticket = (fields: Partial<Ticket> = {}, signedBy = key) =>
    issueTicket(signedBy, {
      run: 'run_01K00000000000000000000000' as RunId,
      round: 1,
      seat: 0,
      sizeBytes: 2 * MIB,
      publish: 'full',
      expiresAt: clock.now() + 60_000,
      ...fields,
    })
  /** @param name a CID, and a query */
  const put = (name: string, body: Bytes, headers: Readonly<Record<string, string>> = {}) =>
    fetch(`${server.url}/ipfs/${name}`, { method: 'PUT', body: body as Uint8Array<ArrayBuffer>, headers })
  return Object.assign(server, { clock, outcomes, blobs, withheld, ticket, put, hasAnswered, isHere })
}

export const bearer = (ticket: string) => ({ Authorization: `Bearer ${ticket}` })
export const rootOf = async (bytes: Bytes) => (await blocksOf(bytes)).at(-1)?.cid as Cid
export const refused = async (response: Response) => [
  response.status,
  ((await response.json()) as { code: string }).code,
]

export async function expectNothingOf(blobs: BlobStore, bytes: Bytes) {
  for (const { cid } of await blocksOf(bytes)) await expect(blobs.getBlock(cid, MIB)).rejects.toThrow(BlobMissing)
}

/** A PUT of which the test decides when what is sent. */
export function slowPut(port: number, name: string, headers: Record<string, string | number>) {
  const sent: ClientRequest = httpRequest({ port, host: '127.0.0.1', method: 'PUT', path: `/ipfs/${name}`, headers })
  sent.on('error', () => undefined)
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sent.on('response', resolve)
    sent.on('error', reject)
  })
  let over = false
  const end = () => {
    over = true
  }
  answer.then(end, end)
  sent.flushHeaders()
  return { sent, answer, isOver: () => over }
}
type SlowPut = ReturnType<typeof slowPut>

export async function codeIn(response: IncomingMessage) {
  const text = new TextDecoder().decode(await collect(response, 10_000))
  return [response.statusCode, (JSON.parse(text) as { code: string }).code]
}
