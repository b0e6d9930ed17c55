import type { Held } from './held.ts'

/** Writes what this process holds once its garbage is collected. */
export function tellHeld(turn: number, tensors = 0): void {
  if (!globalThis.gc) throw new Error('needs --expose-gc')
  globalThis.gc()
  const { heapUsed: heapBytes, rss: residentBytes } = process.memoryUsage()
  process.stdout.write(`${JSON.stringify({ turn, tensors, heapBytes, residentBytes } satisfies Held)}\n`)
}
