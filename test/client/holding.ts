import { collected } from './collecting.ts'
import type { Held } from './held.ts'

/**
 * Writes what this process holds once its garbage is collected, its threads' as well.
 *
 * @param threads how many it has: each loads `collecting.ts` by itself, see `heldBy`
 */
export async function tellHeld(
  turn: number,
  { tensors = 0, threads = 0 }: { readonly tensors?: number; readonly threads?: number } = {},
): Promise<void> {
  if (!globalThis.gc) throw new Error('needs --expose-gc')
  await collected(threads)
  globalThis.gc()
  const { heapUsed: heapBytes, external: externalBytes, rss: residentBytes } = process.memoryUsage()
  process.stdout.write(`${JSON.stringify({ turn, tensors, heapBytes, externalBytes, residentBytes } satisfies Held)}\n`)
}
