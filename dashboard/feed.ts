import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { dataIn } from '#sdk/sse.ts'
import { keepOpen, type Link } from './stream.ts'

/** What changes, in all runs: it says that lists are to be read again, and how many nodes are linked. */
export type Feed = {
  /** Counted up when lists may say something else than before. */
  readonly changes: number
  /** Undefined until that has changed. */
  readonly linked: number | undefined
  readonly link: Link
}

const feed = signal<Feed>({ changes: 0, linked: undefined, link: 'connecting' })
/** A busy run tells of itself ten times a second; a list need not be read so often. */
const LISTS_MILLIS = 1000

/** Hears the feed as long as whoever calls it is shown. */
export function useFeed(): Feed {
  useEffect(() => {
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const change = (some: Partial<Feed>): void => {
      feed.value = { ...feed.value, ...some }
    }
    const listsChanged = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined
        change({ changes: feed.value.changes + 1 })
      }, LISTS_MILLIS)
    }
    void keepOpen(
      '/v1/events',
      {
        headers: () => ({}),
        linked: (link) => change({ link }),
        read: async (body, heard) => {
          for await (const said of dataIn(body)) {
            heard()
            const { type, linked } = said as { readonly type?: unknown; readonly linked?: unknown }
            if (type === 'nodes.changed' && typeof linked === 'number') change({ linked })
            else listsChanged()
          }
          return false
        },
      },
      stop.signal,
    )
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [])
  return feed.value
}
