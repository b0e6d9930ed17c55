import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { eventsIn, isLast } from '#cli/sse.ts'
import { ApiProblem, call } from './api.ts'
import { RunHistory } from './history.ts'
import { Pulse } from './pulse.ts'

/** `ended`: nothing comes any more. `refused`: nothing will, since the run is not there or not for this key. */
export type Link = 'connecting' | 'live' | 'reconnecting' | 'ended' | 'refused'

const PAUSES_MILLIS = [100, 250, 500, 1000, 2000] as const
/** The coordinator says something every fifteen seconds. */
const SILENCE_MILLIS_MAX = 40_000
const KEPT_MAX = 12

/** A run's events, each once and in order, over whatever happens to the connection. What was heard is kept. */
class Follower {
  readonly history: RunHistory
  readonly link = signal<Link>('connecting')
  readonly pulse = new Pulse()
  readonly #run: string
  #watchers = 0
  #stop: AbortController | undefined

  constructor(run: string) {
    this.#run = run
    this.history = new RunHistory(run)
  }

  watch(): () => void {
    if (this.#watchers++ === 0 && this.link.value !== 'ended') {
      this.#stop = new AbortController()
      void this.#follow(this.#stop.signal)
    }
    return () => {
      if (--this.#watchers === 0) this.#stop?.abort()
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        for await (const event of this.#events(signal)) {
          // A resumed stream starts after the last one; whoever sends more has it passed over.
          if (event.seq <= this.history.last) continue
          failures = 0
          this.history.take(event)
          this.pulse.beat()
          if (!isLast(event)) continue
          this.link.value = 'ended'
          return
        }
      } catch (cause) {
        if (signal.aborted) return
        if (cause instanceof ApiProblem && [401, 403, 404].includes(cause.status)) {
          this.link.value = 'refused'
          return
        }
      }
      this.link.value = 'reconnecting'
      await pause(PAUSES_MILLIS[Math.min(failures++, PAUSES_MILLIS.length - 1)] as number, signal)
    }
  }

  async *#events(signal: AbortSignal) {
    const { last } = this.history
    const headers = { accept: 'text/event-stream', ...(last < 0 ? {} : { 'last-event-id': String(last) }) }
    const silence = new AbortController()
    const path = `/v1/runs/${encodeURIComponent(this.#run)}/events`
    const { body } = await call(path, { headers, signal: AbortSignal.any([signal, silence.signal]) })
    if (!body) return
    this.link.value = 'live'
    let timer = setTimeout(() => silence.abort(), SILENCE_MILLIS_MAX)
    const heard = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (piece, out) => {
        clearTimeout(timer)
        timer = setTimeout(() => silence.abort(), SILENCE_MILLIS_MAX)
        out.enqueue(piece)
      },
    })
    try {
      yield* eventsIn(body.pipeThrough(heard))
    } finally {
      clearTimeout(timer)
    }
  }
}

export type { Follower }

const followers = new Map<string, Follower>()

/** Follows a run as long as whoever calls it is shown. */
export function useFollower(run: string): Follower {
  const follower = followerOf(run)
  useEffect(() => follower.watch(), [follower])
  return follower
}

export function followerOf(run: string): Follower {
  const follower = followers.get(run) ?? new Follower(run)
  // The one looked at last is the last to be forgotten.
  followers.delete(run)
  followers.set(run, follower)
  const [oldest] = followers.keys()
  if (followers.size > KEPT_MAX && oldest !== undefined) followers.delete(oldest)
  return follower
}

function pause(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, millis)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
}
