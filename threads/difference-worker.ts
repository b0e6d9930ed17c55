import { parentPort } from 'node:worker_threads'
import { deflateRawSync } from 'node:zlib'
import { assert } from '#protocol/assert.ts'
import { differenceOf } from '#protocol/difference.ts'
import { gridOf } from './grid.ts'

/** Two files of one length, in memory of their own. Each pair is followed by one reply: the difference, deflated. */
export type PairAsked = { readonly parent: Uint8Array<ArrayBuffer>; readonly next: Uint8Array<ArrayBuffer> }

assert(parentPort, 'this file is a worker thread')
const port = parentPort

port.on('message', ({ parent, next }: PairAsked) => {
  const made = deflateRawSync(differenceOf({ parent, next, grid: gridOf(parent, next) }))
  const deflated = Uint8Array.from(made)
  port.postMessage(deflated, [deflated.buffer])
})
port.on('messageerror', (cause) => {
  throw cause
})
