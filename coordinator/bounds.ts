import type { Rate } from '#protocol/allowance.ts'
import type { Millis } from '#protocol/ids.ts'
import type { PlacesRule } from '#protocol/places.ts'

/** What this process takes on at a time. Past it whoever comes next is refused early and told when to come again. */
export type Bounds = {
  /** Connections that are no node's link, and those of one address: a fleet behind one router is one address. */
  readonly connections: PlacesRule
  /** Requests of one connection that are answered at a time, as pipelining has them. */
  readonly requestsPerConnection: number
  /** For a request's line and headers, and then for a body that is not a blob's. */
  readonly headersMillis: Millis
  readonly bodyMillis: Millis
  /** A connection on which nothing moves. */
  readonly silenceMillis: Millis
  /** Event streams, and those of one address. */
  readonly streams: PlacesRule
  /** So often a quiet stream says that it is there, and is ended where whoever opened it would not be let in any more. */
  readonly heartbeatMillis: Millis
  /** A stream's reader may stand still for so long. */
  readonly stallMillis: Millis
  /** Requests under one API key. */
  readonly requests: Rate
  /** Requests of one address under none that is known here: each may cost the log a look. */
  readonly strangers: Rate
  /** Runs that have not ended. */
  readonly unfinishedRuns: number
  /** How late the process may be, for so many looks in a row, before it takes nothing new. */
  readonly lateness: { readonly millis: Millis; readonly looks: number }
  /** Jobs that wait. */
  readonly jobs: number
}

export const BOUNDS: Bounds = {
  connections: { total: 4096, each: 3072 },
  requestsPerConnection: 16,
  headersMillis: 15_000,
  bodyMillis: 30_000,
  silenceMillis: 120_000,
  streams: { total: 256, each: 192 },
  heartbeatMillis: 15_000,
  stallMillis: 30_000,
  requests: { perSecond: 200, burst: 1000 },
  strangers: { perSecond: 20, burst: 200 },
  unfinishedRuns: 256,
  lateness: { millis: 500, looks: 3 },
  jobs: 10_000,
}
