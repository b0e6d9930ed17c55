import { RunNotCompleted, VerificationError } from './errors.ts'
import { type FollowOptions, follow } from './follow.ts'
import { Listing, type ListOptions, same } from './listing.ts'
import { downloadModel, type Model, type ModelOptions } from './model.ts'
import { type ApiEvent, isLast, tellsOfPause } from './sse.ts'
import type { CreateRun } from './task.ts'
import type { CallOptions, ChangeOptions, CreateOptions, Transport } from './transport.ts'
import type { DryRunView } from './views/dry-run.ts'
import type { ReceiptView } from './views/payments.ts'
import type {
  MatrixRowView,
  MetricsView,
  RoundView,
  RoundWithSeatsView,
  RunCountsView,
  RunStatus,
  RunView,
  VerificationView,
} from './views/runs.ts'

/** The runs of a coordinator. */
export class Runs {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async create(order: CreateRun, options: CreateOptions = {}): Promise<Run> {
    const view = await this.#transport.json<RunView>(ROOT, { method: 'POST', json: order, ...options })
    return new Run(this.#transport, view)
  }

  /** What would become of it: who would take it, what it costs, how much moves. Nothing does. */
  dryRun(order: CreateRun, options: CallOptions = {}): Promise<DryRunView> {
    return this.#transport.json(`${ROOT}/dry-run`, { method: 'POST', json: order, ...options })
  }

