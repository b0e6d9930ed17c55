import { useCallback, useEffect, useState } from 'preact/hooks'
import { ApiProblem, pages } from './api.ts'

/** Something that is asked of the coordinator. What was there stays while it is asked for again. */
export type Loaded<T> =
  | { readonly state: 'loading' }
  | { readonly state: 'ready'; readonly value: T }
  | { readonly state: 'failed'; readonly problem: ApiProblem }

/**
 * @param key asks again, and forgets what there was, when it changes
 * @param changes asks again when it changes
 */
export function useLoad<T>(
  load: (signal: AbortSignal) => Promise<T>,
  key: string,
  changes = 0,
): readonly [Loaded<T>, () => void] {
  const [found, setFound] = useState<{ readonly key: string; readonly loaded: Loaded<T> }>()
  const [turn, setTurn] = useState(0)
  const again = useCallback(() => setTurn((last) => last + 1), [])
  useEffect(() => {
    const aborted = new AbortController()
    const ask = async (): Promise<void> => {
      const loaded = await load(aborted.signal).then(
        (value): Loaded<T> => ({ state: 'ready', value }),
        (cause): Loaded<T> => ({ state: 'failed', problem: problemOf(cause) }),
      )
      if (aborted.signal.aborted) return
      setFound((last) => (isWorse(loaded, last, key) ? last : { key, loaded }))
    }
    void ask()
    return () => aborted.abort()
  }, [key, turn, changes])
  return [found?.key === key ? found.loaded : { state: 'loading' }, again]
}

/** All of a list. @param changes asks again when it changes */
export function useList<T>(path: string, changes = 0): readonly [Loaded<readonly T[]>, () => void] {
  return useLoad(async (signal) => (await Array.fromAsync(pages<T>(path, signal))).flat(), path, changes)
}

/** What was there is worth more than the news that it cannot be asked for just now. */
function isWorse<T>(
  loaded: Loaded<T>,
  last: { readonly key: string; readonly loaded: Loaded<T> } | undefined,
  key: string,
) {
  const isPassing = loaded.state === 'failed' && (loaded.problem.status === 0 || loaded.problem.status >= 500)
  return isPassing && last?.key === key && last.loaded.state === 'ready'
}

export function problemOf(cause: unknown): ApiProblem {
  return cause instanceof ApiProblem ? cause : new ApiProblem(0, 'unexpected', String(cause))
}
