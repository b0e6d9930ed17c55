import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { eventsIn, isLast } from '#sdk/sse.ts'
import { RunHistory } from './history.ts'
import { Pulse } from './pulse.ts'
import { keepOpen, type Link } from './stream.ts'

const KEPT_MAX = 12

/** A run's events, each once and in order, over whatever happens to the connection. What was heard is kept. */
export class Follower {
  readonly history: RunHistory
  readonly link = signal<Link>('connecting')
  readonly pulse = new Pulse()
  #watchers = 0
  #stop: AbortController | undefined

  constructor(run: string) {
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

  #follow(stop: AbortSignal): Promise<void> {
    const { history } = this
    return keepOpen(
      `/v1/runs/${encodeURIComponent(history.run)}/events`,
      {
        headers: () => (history.last < 0 ? {} : { 'last-event-id': String(history.last) }),
        linked: (link) => {
          this.link.value = link
        },
        read: async (body, heard) => {
          for await (const event of eventsIn(body)) {
            // A resumed stream starts after the last one; whoever sends more has it passed over.
            if (event.seq <= history.last) continue
            // One is missing: it is asked for again.
            if (event.seq > history.last + 1) return false
            heard()
            history.take(event)
            this.pulse.beat()
            if (isLast(event)) return true
          }
          return false
        },
      },
      stop,
    )
  }
}

const followers = new Map<string, Follower>()

/** Follows a run as long as whoever calls it is shown. */
export function useFollower(run: string): Follower {
  const follower = followerOf(run)
  useEffect(() => follower.watch(), [follower])
  return follower
}

function followerOf(run: string): Follower {
  const follower = followers.get(run) ?? new Follower(run)
  // The one looked at last is the last to be forgotten.
  followers.delete(run)
  followers.set(run, follower)
  const [oldest] = followers.keys()
  if (followers.size > KEPT_MAX && oldest !== undefined) followers.delete(oldest)
  return follower
}