  /** @param id or a start of it that no other run has */
  async get(id: string, options: CallOptions = {}): Promise<Run> {
    const view = await this.#transport.json<RunView>(of(id), options)
    if (view.id.startsWith(id) || view.id.startsWith(`run_${id}`)) return new Run(this.#transport, view)
    throw new VerificationError(`what came is ${view.id}, and ${id} was asked for`)
  }

  /** The newest first. */
  list({ label, status, createdAfter, ...options }: ListRunsOptions = {}): Listing<Run, RunView> {
    const query = { label, status: status && [status].flat().join(','), created_after: createdAfter }
    return new Listing(this.#transport, ROOT, { ...options, query }, (view) => new Run(this.#transport, view))
  }

  /** How many there are of each status. @property since RFC 3339: rounds that ended later are counted; 24 hours ago by default */
  counts({ since, ...options }: CallOptions & { readonly since?: string } = {}): Promise<RunCountsView> {
    return this.#transport.json(`${ROOT}/counts`, { query: { since }, ...options })
  }

  /** Names it, and labels it: what is left out stays as it is, what is null is taken off. */
  relabel(id: string, change: Relabelling, options: ChangeOptions = {}): Promise<Run> {
    return relabelled(this.#transport, id, change, options)
  }

  pause(id: string, reason: string, options: CreateOptions = {}): Promise<Run> {
    return ordered(this.#transport, id, 'pause', { reason }, options)
  }

  resume(id: string, options: CreateOptions = {}): Promise<Run> {
    return ordered(this.#transport, id, 'resume', undefined, options)
  }

  stop(id: string, reason: string, options: CreateOptions = {}): Promise<Run> {
    return ordered(this.#transport, id, 'stop', { reason }, options)
  }

  extend(id: string, more: Extension, options: CreateOptions = {}): Promise<Run> {
    return ordered(this.#transport, id, 'extend', more, options)
  }
}

/**
 * Which runs are listed.
 * @property label `key:value`: those with this label alone
 * @property createdAfter RFC 3339: those that were launched later
 */
export type ListRunsOptions = ListOptions & {
  readonly label?: string | undefined
  readonly status?: RunStatus | readonly RunStatus[] | undefined
  readonly createdAfter?: string | undefined
}

export type Relabelling = {
  readonly name?: string | null
  readonly labels?: Readonly<Record<string, string | null>>
}

/** What is added to what a run was ordered with. @property budget micro-credits, as decimal text */
export type Extension = { readonly rounds: number; readonly budget?: string }

/** One run, as it was last seen: what it can be asked and told. */
export class Run {
  readonly id: string
  readonly view: RunView
  readonly #transport: Transport

  constructor(transport: Transport, view: RunView) {
    this.#transport = transport
    this.id = view.id
    this.view = view
  }

  /** As it is now. */
  async refresh(options: CallOptions = {}): Promise<Run> {
    return new Run(this.#transport, await this.#transport.json<RunView>(of(this.id), options))
  }

  /** What happened and happens, each event once, to the end of the run. */
  events(options: FollowOptions = {}): AsyncIterable<ApiEvent> {
    return follow(this.#transport, this.id, options)
  }

  /** What has happened so far. @property after the `seq` of the last event already seen */
  past({ after, ...options }: FollowOptions & { readonly limit?: number } = {}): Listing<ApiEvent> {
    const from = after === undefined ? {} : { after: String(after) }
    return new Listing(this.#transport, `${of(this.id)}/events`, { ...options, ...from }, same)
  }

  /**
   * Waits for its end. @returns it as it ended. Throws {@link RunNotCompleted} where it failed, was stopped, or is paused and
   * waits for its owner; the signal's reason where that fires.
   */
  async done({ signal }: CallOptions = {}): Promise<Run> {
    for await (const event of this.events({ signal })) {
      if (!isLast(event) && !tellsOfPause(event)) continue
      const now = await this.refresh({ signal })
      if (now.view.status === 'completed') return now
      // It may have been resumed since.
      if (now.view.status !== 'paused' && !isLast(event)) continue
      throw new RunNotCompleted(now.id, now.view.status, now.view.reason)
    }
    signal?.throwIfAborted()
    throw new RunNotCompleted(this.id, 'gone', 'its events ended before it did')
  }

  rounds(options: ListOptions = {}): Listing<RoundView> {
    return new Listing(this.#transport, `${of(this.id)}/rounds`, options, same)
  }

  round(round: number, options: CallOptions = {}): Promise<RoundWithSeatsView> {
    return this.#transport.json(`${of(this.id)}/rounds/${round}`, options)
  }

  /** Curves, as columns. @property downsample the most rounds to tell of */
  metrics({ keys, downsample, signal }: MetricsOptions = {}): Promise<MetricsView> {
    const query = { keys: keys?.join(','), downsample }
    return this.#transport.json(`${of(this.id)}/metrics`, { query, signal })
  }

  /** The same as CSV. */
  metricsCsv({ keys, downsample, signal }: MetricsOptions = {}): Promise<string> {
    const query = { keys: keys?.join(','), downsample }
    return this.#transport.text(`${of(this.id)}/metrics`, { query, headers: { accept: 'text/csv' }, signal })
  }

  /** Each model of the run at each site. */
  matrix(options: ListOptions = {}): Listing<MatrixRowView> {
    return new Listing(this.#transport, `${of(this.id)}/matrix`, options, same)
  }

  /** Its model card, in Markdown, for the Hugging Face Hub. */
  card(options: CallOptions = {}): Promise<string> {
    return this.#transport.text(`${of(this.id)}/card`, options)
  }

  receipts(round: number, options: ListOptions = {}): Listing<ReceiptView> {
    return new Listing(this.#transport, `${of(this.id)}/rounds/${round}/receipts`, options, same)
  }

  /** Its model, or that of one of its rounds, checked against its record and its CID before it is handed over. */
  model(options: ModelOptions = {}): Promise<Model> {
    return downloadModel(this.#transport, this.id, options)
  }

  /**
   * Has the coordinator redo the record, as `consilium verify` does. It is the coordinator's word: whoever does not take it
   * downloads the {@link bundle} and verifies that.
   */
  async verify(options: CreateOptions = {}): Promise<VerificationView> {
    const path = `${of(this.id)}/verification`
    const { signal } = options
    let made = await this.#transport.json<VerificationView>(path, { method: 'POST', timeoutMs: 0, ...options })
    while (made.verdict === 'running') {
      await this.#transport.doors.pause(ASKED_AGAIN_MILLIS, signal)
      made = await this.#transport.json<VerificationView>(path, { signal })
    }
    return made
  }

  /** What came of the last verification at the coordinator. */
  verification(options: CallOptions = {}): Promise<VerificationView> {
    return this.#transport.json(`${of(this.id)}/verification`, options)
  }

  /** The record of the run once it has ended, or of one of its rounds, as one CAR file. */
  async bundle({
    round,
    vectors = true,
    signal,
  }: BundleOptions = {}): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const query = { round, vectors: vectors ? undefined : 'no' }
    const { body } = await this.#transport.fetch(`${of(this.id)}/bundle`, { query, signal })
    return body ?? new Blob([]).stream()
  }

  pause(reason: string, options: CreateOptions = {}): Promise<Run> {
    return ordered(this.#transport, this.id, 'pause', { reason }, options)
  }

  resume(options: CreateOptions = {}): Promise<Run> {
    return ordered(this.#transport, this.id, 'resume', undefined, options)
  }

  /** Ends it before it is done, with its record. */
  stop(reason: string, options: CreateOptions = {}): Promise<Run> {
    return ordered(this.#transport, this.id, 'stop', { reason }, options)
  }

  relabel(change: Relabelling, options: ChangeOptions = {}): Promise<Run> {
    return relabelled(this.#transport, this.id, change, options)
  }

  extend(more: Extension, options: CreateOptions = {}): Promise<Run> {
    return ordered(this.#transport, this.id, 'extend', more, options)
  }
}

type MetricsOptions = CallOptions & { readonly keys?: readonly string[]; readonly downsample?: number }
export type BundleOptions = CallOptions & { readonly round?: number | undefined; readonly vectors?: boolean }

const ROOT = '/v1/runs'
/** A record that is long takes so many of these. */
const ASKED_AGAIN_MILLIS = 1000

function of(id: string): string {
  return `${ROOT}/${encodeURIComponent(id)}`
}

type Verb = 'pause' | 'resume' | 'stop' | 'extend'

async function relabelled(transport: Transport, id: string, change: Relabelling, options: ChangeOptions): Promise<Run> {
  return new Run(transport, await transport.json<RunView>(of(id), { method: 'PATCH', json: change, ...options }))
}

async function ordered(
  transport: Transport,
  id: string,
  verb: Verb,
  json: object | undefined,
  options: CreateOptions,
): Promise<Run> {
  return new Run(transport, await transport.json<RunView>(`${of(id)}/${verb}`, { method: 'POST', json, ...options }))
}
