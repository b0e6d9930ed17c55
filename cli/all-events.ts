import { z } from 'zod'
import { AWAY_MILLIS_MAX, heard, PAUSES_MILLIS } from '#sdk/follow.ts'
import { type ApiEvent, dataIn } from '#sdk/sse.ts'
import type { SdkDoors } from '#sdk/transport.ts'
import { EXIT, Failure } from './failure.ts'

/** The API, as far as it takes to follow all runs at once. */
export type Feed = {
  /** Opens /v1/events: which runs have news. */
  open(signal: AbortSignal): Promise<Response>
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

const told = z.union([
  z.object({ type: z.literal('reset') }),
  z.object({ type: z.literal('run.event'), run: z.string() }),
])
const OVER: ReadonlySet<string> = new Set(['completed', 'failed', 'stopped'])

/**
 * What happens in all runs from now on, in the order of each run, each event once. The feed has no history and says only
 * which runs have news, so each event is read from its run, after the last one that was told; and when the feed comes back
 * after a break, from every run that may have gone on meanwhile: all that had not ended when this began, or that it named.
 * Throws {@link Failure} where asking again is of no use.
 */
export async function* followAll(
  feed: Feed,
  { now, pause }: Pick<SdkDoors, 'now' | 'pause'>,
  { signal, opened }: FollowAll,
): AsyncIterable<ApiEvent> {
  const runs = new KnownRuns(feed)
  let failures = 0
  let awaySince: number | undefined
  let isOpened = false
  while (!signal.aborted) {
    const quiet = new AbortController()
    try {
      await runs.prepare()
      const { body, headers } = await feed.open(AbortSignal.any([signal, quiet.signal]))
      // By the clock that its events go by; of whole seconds.
      runs.begin(Date.parse(headers.get('date') ?? ''))
      awaySince = undefined
      if (!isOpened) opened?.()
      isOpened = true
      for await (const data of body ? dataIn(heard(body, quiet)) : []) {
        const news = told.safeParse(data)
        if (!news.success) continue
        for (const run of news.data.type === 'reset' ? await runs.afterBreak() : [news.data.run])
          for await (const event of runs.newIn(run)) {
            failures = 0
            yield event
            if (signal.aborted) return
          }
      }
    } catch (cause) {
      if (signal.aborted) return
      if (cause instanceof Failure ? cause.exit !== EXIT.network : !isCutOff(cause)) throw cause
      awaySince ??= now()
      if (now() - awaySince > AWAY_MILLIS_MAX) throw cause
    } finally {
      quiet.abort()
    }
    await pause(PAUSES_MILLIS[Math.min(failures++, PAUSES_MILLIS.length - 1)] as number, signal)
  }
}

/** A body that ends in the middle is an error of `fetch`, or of whoever ended it for its silence. */
function isCutOff(cause: unknown): boolean {
  return cause instanceof TypeError || (cause instanceof Error && cause.name === 'AbortError')
}

/** Which runs there are to ask, and how far each was told. */
class KnownRuns {
  readonly #feed: Pick<Feed, 'runs' | 'pastEvents'>
  readonly #told = new Map<string, number>()
  /** Each run that there was when that was last looked at. */
  #listed: ReadonlySet<string> | undefined
  /** Those that have gone on since the beginning, or may have. What has long ended is asked about when the feed names it. */
  readonly #going = new Set<string>()
  #since: number | undefined

  constructor(feed: Pick<Feed, 'runs' | 'pastEvents'>) {
    this.#feed = feed
  }

  /** Before the feed is opened for the first time: what ends while it is cut off was going then. */
  async prepare(): Promise<void> {
    if (!this.#listed) await this.#list()
  }

  /** @param at when the feed was opened */
  begin(at: number): void {
    this.#since ??= Number.isNaN(at) ? Number.NEGATIVE_INFINITY : at
  }

  /** Those in which something may have happened that the feed did not say. */
  async afterBreak(): Promise<Iterable<string>> {
    await this.#list()
    return [...this.#going]
  }

  async *newIn(run: string): AsyncIterable<ApiEvent> {
    this.#going.add(run)
    for await (const event of this.#feed.pastEvents(run, this.#told.get(run) ?? -1)) {
      this.#told.set(run, event.seq)
      if (Date.parse(event.time) >= (this.#since ?? 0)) yield event
    }
  }

  async #list(): Promise<void> {
    const all = await this.#feed.runs()
    for (const { id, status } of all) if (!OVER.has(status) || this.#listed?.has(id) === false) this.#going.add(id)
    this.#listed = new Set(all.map(({ id }) => id))
  }
}
