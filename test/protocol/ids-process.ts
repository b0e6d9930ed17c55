import { keystream } from '#crypto'
import { cidOfDigest, RAW } from '#protocol/cid.ts'
import { nodeIdOf } from '#protocol/ids.ts'

/** Writes how many bytes of the heap each of many ids takes, when they are kept and never looked at. */
const COUNT = 5000
const chance = keystream(new Uint8Array(32), new Uint8Array(16))
for (const make of [(bytes: Uint8Array) => cidOfDigest(RAW, bytes), nodeIdOf]) {
  const some = () => make(new Uint8Array(chance(32)))
  const kept = Array.from({ length: COUNT }, some)
  const before = collected()
  for (let index = 0; index < COUNT; index++) kept.push(some())
  process.stdout.write(`${(collected() - before) / COUNT}\n`)
  kept.length = 0
}

function collected(): number {
  if (!globalThis.gc) throw new Error('needs --expose-gc')
  globalThis.gc()
  return process.memoryUsage().heapUsed
}
