import { type Change, changes } from './changes.ts'
import { Federations } from './federations.ts'
import { Keys } from './keys.ts'
import { Nodes } from './nodes.ts'
import { Payments } from './payments.ts'
import { Publications } from './publications.ts'
import { Runs } from './runs.ts'
import { StatsQueries } from './stats.ts'
import { Tasks } from './tasks.ts'
import { type CallOptions, type ConsiliumOptions, Transport } from './transport.ts'
import type { WhoamiView } from './views/access.ts'
import type { CoordinatorView } from './views/federations.ts'
import { Webhooks } from './webhooks.ts'

/**
 * A coordinator's API: in Node and in browsers, with nothing but `fetch`. Whatever is refused is an {@link ApiError} with its
 * code; what may be granted later is asked for again, under the same idempotency key, so that it is done once.
 */
export class Consilium {
  /** For what has no method here: the same key, patience and errors. */
  readonly transport: Transport
  readonly runs: Runs
  readonly stats: StatsQueries
  readonly tasks: Tasks
  readonly nodes: Nodes
  readonly federations: Federations
  readonly payments: Payments
  readonly publications: Publications
  readonly keys: Keys
  readonly webhooks: Webhooks

  /** @param transport what asks, where that is to be done in another way */
  constructor(options: ConsiliumOptions, transport = new Transport(options)) {
    this.transport = transport
    this.runs = new Runs(this.transport)
    this.stats = new StatsQueries(this.transport)
    this.tasks = new Tasks(this.transport)
    this.nodes = new Nodes(this.transport)
    this.federations = new Federations(this.transport)
    this.payments = new Payments(this.transport)
    this.publications = new Publications(this.transport)
    this.keys = new Keys(this.transport)
    this.webhooks = new Webhooks(this.transport)
  }

  /** Whose key this is, and what it may do. */
  whoami(options: CallOptions = {}): Promise<WhoamiView> {
    return this.transport.json('/v1/whoami', options)
  }

  /** The coordinator's own key. Anybody on the way can answer this: compare the fingerprint with whoever runs it. */
  coordinator(options: CallOptions = {}): Promise<CoordinatorView> {
    return this.transport.json('/v1/coordinator', options)
  }

  /** What changes, in all runs at once and without a history, until the signal fires. A run's own are its `events`. */
  changes(options: CallOptions = {}): AsyncIterable<Change> {
    return changes(this.transport, options)
  }
}
