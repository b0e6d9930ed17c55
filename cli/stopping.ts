import { EXIT } from './failure.ts'

/** The end that somebody outside asked for. */
export type Stopping = Disposable & {
  readonly signal: AbortSignal
  /** Resolves when whoever started this is gone: there is nobody left to finish anything for. */
  readonly gone: Promise<void>
  readonly isGone: boolean
  /** What to exit with once stopped; undefined while nobody asked. */
  exit(): number | undefined
}

/**
 * Ctrl-C or SIGTERM asks to stop cleanly; a second one ends the process at once. Tethered, the end of stdin asks too: it
 * is the one thing that a parent which was killed still does.
 */
export function listenForStop(tethered = false): Stopping {
  const asked = new AbortController()
  let exit: number | undefined
  const stop = (code: number) => () => {
    if (asked.signal.aborted) process.exit(code)
    exit = code
    asked.abort()
  }
  const interrupt = stop(EXIT.interrupted)
  const terminate = stop(EXIT.terminated)
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', terminate)
  const gone = Promise.withResolvers<void>()
  let isGone = false
  const cut = () => {
    isGone = true
    gone.resolve()
    if (!asked.signal.aborted) terminate()
  }
  if (tethered) process.stdin.once('end', cut).once('error', cut).resume()
  return {
    signal: asked.signal,
    gone: gone.promise,
    get isGone() {
      return isGone
    },
    exit: () => exit,
    [Symbol.dispose]() {
      process.off('SIGINT', interrupt)
      process.off('SIGTERM', terminate)
      if (tethered) process.stdin.destroy()
    },
  }
}

/** Resolves when somebody asks to stop. */
export function stopped({ signal }: Stopping): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
