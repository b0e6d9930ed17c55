import type { Mask } from '#aggregation/secagg/mask.ts'
import { maskInto } from '#aggregation/secagg/masking.ts'
import { encodeLanes, lanesOf, vectorBytesOf } from '#aggregation/vector.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Bytes } from '#protocol/ids.ts'
import { chanceOf } from './secagg-cohort.ts'

/**
 * `node secagg-memory.ts <nodes> <parameters>`: masks a vector that is made on the fly, and prints the seconds it took and
 * this process's largest resident size in bytes, looked at after every piece.
 */
const [n, parameters] = process.argv.slice(2, 4).map(Number) as [number, number]
const sizeBytes = vectorBytesOf(parameters)
const masks = Array.from({ length: n }, (_, u): Mask => ({ seed: chanceOf(`mask ${u}`)(40), sign: u % 2 ? 1 : -1 }))

async function* plain(): AsyncGenerator<Bytes> {
  const piece = new Uint32Array(2 ** 18)
  for (let lane = 0; lane < lanesOf(parameters); lane += piece.length) {
    piece.fill(0)
    if (lane === 0) piece.set([1, 1])
    yield encodeLanes(piece).subarray(0, sizeBytes - lane * 4)
  }
}

let peakBytes = 0
const start = performance.now()
await maskInto(plain(), { weight: 1, sizeBytes, masks }, async (masked) => {
  for await (const _piece of masked) peakBytes = Math.max(peakBytes, process.memoryUsage.rss())
  return cidOf(RAW, new Uint8Array(0))
})
process.stdout.write(JSON.stringify({ seconds: (performance.now() - start) / 1_000, peakBytes }))
