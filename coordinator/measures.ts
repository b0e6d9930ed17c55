import type { Round } from './round/round.ts'

/**
 * All that `/metrics` shows, by its name without the prefix `consilium_`: dashboards and alerts are held to this table.
 * Labels take values from our own tables, never from a peer or from an id, so there is a bounded number of series. Each
 * process of several that share a log sees every round: of what is marked `fleet` take the maximum over processes, of the
 * rest the sum.
 */
type Described = {
  readonly help: string
  readonly labels: readonly string[]
  readonly fleet?: true
  /**
   * All that its only label can be, where that is looked at for single events: each is told from the start, as 0. Prometheus
   * sees no increase in a series that begins with 1, so an alert would miss the first time, which may be the only one.
   */
  readonly values?: readonly string[]
}

const refused = (help: string) => ({ help, labels: ['reason'] })

const RESULTS = ['closed', 'aborted']
/** Of rounds that go on; a phase that is missing here does not compile. */
const PHASES: Readonly<Record<Exclude<Round['phase'], 'closed' | 'aborted'>, true>> = {
  ...{ selection: true, keys: true, reporting: true, evaluation: true, consistency: true, unmasking: true },
  ...{ abandonment: true, aggregation: true, settlement: true },
}

export const COUNTERS = {
  frames_accepted_total: refused('frames of nodes that were taken, by kind'),
  frames_refused_total: refused('frames of nodes that were refused, by name; signatures among them'),
  links_total: refused('links that were made'),
  links_refused_total: refused('links that were refused or cut'),
  links_slowed_total: refused('links that were read more slowly'),
  requests_refused_total: refused('requests that were told to come again'),
  streams_closed_total: refused('event streams that were closed here'),
  blocks_total: refused('what became of requests for blocks'),
  block_reads_total: refused('where public blocks were read'),
  webhook_deliveries_total: {
    ...{ help: 'messages to webhook endpoints, by outcome', labels: ['outcome'] },
    values: ['delivered', 'failed', 'gave-up'],
  },
  faults_total: refused('faults of the world met while nodes were served'),
  rounds_total: { help: 'rounds that are over, by result', labels: ['result'], fleet: true, values: RESULTS },
  round_seats_total: {
    ...{ help: 'seats of closed rounds, by what became of them', labels: ['outcome'], fleet: true },
    values: ['reported', 'lost'],
  },
  paid_micro_credits_total: { help: 'what runs that have ended paid', labels: [], fleet: true },
  journal_events_total: { help: 'events of runs that are in the log', labels: ['kind'], fleet: true },
} as const satisfies Readonly<Record<string, Described>>

/** Bounds of every histogram's buckets. */
export const SECONDS = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]

export const HISTOGRAMS = {
  round_duration_seconds: {
    help: 'from the opening of a round to its end',
    labels: ['result'],
    fleet: true,
    values: RESULTS,
  },
  round_phase_seconds: {
    ...{ help: 'how long a round was in a phase', labels: ['phase'], fleet: true },
    values: Object.keys(PHASES),
  },
  round_overhead_seconds: { help: 'a closed round less its slowest training', labels: [], fleet: true },
  round_train_seconds: { help: "the slowest training of a closed round, by the node's clock", labels: [], fleet: true },
  journal_commit_seconds: { help: 'until what was appended to the log is durable', labels: [] },
  http_request_duration_seconds: { help: 'requests, event streams apart', labels: ['route', 'method', 'status'] },
} as const satisfies Readonly<Record<string, Described>>

export const GAUGES = {
  build_info: { help: '1, of this version', labels: ['version'] },
  nodes: { help: 'nodes that are linked to any process', labels: [], fleet: true },
  runs: { help: 'runs by status', labels: ['status'], fleet: true },
  oldest_open_round_seconds: { help: 'how long the oldest open round has been open', labels: [], fleet: true },
  unsettled_rounds: { help: 'closed rounds whose payments are overdue', labels: [], fleet: true },
  links: { help: 'links of this process', labels: [] },
  strangers: { help: 'connections that have not said who they are', labels: [] },
  waiting_frames: { help: 'frames that wait to be looked at', labels: [] },
  unread_bytes: { help: 'bytes that were sent to nodes and not taken yet', labels: [] },
  connections: { help: 'connections of the HTTP server', labels: [] },
  event_streams: { help: 'open event streams', labels: [] },
  uploads: { help: 'uploads under way', labels: [] },
  downloads: { help: 'downloads under way', labels: [] },
  jobs: { help: 'jobs that wait', labels: [] },
  overload: { help: '1 where there is more to do than can be done', labels: [] },
  event_loop_lag_seconds: { help: 'how late the process was at the last look, on average', labels: [] },
  sums_bytes: { help: 'memory of the sums of open rounds', labels: [] },
} as const satisfies Readonly<Record<string, Described>>

export type CounterName = keyof typeof COUNTERS
export type HistogramName = keyof typeof HISTOGRAMS
export type GaugeName = keyof typeof GAUGES

/** In prom-client's words. */
export function configurationOf(name: string, { help, labels }: Described) {
  return { name: `consilium_${name}`, help, labelNames: [...labels] }
}

/** The labels of each series that is there before anything has happened. */
export function toldFromTheStart({
  labels: [label],
  values = [],
}: Described): readonly Readonly<Record<string, string>>[] {
  return label === undefined ? [] : values.map((value) => ({ [label]: value }))
}
