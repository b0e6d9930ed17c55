import { accept, type Result } from './result.ts'

/** So many are asked for at once: enough that a slow link is waited for seldom, few enough to hold. */
const ABREAST = 16

/** Reads several, in their order, some at a time. The first of them that does not hold is the answer. */
export async function readAbreast<I, T, R extends string>(
  items: readonly I[],
  read: (item: I) => Promise<Result<T, R>>,
): Promise<Result<readonly T[], R>> {
  const found: T[] = []
  for (let at = 0; at < items.length; at += ABREAST)
    for (const one of await Promise.all(items.slice(at, at + ABREAST).map(read))) {
      if (!one.ok) return one
      found.push(one.value)
    }
  return accept(found)
}

/** Does it to all of them as they come, some at a time. Throws what the first that fails threw. */
export async function abreast<I>(items: AsyncIterable<I>, act: (item: I) => Promise<void>): Promise<void> {
  /** Those that failed stay, so that they are heard of. */
  const running = new Set<Promise<void>>()
  for await (const item of items) {
    const task = act(item).then(() => void running.delete(task))
    task.catch(() => undefined)
    running.add(task)
    if (running.size >= ABREAST) await Promise.race(running)
  }
  await Promise.all(running)
}
