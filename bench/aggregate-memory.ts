import { accumulate } from '#aggregation/accumulate.ts'
import { lanesOf, vectorBytesOf } from '#aggregation/vector.ts'
import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'

/**
 * `node aggregate-memory.ts <nodes> <parameters> reused|fresh`: prints by how many bytes this process grew at most during
 * one sum. `fresh` makes a buffer for every piece, as a store does: what waits for the collector is then counted, too.
 */
const [n, parameters] = process.argv.slice(2, 4).map(Number) as [number, number]
const reused = process.argv[4] === 'reused' ? new Uint8Array(BLOCK_BYTES_MAX).fill(1) : undefined

/** Looked at after every piece. The operating system's own peak would do, but a new process inherits its parent's. */
let peakBytes = 0

async function* update(sizeBytes: number): AsyncGenerator<Bytes> {
  for (let at = 0; at < sizeBytes; at += BLOCK_BYTES_MAX) {
    const piece = reused ?? new Uint8Array(BLOCK_BYTES_MAX).fill(at)
    yield piece.subarray(0, sizeBytes - at)
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss())
  }
}

async function* cohort(size: number, sizeBytes: number) {
  for (let seat = 0; seat < size; seat++) yield update(sizeBytes)
}

assert(
  (await accumulate(cohort(4, vectorBytesOf(1_000)), lanesOf(1_000))).ok,
  'everything is loaded before the measuring',
)
const before = process.memoryUsage.rss()
assert((await accumulate(cohort(n, vectorBytesOf(parameters)), lanesOf(parameters))).ok, 'the updates have one length')
process.stdout.write(String(peakBytes - before))
