import { CHANGES, changesIn } from '#sdk/changes.ts'
import type { Consilium } from '#sdk/client.ts'
import type { Run } from '#sdk/runs.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import { streamed } from '#sdk/stream.ts'
import type { Transport } from '#sdk/transport.ts'
import { all } from './api-client.ts'
import { Failure } from './failure.ts'
import { PAGE_EVENTS } from './run-past.ts'

/** The API, as far as it takes to follow all runs at once. */
export type Feed = {
  /** The coordinator's time, by which its events go; of whole seconds. */
  now(): Promise<number>
  /** All that there are, with how they stand. */
  runs(): Promise<readonly Standing[]>
  pastEvents(run: string, after: number): AsyncIterable<ApiEvent>
}
export type Standing = { readonly id: string; readonly status: string }

export type FollowAll = {
  readonly signal: AbortSignal
  /** Called once: what happens from then on is told. */
  readonly opened?: (() => void) | undefined
}

const OVER: ReadonlySet<string> = new Set(['completed', 'failed', 'stopped'])

/**
 * What happens in all runs from now on, in the order of each run, each event once. The feed has no history and says only
 * which runs have news, so each event is read from its run, after the last one that was told; and when the feed comes back
 * after a break, from every run that may have gone on meanwhile: all that had not ended when this began, or that it named.
 */
export async function* followAll(
  transport: Transport,
  feed: Feed,
  { signal, opened }: FollowAll,
): AsyncIterable<ApiEvent> {
  // In this order: what ends between the two was going when that was looked at.
  const runs = new KnownRuns(feed)
  await runs.look()
  const since = await feed.now()
  opened?.()
  yield* streamed(transport, CHANGES, {
    signal,
    isFinal: (cause) => cause instanceof Failure,
    read: async function* (body) {
      for await (const change of changesIn(body)) {
        if (change.type === 'reset') await runs.look()
        for (const run of change.type === 'reset' ? runs.going() : change.type === 'run.event' ? [change.run] : [])
          for await (const event of runs.newIn(run)) if (Date.parse(event.time) >= since) yield event
      }
    },
  })
}

/** What a coordinator has of it. */
export function feedOf({ transport, runs, stats }: Consilium): Feed {
  const known = new Map<string, Promise<Run>>()
  const lists = async () => [
    ...(await all(runs.list({ limit: 200 }))).map(({ view }) => view),
    ...(await all(stats.list({ limit: 200 }))),
  ]
  return {
    now: async () => Date.parse((await transport.fetch('/healthz')).headers.get('date') ?? '') || 0,
    runs: lists,
    async *pastEvents(id, after) {
      const run = known.get(id) ?? runs.get(id)
      known.set(id, run)
      yield* (await run).past({ after, limit: PAGE_EVENTS })
    },
  }
}

/** Which runs there are to ask, and how far each was told. */
class KnownRuns {
  readonly #feed: Pick<Feed, 'runs' | 'pastEvents'>
  readonly #told = new Map<string, number>()
  /** Each run that there was when that was last looked at. */
  #listed: ReadonlySet<string> | undefined
  readonly #going = new Set<string>()

  constructor(feed: Pick<Feed, 'runs' | 'pastEvents'>) {
    this.#feed = feed
  }

  /** Whose runs are there, and which go on. */
  async look(): Promise<void> {
    const all = await this.#feed.runs()
    for (const { id, status } of all) if (!OVER.has(status) || this.#listed?.has(id) === false) this.#going.add(id)
    this.#listed = new Set(all.map(({ id }) => id))
  }

  /** Those in which something may have happened that the feed did not say. */
  going(): readonly string[] {
    return [...this.#going]
  }

  async *newIn(run: string): AsyncIterable<ApiEvent> {
    this.#going.add(run)
    for await (const event of this.#feed.pastEvents(run, this.#told.get(run) ?? -1)) {
      this.#told.set(run, event.seq)
      yield event
    }
  }
}
