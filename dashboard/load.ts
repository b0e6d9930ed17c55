import { useCallback, useEffect, useState } from 'preact/hooks'
import { ApiProblem } from './api.ts'

/** Something that is asked of the coordinator. What was there stays while it is asked for again. */
export type Loaded<T> =
  | { readonly state: 'loading' }
  | { readonly state: 'ready'; readonly value: T }
  | { readonly state: 'failed'; readonly problem: ApiProblem }

/**
 * @param key asks again when it changes
 * @param everyMillis asks again so often
 */
export function useLoad<T>(
  load: (signal: AbortSignal) => Promise<T>,
  key: string,
  everyMillis?: number,
): readonly [Loaded<T>, () => void] {
  const [found, setFound] = useState<{ readonly key: string; readonly loaded: Loaded<T> }>()
  const [turn, setTurn] = useState(0)
  const again = useCallback(() => setTurn((last) => last + 1), [])
  useEffect(() => {
    const aborted = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const ask = async (): Promise<void> => {
      const loaded = await load(aborted.signal).then(
        (value): Loaded<T> => ({ state: 'ready', value }),
        (cause): Loaded<T> => ({ state: 'failed', problem: problemOf(cause) }),
      )
      if (aborted.signal.aborted) return
      setFound({ key, loaded })
      if (everyMillis !== undefined) timer = setTimeout(ask, everyMillis)
    }
    void ask()
    return () => {
      aborted.abort()
      clearTimeout(timer)
    }
  }, [key, turn, everyMillis])
  return [found?.key === key ? found.loaded : { state: 'loading' }, again]
}

export function problemOf(cause: unknown): ApiProblem {
  return cause instanceof ApiProblem ? cause : new ApiProblem(0, 'unexpected', String(cause))
}
