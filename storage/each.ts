/**
 * Does something for each item, at most so many at a time. After the first that fails none is begun; when this throws, none
 * is running any more.
 */
export async function each<T>(items: Iterable<T>, act: (item: T) => Promise<unknown>, atOnce = 8): Promise<void> {
  const ahead = items[Symbol.iterator]()
  let failed = false
  const hand = async () => {
    for (let next = ahead.next(); !next.done && !failed; next = ahead.next())
      try {
        await act(next.value)
      } catch (cause) {
        failed = true
        throw cause
      }
  }
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, hand))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}
