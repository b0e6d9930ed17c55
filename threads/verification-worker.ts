import { type MessagePort, parentPort } from 'node:worker_threads'
import { assert } from '#protocol/assert.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import type { AskedFor } from '#verify/asked.ts'
import { verifyRecord } from '#verify/verify.ts'

/** A record to verify, and the port by which its blocks come: each CID that is sent there is followed by one reply. */
export type RecordAsked = {
  readonly root: Cid
  readonly coordinator: NodeId
  readonly asked: AskedFor
  readonly allowExpired: boolean
  readonly blocks: MessagePort
}
export type BlockAsked = { readonly id: number; readonly cid: Cid }
/** Undefined where there is no such block; `fault` where whoever has it could not read it now. */
export type BlockTold = { readonly id: number; readonly bytes?: Bytes | undefined; readonly fault?: string }

assert(parentPort, 'this file is a worker thread')
const port = parentPort

port.on('message', async ({ root, blocks, ...options }: RecordAsked) => {
  const waiting = new Map<number, PromiseWithResolvers<Bytes | undefined>>()
  let next = 0
  blocks.on('message', ({ id, bytes, fault }: BlockTold) => {
    const answer = waiting.get(id)
    waiting.delete(id)
    if (fault === undefined) answer?.resolve(bytes)
    else answer?.reject(new Error(fault))
  })
  const block = (cid: Cid): Promise<Bytes | undefined> => {
    const answer = Promise.withResolvers<Bytes | undefined>()
    waiting.set(next, answer)
    blocks.postMessage({ id: next++, cid } satisfies BlockAsked)
    return answer.promise
  }
  const verdict = await verifyRecord(root, block, options)
  blocks.close()
  port.postMessage(verdict)
})
port.on('messageerror', (cause) => {
  throw cause
})
