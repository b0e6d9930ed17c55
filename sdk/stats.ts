import type { Population } from '#protocol/plan.ts'
import type { Question } from '#protocol/question.ts'
import { Listing, type ListOptions, same } from './listing.ts'
import type { Cohort, Terms } from './task.ts'
import type { CallOptions, CreateOptions, Transport } from './transport.ts'
import type { StatsQueryView } from './views/stats.ts'

/** What `POST /v1/stats-queries` takes. */
export type Ask = Pick<Terms, 'federation' | 'secure' | 'timing' | 'failuresMax' | 'onFailures'> & {
  readonly question: Question
  readonly population?: Population
  /** All sites that come, at least `question.minCohort`, unless told otherwise. */
  readonly cohort?: Cohort & { readonly quorum: number }
}

/** Questions about the data of all sites. Each is a run: its events and its bundle, which gives the answer, are under `runs`. */
export class StatsQueries {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  ask(ask: Ask, options: CreateOptions = {}): Promise<StatsQueryView> {
    return this.#transport.json(ROOT, { method: 'POST', json: ask, ...options })
  }

  /** The newest first. */
  list(options: ListOptions = {}): Listing<StatsQueryView> {
    return new Listing(this.#transport, ROOT, options, same)
  }

  get(id: string, options: CallOptions = {}): Promise<StatsQueryView> {
    return this.#transport.json(`${ROOT}/${encodeURIComponent(id)}`, options)
  }
}

const ROOT = '/v1/stats-queries'
