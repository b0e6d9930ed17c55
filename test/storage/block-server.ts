import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { loopback } from '#test/loopback.ts'

/** How an answer is given; without bytes the block is not there. */
export type Manner = (response: ServerResponse, bytes: Bytes | undefined, request: IncomingMessage) => void

export const honest: Manner = (response, bytes) => {
  if (bytes) response.writeHead(200, { 'Content-Type': RAW_TYPE, 'Content-Length': bytes.length }).end(bytes)
  else response.writeHead(404).end('not here')
}

/** A trustless gateway on loopback that serves these blocks in its own manner, and keeps what it was asked. */
export async function blockServer(blocks: readonly Block[], manner: Manner = honest) {
  const kept = new Map(blocks.map(({ cid, bytes }) => [cid, bytes]))
  const asked: { readonly cid: Cid; readonly ticket: string | undefined }[] = []
  const inFlight = { now: 0, most: 0 }
  const server = await loopback((request, response) => {
    const cid = request.url?.match(/^\/ipfs\/(\w+)\?format=raw$/)?.[1] as Cid
    asked.push({ cid, ticket: request.headers.authorization })
    inFlight.most = Math.max(inFlight.most, ++inFlight.now)
    response.on('close', () => inFlight.now--)
    manner(response, kept.get(cid), request)
  })
  return Object.assign(server, { asked, inFlight })
}

export const RAW_TYPE = 'application/vnd.ipld.raw'
